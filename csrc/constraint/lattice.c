#include "constraint/lattice.h"

#include <math.h>
#include <string.h>

#include "allocate.h"
#include "draws.h"

/* ------------------------------------------------------------------------------------------------------------ life cycle */

static dimple_status allocate(lattice *l) {
  int64_t positions = l->length, boundaries = positions + 1;
  int64_t nodes = l->constraint->node_count, classes = l->constraint->classes.count, labels = l->constraint->label_count;
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
  ALLOCATE(l->member_logits, l->constraint->vocabulary->count, "the logits of a class");
  ALLOCATE(l->member_weights, l->constraint->vocabulary->count, "the weights of a class");
  return DIMPLE_OK;
}

dimple_status lattice_open(dimple_constraint *constraint, int32_t length, lattice *out) {
  lattice fresh = {.constraint = constraint, .length = length};
  constraint_retain(constraint);
  dimple_status status = allocate(&fresh);
  if (status != DIMPLE_OK) {
    lattice_close(&fresh);
    return status;
  }
  *out = fresh;
  return DIMPLE_OK;
}

void lattice_close(lattice *l) {
  dimple_constraint_free(l->constraint);
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
  int64_t scratch = c->label_count * (int64_t)(sizeof *l->label_open + sizeof *l->label_values + sizeof *l->label_costs) + c->classes.count +
                    c->vocabulary->count * (int64_t)(sizeof *l->member_logits + sizeof *l->member_weights);
  return ((int64_t)l->length + 1) * c->node_count * of_node + l->length * of_position + scratch;
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
  for (int32_t n = 0; n < c->node_count; n++) any |= last[n] &= c->accepting[n];
  if (!any) return l->length;
  for (int32_t i = l->length - 1; i >= 0; i--)
    if (!reach_back(l, i)) return i;
  return -1;
}

static dimple_status no_path(const lattice *l, int32_t position) {
  int32_t shortest = l->constraint->distance[l->constraint->start];
  if (shortest > l->length)
    return dimple_fail(DIMPLE_ERROR_LIMIT, "the shortest response that fits the constraint has %d tokens, but the response has %d",
                       shortest, l->length);
  if (position < l->length && l->tokens[position] >= 0)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT,
                       "no response that fits the constraint has token %d at position %d and agrees with what is fixed before it",
                       l->tokens[position], position);
  return dimple_fail(DIMPLE_ERROR_ARGUMENT, "no response of %d tokens fits the constraint and agrees with the fixed tokens", l->length);
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
  open_at(l, 0)[c->start] = 1;
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

/* --------------------------------------------------------------------------------------------------------------- scores */

/* Logits beyond this are no numbers that a model means, and would not add up. */
static const float LIMIT_LOGIT = 1e30f;

static float usable(float logit) {
  if (!(logit > -LIMIT_LOGIT)) return -LIMIT_LOGIT; /* NaN too */
  return logit < LIMIT_LOGIT ? logit : LIMIT_LOGIT;
}

/* The members of a class at a position: their logits, and the highest of them. */
typedef struct members {
  const int32_t *tokens;
  float *logits; /* [count] -inf: filters drop it */
  int32_t count;
  int32_t best;  /* its number; the first among equals */
  float second;  /* the highest of the others; -inf for none */
} members;

/* Those that filters keep if there are any, otherwise all: *yields. */
static members read_members(const lattice *l, int32_t class, const float *logits, const float *kept, bool *yields) {
  const token_classes *classes = &l->constraint->classes;
  members m = {.tokens = classes->members + classes->first[class], .logits = l->member_logits,
               .count = classes->first[class + 1] - classes->first[class], .second = -INFINITY};
  bool any = false;
  for (int32_t i = 0; i < m.count; i++) {
    bool passes = !kept || kept[m.tokens[i]] > 0;
    m.logits[i] = passes ? usable(logits[m.tokens[i]]) : -INFINITY;
    any |= passes;
  }
  *yields = !any;
  if (!any) return read_members(l, class, logits, NULL, &any);
  for (int32_t i = 1; i < m.count; i++) {
    bool better = m.logits[i] > m.logits[m.best];
    float other = better ? m.logits[m.best] : m.logits[i];
    if (other > m.second) m.second = other;
    if (better) m.best = i;
  }
  return m;
}

/* e^x for x <= 0, 0 below -50: a million tokens less likely than that add less to a sum than it can show. Coefficients of Cephes' expf
 * (Moshier); relative error 1e-7. Compilers make this form instructions on vectors, and of a call of expf they cannot. */
