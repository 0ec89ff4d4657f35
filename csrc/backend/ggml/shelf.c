/* Graphs that wait for the next pass of their shape. */
#include <stdlib.h>
#include <string.h>

#include "room.h"

/* What a device keeps at most. A decoding has a shape for each number of rows that are still masked. */
enum { MOST_GRAPHS = 64, MOST_BYTES = 64 << 20 };

/* Held for as long as it takes to walk a list. */
static void lock(graph_shelf *s) {
  while (atomic_exchange(&s->busy, true)) continue;
}

static void unlock(graph_shelf *s) { atomic_store(&s->busy, false); }

void free_graph(graph *g) {
  if (!g) return;
  if (g->nodes) ggml_free(g->nodes);
  free(g->shape.list);
  free(g->bases);
  free(g->bound);
  free(g->places);
  free(g->inputs);
  free(g->outputs);
  free(g->sums);
  free(g);
}

static void free_list(graph *g) {
  while (g) {
    graph *next = g->next;
    free_graph(g);
    g = next;
  }
}

static bool has_shape(const graph *g, const numbers *shape) {
  return g->shape.count == shape->count && memcmp(g->shape.list, shape->list, (size_t)shape->count * sizeof *shape->list) == 0;
}

graph *take_graph(const device *d, const numbers *shape) {
  graph *found = NULL;
  lock(d->shelf);
  for (graph **at = &d->shelf->first; *at && !found; at = found ? at : &(*at)->next) {
    if (!has_shape(*at, shape)) continue;
    found = *at;
    *at = found->next;
    found->next = NULL;
  }
  unlock(d->shelf);
  return found;
}

static size_t bytes_of(const graph *g) { return ggml_used_mem(g->nodes) + (size_t)g->shape.count * sizeof *g->shape.list; }

void keep_graph(const device *d, graph *g) {
  size_t bytes = 0;
  int64_t count = 0;
  lock(d->shelf);
  g->next = d->shelf->first;
  d->shelf->first = g;
  graph **at = &d->shelf->first;
  for (; *at; at = &(*at)->next) {
    bytes += bytes_of(*at);
    if (++count > MOST_GRAPHS || bytes > MOST_BYTES) break;
  }
  graph *oldest = *at;
  *at = NULL;
  unlock(d->shelf);
  free_list(oldest);
}

/* Numbers of a model's weights lie together: a graph between whose lowest and highest one the weight is, or without any, may be another model's; then it
 * is built anew. */
void drop_graphs_of(const device *d, uint64_t weight) {
  graph *dropped = NULL;
  lock(d->shelf);
  for (graph **at = &d->shelf->first; *at;) {
    graph *g = *at;
    if (g->first_weight <= g->last_weight && (weight < g->first_weight || weight > g->last_weight)) {
      at = &g->next;
      continue;
    }
    *at = g->next;
    g->next = dropped;
    dropped = g;
  }
  unlock(d->shelf);
  free_list(dropped);
}

int64_t count_graphs(const device *d) {
  int64_t count = 0;
  lock(d->shelf);
  for (const graph *g = d->shelf->first; g; g = g->next) count++;
  unlock(d->shelf);
  return count;
}
