/* The best path through the lattice, from its end backwards, or a drawn one. */
#include "constraint/lattice.h"

#include <math.h>
#include <string.h>

#include "constraint/lattice_draws.h"

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
  double share = lattice_uniform(s, position, DRAW_PATH, 0) * sum;
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
  int32_t node = l->start;
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
