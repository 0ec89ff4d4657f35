#include "constraint/partition.h"

#include <string.h>

#include "allocate.h"

static int32_t chunks_of(int32_t vocabulary) { return (vocabulary + HEAD_CHUNK - 1) / HEAD_CHUNK; }

/* Calls of every segment, class by class: counts it, or writes it down where those before it end. */
static void each_segment(const token_classes *c, void (*found)(void *context, int32_t class, const int32_t *tokens, int32_t count),
                         void *context) {
  for (int32_t k = 0; k < c->count; k++) {
    for (int32_t i = c->first[k], end; i < c->first[k + 1]; i = end) {
      end = i + 1;
      while (end < c->first[k + 1] && c->members[end] / HEAD_CHUNK == c->members[i] / HEAD_CHUNK) end++;
      found(context, k, c->members + i, end - i);
    }
  }
}

/* Counted one chunk on, so that sums are where chunks begin. */
typedef struct counts {
  int32_t *segments, *tokens; /* [chunks + 1] */
} counts;

static void count_segment(void *context, int32_t class, const int32_t *tokens, int32_t count) {
  (void)class;
  counts *of = context;
  of->segments[tokens[0] / HEAD_CHUNK + 1]++;
  of->tokens[tokens[0] / HEAD_CHUNK + 1] += count;
}

typedef struct filling {
  head_partition *to;
  counts next; /* where the next segment of each chunk goes */
} filling;

static void write_segment(void *context, int32_t class, const int32_t *tokens, int32_t count) {
  filling *f = context;
  int32_t chunk = tokens[0] / HEAD_CHUNK, at = f->next.segments[chunk]++;
  f->to->segment_class[at] = class;
  f->to->segment_first[at] = f->next.tokens[chunk];
  memcpy(f->to->tokens + f->next.tokens[chunk], tokens, (size_t)count * sizeof *tokens);
  f->next.tokens[chunk] += count;
}

static dimple_status fill(const token_classes *c, int32_t vocabulary, counts of, head_partition *p) {
  int32_t chunks = chunks_of(vocabulary);
  memset(of.segments, 0, ((size_t)chunks + 1) * sizeof *of.segments);
  memset(of.tokens, 0, ((size_t)chunks + 1) * sizeof *of.tokens);
  each_segment(c, count_segment, &of);
  for (int32_t i = 0; i < chunks; i++) {
    if (of.segments[i + 1] > p->most_segments) p->most_segments = of.segments[i + 1];
    of.segments[i + 1] += of.segments[i];
    of.tokens[i + 1] += of.tokens[i];
  }
  p->classes = c->count;
  p->segments = of.segments[chunks];
  ALLOCATE(p->chunk_first, chunks + 1, "the chunks of token classes");
  ALLOCATE(p->segment_class, p->segments, "the segments of token classes");
  ALLOCATE(p->segment_first, p->segments + 1, "the segments of token classes");
  ALLOCATE(p->tokens, of.tokens[chunks], "the segments of token classes");
  memcpy(p->chunk_first, of.segments, ((size_t)chunks + 1) * sizeof *of.segments);
  p->segment_first[p->segments] = of.tokens[chunks];
  each_segment(c, write_segment, &(filling){p, of});
  return DIMPLE_OK;
}

static dimple_status create(const token_classes *c, int32_t vocabulary, counts *of, head_partition *p) {
  ALLOCATE(of->segments, chunks_of(vocabulary) + 1, "the chunks of token classes");
  ALLOCATE(of->tokens, chunks_of(vocabulary) + 1, "the chunks of token classes");
  return fill(c, vocabulary, *of, p);
}

dimple_status partition_create(const token_classes *c, int32_t vocabulary, head_partition *out) {
  head_partition fresh = {0};
  counts of = {0};
  dimple_status status = create(c, vocabulary, &of, &fresh);
  free(of.segments);
  free(of.tokens);
  if (status != DIMPLE_OK) {
    partition_free(&fresh);
    return status;
  }
  *out = fresh;
  return DIMPLE_OK;
}

void partition_free(head_partition *p) {
  free(p->chunk_first);
  free(p->segment_class);
  free(p->segment_first);
  free(p->tokens);
  *p = (head_partition){0};
}

int64_t partition_bytes(const head_partition *p) {
  if (!p->chunk_first) return 0;
  return 2 * (int64_t)p->segments * (int64_t)sizeof *p->segment_class + p->segment_first[p->segments] * (int64_t)sizeof *p->tokens;
}
