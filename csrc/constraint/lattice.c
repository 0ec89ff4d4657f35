#include "constraint/lattice.h"

#include <string.h>

#include "allocate.h"

/* ------------------------------------------------------------------------------------------------------------ life cycle */

static dimple_status allocate(lattice *l) {
  int64_t positions = l->length, boundaries = positions + 1;
  int64_t nodes = l->constraint->node_count, classes = l->constraint->classes.count, labels = l->constraint->label_count;
  ALLOCATE(l->ends, nodes, "the lattice of a constraint");
  ALLOCATE(l->tokens, positions, "the canvas of a constraint");
  ALLOCATE(l->open, boundaries * nodes, "the lattice of a constraint");
  ALLOCATE(l->scores, positions * classes, "the scores of token classes");
  ALLOCATE(l->yielded, positions * classes, "the scores of token classes");
  ALLOCATE(l->scored, positions, "the lattice of a constraint");
  ALLOCATE(l->values, boundaries * nodes, "the lattice of a constraint");
  ALLOCATE(l->costs, boundaries * nodes, "the lattice of a constraint");
  ALLOCATE(l->path, positions, "the path of a constraint");
  ALLOCATE(l->label_open, labels, "the labels of a constraint");
  ALLOCATE(l->allowed, classes, "the classes of a constraint");
  ALLOCATE(l->label_values, labels, "the labels of a constraint");
  ALLOCATE(l->label_costs, labels, "the labels of a constraint");
  ALLOCATE(l->members, l->constraint->vocabulary->count, "the tokens of a class");
  ALLOCATE(l->next_kept, l->constraint->vocabulary->count, "the tokens of a class");
  ALLOCATE(l->first_kept, classes, "the tokens of a class");
  ALLOCATE(l->member_logits, l->constraint->vocabulary->count, "the logits of a class");
  ALLOCATE(l->member_weights, l->constraint->vocabulary->count, "the weights of a class");
  return DIMPLE_OK;
}

static dimple_status cut_classes(lattice *l) {
  int32_t classes = l->constraint->classes.count;
  DIMPLE_TRY(partition_create(&l->constraint->classes, l->constraint->vocabulary->count, &l->partition));
  ALLOCATE(l->segments, l->partition.segments, "the segments of token classes");
  ALLOCATE(l->first_segment, classes + 2, "the segments of token classes");
  int32_t *next = l->first_segment + 1; /* one class on, so that in the end it is where classes begin */
  memset(l->first_segment, 0, ((size_t)classes + 2) * sizeof *l->first_segment);
  for (int32_t s = 0; s < l->partition.segments; s++) next[l->partition.segment_class[s] + 1]++;
  for (int32_t k = 0; k < classes; k++) next[k + 1] += next[k];
  for (int32_t s = 0; s < l->partition.segments; s++) l->segments[next[l->partition.segment_class[s]]++] = s;
  return DIMPLE_OK;
}

/* The node that the tokens before the canvas lead to. */
static dimple_status walk_before(lattice *l, const lattice_part *part) {
  for (int32_t i = 0; i < part->before_count; i++) {
    l->start = constraint_step(l->constraint, l->start, part->before[i]);
    if (l->start < 0)
      return dimple_fail(DIMPLE_ERROR_ARGUMENT, "no response that fits the constraint has token %d at position %d and agrees with what is fixed before it",
                         part->before[i], i);
  }
  return DIMPLE_OK;
}

/* Leaves those nodes that a token, -1: any, leads from to one of `to`; whether they are the same. */
static bool lead_back(const dimple_constraint *c, int32_t token, const uint8_t *to, uint8_t *from) {
  for (int32_t n = 0; n < c->node_count; n++) {
    from[n] = 0;
    if (token >= 0) {
      int32_t target = constraint_step(c, n, token);
      from[n] = target >= 0 && to[target];
    }
    for (int64_t e = c->edge_first[n]; e < c->edge_first[n + 1] && token < 0 && !from[n]; e++) from[n] = to[c->edge_target[e]];
  }
  return memcmp(from, to, (size_t)c->node_count) == 0;
}

/* From the end of the response back to that of the canvas. Where any token may come and nothing changes, nothing does further on. */
static dimple_status walk_later(lattice *l, const lattice_part *part) {
  int32_t nodes = l->constraint->node_count;
  uint8_t *from;
  bool settled = false;
  if (part->later_count == 0) return DIMPLE_OK;
  ALLOCATE(from, nodes, "the lattice of a constraint");
  for (int32_t i = part->later_count - 1; i >= 0; i--) {
    int32_t token = part->later[i] == part->mask_token ? -1 : part->later[i];
    if (token < 0 && settled) continue;
    settled = lead_back(l->constraint, token, l->ends, from) && token < 0;
    memcpy(l->ends, from, (size_t)nodes);
  }
  free(from);
  return DIMPLE_OK;
}