static inline float exponential(float x) {
  const float log2e = 1.44269504f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f, round = 12582912.0f /* 1.5 * 2^23 */;
  float bounded = x > -50 ? x : -50, shifted = bounded * log2e + round, n = shifted - round;
  float r = bounded - n * ln2_high - n * ln2_low;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1;
  union {
    float number;
    uint32_t bits;
  } power = {.number = shifted}, result = {.number = p};
  result.bits += power.bits << 23; /* n to the exponent */
  return x > -50 ? result.number : 0;
}

/* Sums over the members of weights exp((logit - best) / temperature). */
typedef struct weighing {
  double sum;
  double moment; /* of weight * logit */
} weighing;

/* Writes the weights [count] of members, and adds up: in lanes, which compilers make vectors of, and always in this order. */
static weighing weigh_members(const members *m, double temperature, float *weights) {
  enum { LANES = 8 };
  double sums[LANES] = {0}, moments[LANES] = {0};
  float best = m->logits[m->best], scale = (float)(1 / temperature);
  for (int32_t i = 0; i < m->count; i++) weights[i] = exponential((m->logits[i] - best) * scale);
  for (int32_t i = 0; i < m->count; i += LANES) {
    for (int32_t j = 0; j < LANES && i + j < m->count; j++) {
      sums[j] += weights[i + j];
      moments[j] += weights[i + j] > 0 ? (double)weights[i + j] * m->logits[i + j] : 0;
    }
  }
  weighing w = {0};
  for (int32_t j = 0; j < LANES; j++) {
    w.sum += sums[j];
    w.moment += moments[j];
  }
  return w;
}

/* Uniform in [0, 1), 64 bits: some classes have a hundred thousand members. */
static double uniform(const path_settings *s, int32_t position, draw_purpose purpose, int32_t index) {
  uint64_t high = draw_word(s->seed, (uint32_t)s->iteration, (uint32_t)position, purpose, 2 * (uint32_t)index);
  uint64_t low = draw_word(s->seed, (uint32_t)s->iteration, (uint32_t)position, purpose, 2 * (uint32_t)index + 1);
  return (double)((high << 32 | low) >> 11) * 0x1p-53;
}

/* The member where the weights add up to the share `u` of their sum. */
static int32_t member_at(const members *m, const float *weights, double share) {
  double passed = 0;
  int32_t found = m->best;
  for (int32_t i = 0; i < m->count && passed <= share; i++) {
    passed += weights[i];
    if (weights[i] > 0) found = i;
  }
  return found;
}

/* Adds the members of a class to what is known of a position, whose sums are of weights relative to the best one so far. */
static void add_members(allowed_row *row, const members *m, weighing w) {
  float best = m->logits[m->best];
  bool better = row->best < 0 || best > row->best_logit || (best == row->best_logit && m->tokens[m->best] < row->best);
  double rescale = row->best < 0 ? 0 : exp(-fabs((double)best - row->best_logit) / row->temperature);
  double own = better ? 1 : rescale, others = better ? rescale : 1;
  row->sum = row->sum * others + w.sum * own;
  row->moment = row->moment * others + w.moment * own;
  float second = better ? row->best_logit : best;
  if (row->best >= 0 && second > row->second_logit) row->second_logit = second;
  if (m->second > row->second_logit) row->second_logit = m->second;
  if (better) {
    row->best = m->tokens[m->best];
    row->best_logit = best;
  }
}

static class_score score_members(const lattice *l, const members *m, int32_t position, int32_t class, const path_settings *s,
                                 allowed_row *row) {
  double judged = row ? row->temperature : s->temperature;
  weighing w = {0};
  if (judged > 0) w = weigh_members(m, judged, l->member_weights);
  if (row) add_members(row, m, w);
  float best = m->logits[m->best];
  if (s->temperature == 0) return (class_score){best, best, m->tokens[m->best]};
  if (judged != s->temperature) w = weigh_members(m, s->temperature, l->member_weights);
  int32_t drawn = member_at(m, l->member_weights, uniform(s, position, DRAW_MEMBER, class) * w.sum);
  return (class_score){best / s->temperature + log(w.sum), m->logits[drawn], m->tokens[drawn]};
}

void lattice_score(lattice *l, int32_t position, const float *logits, const float *kept, const path_settings *s, allowed_row *row) {
  int32_t count = l->constraint->classes.count;
  const uint8_t *allowed = lattice_allowed(l, position);
  class_score *scores = l->scores + (int64_t)position * count;
  uint8_t *yielded = l->yielded + (int64_t)position * count;
  if (row) *row = (allowed_row){.temperature = row->temperature, .best = -1, .best_logit = -INFINITY, .second_logit = -INFINITY};
  for (int32_t k = 0; k < count; k++) {
    if (!allowed[k]) continue;
    bool yields;
    members m = read_members(l, k, logits, kept, &yields);
    yielded[k] = yields;
    scores[k] = score_members(l, &m, position, k, s, yields ? NULL : row);
  }
  l->scored[position] = 1;
}

