#include "backend/cpu/head_classes.h"

#include <math.h>
#include <stdlib.h>

#include "draws.h"
#include "error.h"

/* Memory for the segments of a wave: enough chunks for many threads, and little beside what the classes of the rows take. */
enum { WAVE_BYTES = 4 << 20 };

dimple_status cpu_classes_open(const head_call *call, const cpu_kernels *kernels, int64_t rows, int64_t chunks, class_reduction *out) {
  *out = (class_reduction){.call = call, .kernels = kernels, .wave = chunks};
  if (!call->classes) return DIMPLE_OK;
  const head_partition *p = call->classes->partition;
  int64_t of_chunk = larger(1, rows * p->most_segments * (int64_t)sizeof *out->segments);
  out->wave = smaller(chunks, larger(1, WAVE_BYTES / of_chunk));
  size_t segments = (size_t)(out->wave * of_chunk), sums = (size_t)(rows * p->classes) * sizeof *out->sums;
  out->segments = malloc(segments);
  out->sums = malloc(sums ? sums : 1);
  if (out->segments && out->sums) return DIMPLE_OK;
  cpu_classes_close(out);
  return dimple_fail_memory(segments + sums, "classes of tokens in the head");
}

void cpu_classes_close(class_reduction *c) {
  free(c->segments);
  free(c->sums);
  *c = (class_reduction){0};
}

void cpu_classes_begin(class_reduction *c, int64_t rows) {
  int64_t count = c->sums ? rows * c->call->classes->partition->classes : 0;
  for (int64_t i = 0; i < count; i++)
    c->sums[i] = (class_sums){.best = -INFINITY, .second = -INFINITY, .best_token = -1, .drawn_token = -1, .drawn_score = -INFINITY};
}

static float draw(const head_call *call, int64_t at, draw_purpose purpose, int32_t segment) {
  return draw_uniform(call->seed, (uint32_t)call->iteration, (uint32_t)call->positions[at], purpose, (uint32_t)segment);
}

static const uint8_t *wanted_of(const class_reduction *c, int64_t at) {
  return c->call->classes->wanted + at * c->call->classes->partition->classes;
}

static chunk_summary *segments_of(const class_reduction *c, int64_t row, int64_t place) {
  return c->segments + (row * c->wave + place) * c->call->classes->partition->most_segments;
}

void cpu_classes_summarize(const class_reduction *c, int64_t row, int64_t at, int64_t chunk, int64_t place, const float *z) {
  const head_call *call = c->call;
  const head_partition *p = call->classes->partition;
  const uint8_t *wanted = wanted_of(c, at);
  const float *of_vocabulary = z - chunk * HEAD_CHUNK;
  chunk_summary *out = segments_of(c, row, place);
  float members[HEAD_CHUNK];
  for (int32_t s = p->chunk_first[chunk]; s < p->chunk_first[chunk + 1]; s++, out++) {
    if (!wanted[p->segment_class[s]]) continue;
    const int32_t *tokens = p->tokens + p->segment_first[s];
    int32_t count = p->segment_first[s + 1] - p->segment_first[s];
    if (count == 1) {
      float logit = of_vocabulary[tokens[0]];
      *out = (chunk_summary){.best = logit, .second = -INFINITY, .drawn_logit = logit, .sum = 1, .hot_sum = 1};
      continue;
    }
    for (int32_t i = 0; i < count; i++) members[i] = of_vocabulary[tokens[i]];
    float u = call->temperature > 0 ? draw(call, at, DRAW_SEGMENT_TOKEN, s) : 0.5f;
    c->kernels->summarize(members, count, call->temperature, u, out);
  }
}

/* Makes the sums relative to another logit, `below` that far below it. */
static void rescale(double below, double temperature, bool hot, class_sums *sums) {
  double weight = exp(below), hotter = hot ? exp(below / temperature) : weight;
  double hot_below = hot ? below / temperature : below;
  sums->mean = weight * (sums->mean + below * sums->sum);
  sums->sum *= weight;
  sums->hot_mean = hotter * (sums->hot_mean + hot_below * sums->hot_sum);
  sums->hot_sum *= hotter;
}

static void add(const chunk_summary *s, double temperature, bool hot, class_sums *to) {
  class_sums own = {.sum = s->sum, .mean = s->mean, .hot_sum = s->hot_sum, .hot_mean = s->hot_mean};
  if (to->best == -INFINITY) {
    to->best = s->best;
    to->second = s->second;
  } else if (s->best > to->best) {
    rescale((double)to->best - s->best, temperature, hot, to);
    to->second = to->best > s->second ? to->best : s->second;
    to->best = s->best;
  } else {
    if (s->best < to->best) rescale((double)s->best - to->best, temperature, hot, &own);
    if (s->best > to->second) to->second = s->best;
  }
  to->sum += own.sum;
  to->mean += own.mean;
  to->hot_sum += own.hot_sum;
  to->hot_mean += own.hot_mean;
}

void cpu_classes_merge(const class_reduction *c, int64_t row, int64_t at, int64_t first, int64_t count) {
  const head_call *call = c->call;
  const head_partition *p = call->classes->partition;
  const uint8_t *wanted = wanted_of(c, at);
  class_sums *sums = c->sums + row * p->classes;
  bool hot = call->temperature > 0;
  double temperature = hot ? call->temperature : 1;
  for (int64_t chunk = first; chunk < first + count; chunk++) {
    const chunk_summary *segment = segments_of(c, row, chunk - first);
    for (int32_t s = p->chunk_first[chunk]; s < p->chunk_first[chunk + 1]; s++, segment++) {
      if (!wanted[p->segment_class[s]]) continue;
      class_sums *to = &sums[p->segment_class[s]];
      const int32_t *tokens = p->tokens + p->segment_first[s];
      if (to->best_token < 0 || segment->best > to->best) to->best_token = tokens[segment->best_token];
      add(segment, temperature, hot, to);
      double score = hot ? segment->best / temperature + log(segment->hot_sum) - log(-log(draw(call, at, DRAW_SEGMENT, s))) : 0;
      if (!hot || !(score > to->drawn_score)) continue;
      to->drawn_score = score;
      to->drawn_token = tokens[segment->drawn_token];
      to->drawn_logit = segment->drawn_logit;
    }
  }
}

void cpu_classes_finish(const class_reduction *c, int64_t row, int64_t at) {
  const head_call *call = c->call;
  int64_t classes = call->classes->partition->classes;
  const uint8_t *wanted = wanted_of(c, at);
  const class_sums *sums = c->sums + row * classes;
  head_row *out = call->classes->results + at * classes;
  bool hot = call->temperature > 0;
  double temperature = hot ? call->temperature : 1;
  for (int64_t i = 0; i < classes; i++) {
    if (!wanted[i]) continue;
    const class_sums *s = &sums[i];
    out[i] = (head_row){.best = s->best_token, .best_logit = s->best, .second_logit = s->second,
                        .drawn = hot ? s->drawn_token : s->best_token, .drawn_logit = hot ? s->drawn_logit : s->best,
                        .log_sum = (float)(s->best + log(s->sum)), .mean_logit = (float)(s->best + s->mean / s->sum)};
    out[i].hot_log_sum = hot ? (float)(s->best / temperature + log(s->hot_sum)) : out[i].log_sum;
    out[i].hot_mean = hot ? (float)(s->best / temperature + s->hot_mean / s->hot_sum) : out[i].mean_logit;
  }
}