static dimple_status place(lattice *l, const lattice_part *part) {
  l->start = l->constraint->start;
  l->whole = l->length;
  memcpy(l->ends, l->constraint->accepting, (size_t)l->constraint->node_count);
  if (!part) return DIMPLE_OK;
  l->before_count = part->before_count;
  l->whole += part->before_count + part->later_count;
  DIMPLE_TRY(walk_before(l, part));
  return walk_later(l, part);
}

dimple_status lattice_open(dimple_constraint *constraint, int32_t length, const lattice_part *part, lattice *out) {
  lattice fresh = {.constraint = constraint, .length = length};
  constraint_retain(constraint);
  dimple_status status = allocate(&fresh);
  if (status == DIMPLE_OK) status = cut_classes(&fresh);
  if (status == DIMPLE_OK) status = place(&fresh, part);
  if (status != DIMPLE_OK) {
    lattice_close(&fresh);
    return status;
  }
  *out = fresh;
  return DIMPLE_OK;
}

void lattice_close(lattice *l) {
  dimple_constraint_free(l->constraint);
  partition_free(&l->partition);
  free(l->segments);
  free(l->first_segment);
  free(l->members);
  free(l->next_kept);
  free(l->first_kept);
  free(l->ends);
  free(l->tokens);
  free(l->open);
  free(l->scores);
  free(l->yielded);
  free(l->scored);
  free(l->values);
  free(l->costs);
  free(l->path);
  free(l->label_open);
  free(l->allowed);
  free(l->label_values);
  free(l->label_costs);
  free(l->member_logits);
  free(l->member_weights);
  *l = (lattice){0};
}

int64_t lattice_bytes(const lattice *l) {
  if (!l->constraint) return 0;
  const dimple_constraint *c = l->constraint;
  int64_t of_node = (int64_t)(sizeof *l->open + sizeof *l->values + sizeof *l->costs), of_class = (int64_t)(sizeof *l->scores + sizeof *l->yielded);
  int64_t of_position = (int64_t)(sizeof *l->tokens + sizeof *l->scored + sizeof *l->path) + c->classes.count * of_class;
  int64_t of_token = (int64_t)(sizeof *l->members + sizeof *l->next_kept + sizeof *l->member_logits + sizeof *l->member_weights);
  int64_t scratch = c->label_count * (int64_t)(sizeof *l->label_open + sizeof *l->label_values + sizeof *l->label_costs) +
                    c->classes.count * (int64_t)(1 + sizeof *l->first_kept) + c->vocabulary->count * of_token;
  int64_t classes = partition_bytes(&l->partition) + ((int64_t)l->partition.segments + c->classes.count) * (int64_t)sizeof *l->segments;
  return ((int64_t)l->length + 1) * c->node_count * of_node + c->node_count + l->length * of_position + scratch + classes;
}

/* ---------------------------------------------------------------------------------------------------------- reachability */

static uint8_t *open_at(const lattice *l, int32_t boundary) { return l->open + (int64_t)boundary * l->constraint->node_count; }

/* Marks the nodes behind position `i` that those before it lead to. Returns whether there are any. */
static bool reach(const lattice *l, int32_t i) {
  const dimple_constraint *c = l->constraint;
  const uint8_t *from = open_at(l, i);
  uint8_t *to = open_at(l, i + 1);
  bool any = false;
  memset(to, 0, (size_t)c->node_count);
  for (int32_t n = 0; n < c->node_count; n++) {
    if (!from[n]) continue;
    if (l->tokens[i] >= 0) {
      int32_t target = constraint_step(c, n, l->tokens[i]);
      if (target >= 0) to[target] = 1;
      any |= target >= 0;
      continue;
    }
    for (int64_t e = c->edge_first[n]; e < c->edge_first[n + 1]; e++) to[c->edge_target[e]] = 1;
    any |= c->edge_first[n] < c->edge_first[n + 1];
  }
  return any;
}