/* ----------------------------------------------------------------------------------------------------------------- ways */

/* The best of several ways: of those of the fewest positions where filters give way, the one of the highest weight. */
typedef struct best_way {
  int32_t cost;
  double weight;
} best_way;

static const best_way NO_WAY = {.cost = INT32_MAX};

static void consider(best_way *best, int32_t cost, double weight) {
  if (cost < best->cost || (cost == best->cost && weight > best->weight)) *best = (best_way){cost, weight};
}

/* The best token of a label at a scored position. */
static best_way best_of_label(const lattice *l, int32_t position, int32_t label) {
  const dimple_constraint *c = l->constraint;
  const class_score *scores = l->scores + (int64_t)position * c->classes.count;
  const uint8_t *yielded = l->yielded + (int64_t)position * c->classes.count;
  best_way best = NO_WAY;
  for (int64_t i = c->label_first[label]; i < c->label_first[label + 1]; i++)
    consider(&best, yielded[c->label_classes[i]], scores[c->label_classes[i]].weight);
  return best;
}

/* The best way on from each open node before a position, from those behind it. */
static void value_position(lattice *l, int32_t position) {
  const dimple_constraint *c = l->constraint;
  int64_t here = (int64_t)position * c->node_count, behind = here + c->node_count;
  memset(l->label_costs, l->scored[position] ? 0xff : 0, (size_t)c->label_count * sizeof *l->label_costs);
  if (!l->scored[position]) memset(l->label_values, 0, (size_t)c->label_count * sizeof *l->label_values);
  for (int32_t n = 0; n < c->node_count; n++) {
    best_way best = NO_WAY;
    if (!l->open[here + n]) continue;
    if (l->tokens[position] >= 0) {
      int32_t target = constraint_step(c, n, l->tokens[position]);
      consider(&best, l->costs[behind + target], l->values[behind + target]);
    }
    for (int64_t e = c->edge_first[n]; e < c->edge_first[n + 1] && l->tokens[position] < 0; e++) {
      int32_t target = c->edge_target[e], label = c->edge_label[e];
      if (!l->open[behind + target]) continue;
      if (l->label_costs[label] < 0) {
        best_way token = best_of_label(l, position, label);
        l->label_costs[label] = token.cost;
        l->label_values[label] = token.weight;
      }
      consider(&best, l->costs[behind + target] + l->label_costs[label], l->values[behind + target] + l->label_values[label]);
    }
    l->costs[here + n] = best.cost;
    l->values[here + n] = best.weight;
  }
}

/* ----------------------------------------------------------------------------------------------------------------- path */

/* A way over a position: an edge, a class of its label, and the token of the class. */
typedef struct crossing {
  int64_t edge;
  int32_t class;
  class_score score;
} crossing;

/* The best way on: the first of the edges, and of its label the class, with the fewest costs and the highest weight; the lowest token among
 * equals. */
static crossing best_crossing(const lattice *l, int32_t position, int32_t node) {
  const dimple_constraint *c = l->constraint;
  int64_t behind = ((int64_t)position + 1) * c->node_count;
  const class_score *scores = l->scores + (int64_t)position * c->classes.count;
  const uint8_t *yielded = l->yielded + (int64_t)position * c->classes.count;
  crossing found = {.edge = -1};
  int32_t cost = INT32_MAX;
  double weight = 0;
  for (int64_t e = c->edge_first[node]; e < c->edge_first[node + 1]; e++) {
    int32_t target = c->edge_target[e];
    if (!l->open[behind + target]) continue;
    for (int64_t i = c->label_first[c->edge_label[e]]; i < c->label_first[c->edge_label[e] + 1]; i++) {
      int32_t class = c->label_classes[i];
      int32_t total_cost = l->costs[behind + target] + yielded[class];
      double total = l->values[behind + target] + scores[class].weight;
      if (total_cost > cost) continue;
      if (total_cost == cost && (total < weight || (total == weight && scores[class].token > found.score.token))) continue;
      found = (crossing){e, class, scores[class]};
      cost = total_cost;
      weight = total;
    }
  }
  return found;
}

/* Calls of an open edge with the classes of its label behind which filters give way least: adds up their weights relative to `most`, up to
 * the share that is drawn, and leaves the one where that is passed. */
static bool pass_edge(const lattice *l, int32_t position, int32_t node, int64_t edge, double most, double share, double *passed,
                      crossing *found) {
  const dimple_constraint *c = l->constraint;
  const class_score *scores = l->scores + (int64_t)position * c->classes.count;
  const uint8_t *yielded = l->yielded + (int64_t)position * c->classes.count;
  int64_t here = (int64_t)position * c->node_count, target = here + c->node_count + c->edge_target[edge];
  if (!l->open[target]) return false;
  for (int64_t i = c->label_first[c->edge_label[edge]]; i < c->label_first[c->edge_label[edge] + 1]; i++) {
    int32_t class = c->label_classes[i];
    if (l->costs[target] + yielded[class] > l->costs[here + node]) continue;
    double weight = exp(scores[class].weight - most);
    if (weight > 0 || found->edge < 0) *found = (crossing){edge, class, scores[class]};
    *passed += weight;
    if (*passed > share) return true;
  }
  return false;
}

/* The highest weight of these classes. */
static double most_weight(const lattice *l, int32_t position, int32_t node) {
  const dimple_constraint *c = l->constraint;
  int64_t here = (int64_t)position * c->node_count;
  double most = -INFINITY;
  for (int64_t e = c->edge_first[node]; e < c->edge_first[node + 1]; e++) {
    int64_t target = here + c->node_count + c->edge_target[e];
    if (!l->open[target]) continue;
    best_way best = best_of_label(l, position, c->edge_label[e]);
    if (best.cost + l->costs[target] == l->costs[here + node] && best.weight > most) most = best.weight;
  }
  return most;
}

/* A way on drawn by the weights of the tokens that can stand here. */
static crossing drawn_crossing(const lattice *l, int32_t position, int32_t node, const path_settings *s) {
  const dimple_constraint *c = l->constraint;
  double most = most_weight(l, position, node), sum = 0, passed = 0;
  crossing found = {.edge = -1};
  for (int64_t e = c->edge_first[node]; e < c->edge_first[node + 1]; e++)
    pass_edge(l, position, node, e, most, INFINITY, &sum, &found);
  double share = uniform(s, position, DRAW_PATH, 0) * sum;
  for (int64_t e = c->edge_first[node]; e < c->edge_first[node + 1]; e++)
    if (pass_edge(l, position, node, e, most, share, &passed, &found)) return found;
  return found;
}

/* Tokens from a node to the nearest end; an end that is there comes first. */
static int32_t tokens_left(const dimple_constraint *c, int32_t node) { return node == c->end ? -1 : c->distance[node]; }

/* Over a position without scores: towards the nearest end among the best continuations. */
static crossing nearest_crossing(const lattice *l, int32_t position, int32_t node) {
  const dimple_constraint *c = l->constraint;
  int64_t behind = ((int64_t)position + 1) * c->node_count;
  crossing found = {.edge = -1};
  for (int64_t e = c->edge_first[node]; e < c->edge_first[node + 1]; e++) {
    int32_t target = c->edge_target[e];
    if (!l->open[behind + target]) continue;
    if (found.edge >= 0) {
      int32_t best = c->edge_target[found.edge], cost = l->costs[behind + best] - l->costs[behind + target];
      double weight = l->values[behind + target] - l->values[behind + best];
      if (cost < 0 || (cost == 0 && (weight < 0 || (weight == 0 && tokens_left(c, target) >= tokens_left(c, best))))) continue;
    }
    found.edge = e;
  }
  found.score.token = c->label_lowest[c->edge_label[found.edge]];
  return found;
}

void lattice_find_path(lattice *l, const path_settings *s) {
  const dimple_constraint *c = l->constraint;
  bool draws = s->temperature > 0;
  int64_t last = (int64_t)l->length * c->node_count;
  for (int32_t n = 0; n < c->node_count; n++) {
    l->values[last + n] = 0;
    l->costs[last + n] = 0;
  }
  for (int32_t i = l->length - 1; i >= 0; i--) value_position(l, i);
  int32_t node = c->start;
  for (int32_t i = 0; i < l->length; i++) {
    if (l->tokens[i] >= 0) {
      l->path[i] = (path_token){.token = l->tokens[i]};
      node = constraint_step(c, node, l->tokens[i]);
      continue;
    }
    crossing way = !l->scored[i] ? nearest_crossing(l, i, node)
                   : draws       ? drawn_crossing(l, i, node, s)
                                 : best_crossing(l, i, node);
    l->path[i] = (path_token){way.score.token, way.score.logit};
    node = c->edge_target[way.edge];
  }
  l->has_path = true;
}