/* Leaves of the nodes before position `i` those with a way to the open ones behind it. */
static bool reach_back(const lattice *l, int32_t i) {
  const dimple_constraint *c = l->constraint;
  uint8_t *from = open_at(l, i);
  const uint8_t *to = open_at(l, i + 1);
  bool any = false;
  for (int32_t n = 0; n < c->node_count; n++) {
    if (!from[n]) continue;
    bool on = false;
    if (l->tokens[i] >= 0) {
      int32_t target = constraint_step(c, n, l->tokens[i]);
      on = target >= 0 && to[target];
    } else {
      for (int64_t e = c->edge_first[n]; e < c->edge_first[n + 1] && !on; e++) on = to[c->edge_target[e]];
    }
    from[n] = on;
    any |= on;
  }
  return any;
}

/* Backwards from the end; the number of the first position, from the right, that nothing leads over, -1 if all is well. */
static int32_t close_dead_ends(const lattice *l) {
  const dimple_constraint *c = l->constraint;
  uint8_t *last = open_at(l, l->length);
  bool any = false;
  for (int32_t n = 0; n < c->node_count; n++) any |= last[n] &= l->ends[n];
  if (!any) return l->length;
  for (int32_t i = l->length - 1; i >= 0; i--)
    if (!reach_back(l, i)) return i;
  return -1;
}

static dimple_status no_path(const lattice *l, int32_t position) {
  int32_t shortest = l->constraint->distance[l->constraint->start];
  if (shortest > l->whole)
    return dimple_fail(DIMPLE_ERROR_LIMIT, "the shortest response that fits the constraint has %d tokens, but the response has %d",
                       shortest, l->whole);
  if (position < l->length && l->tokens[position] >= 0)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT,
                       "no response that fits the constraint has token %d at position %d and agrees with what is fixed before it",
                       l->tokens[position], l->before_count + position);
  return dimple_fail(DIMPLE_ERROR_ARGUMENT, "no response of %d tokens fits the constraint and agrees with the fixed tokens", l->whole);
}

/* Whether the path has the canvas's tokens where these are fixed. */
static bool path_agrees(const lattice *l) {
  for (int32_t i = 0; i < l->length; i++)
    if (l->tokens[i] >= 0 && l->tokens[i] != l->path[i].token) return false;
  return true;
}

dimple_status lattice_update(lattice *l, const int32_t *canvas, int32_t mask_token) {
  const dimple_constraint *c = l->constraint;
  for (int32_t i = 0; i < l->length; i++) l->tokens[i] = canvas[i] == mask_token ? -1 : canvas[i];
  memset(l->scored, 0, (size_t)l->length);
  l->has_path = l->has_path && path_agrees(l);
  memset(open_at(l, 0), 0, (size_t)c->node_count);
  open_at(l, 0)[l->start] = 1;
  for (int32_t i = 0; i < l->length; i++)
    if (!reach(l, i)) return no_path(l, i);
  int32_t closed = close_dead_ends(l);
  return closed < 0 ? DIMPLE_OK : no_path(l, l->length);
}

/* Marks the labels of open edges over a masked position. */
static void mark_labels(lattice *l, int32_t position) {
  const dimple_constraint *c = l->constraint;
  const uint8_t *from = open_at(l, position), *to = open_at(l, position + 1);
  memset(l->label_open, 0, (size_t)c->label_count);
  for (int32_t n = 0; n < c->node_count; n++) {
    if (!from[n]) continue;
    for (int64_t e = c->edge_first[n]; e < c->edge_first[n + 1]; e++)
      if (to[c->edge_target[e]]) l->label_open[c->edge_label[e]] = 1;
  }
}

int32_t lattice_forced(lattice *l, int32_t position) {
  const dimple_constraint *c = l->constraint;
  const uint8_t *from = open_at(l, position), *to = open_at(l, position + 1);
  int32_t found = -1, last_label = -1;
  for (int32_t n = 0; n < c->node_count; n++) {
    if (!from[n]) continue;
    for (int64_t e = c->edge_first[n]; e < c->edge_first[n + 1]; e++) {
      if (!to[c->edge_target[e]] || c->edge_label[e] == last_label) continue;
      last_label = c->edge_label[e];
      if (c->label_tokens[last_label] > 1 || (found >= 0 && c->label_lowest[last_label] != found)) return -1;
      found = c->label_lowest[last_label];
    }
  }
  return found;
}

const uint8_t *lattice_allowed(lattice *l, int32_t position) {
  const dimple_constraint *c = l->constraint;
  mark_labels(l, position);
  memset(l->allowed, 0, (size_t)c->classes.count);
  for (int32_t k = 0; k < c->label_count; k++) {
    if (!l->label_open[k]) continue;
    for (int64_t i = c->label_first[k]; i < c->label_first[k + 1]; i++) l->allowed[c->label_classes[i]] = 1;
  }
  return l->allowed;
}
