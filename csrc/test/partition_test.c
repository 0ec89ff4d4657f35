/* Classes of tokens cut at the chunks of the vocabulary: every token stands once, in a segment of its class and chunk. */
#include "constraint/partition.h"

#include <stdlib.h>

#include "test/constraint_fixture.h"
#include "test/expect.h"

enum { MOST_TOKENS = 5000 };

/* Classes [count] of random tokens of a vocabulary; some have none. */
static token_classes random_classes(random_numbers *r, int32_t vocabulary, int32_t count, int32_t *of) {
  token_classes c = {.count = count, .first = calloc((size_t)count + 1, sizeof *c.first), .members = calloc(MOST_TOKENS, sizeof *c.members)};
  for (int32_t t = 0; t < vocabulary; t++) of[t] = random_below(r, 4) ? random_below(r, count) : -1;
  for (int32_t k = 0, at = 0; k < count; k++) {
    for (int32_t t = 0; t < vocabulary; t++)
      if (of[t] == k) c.members[at++] = t;
    c.first[k + 1] = at;
  }
  return c;
}

static void expect_partition(uint64_t seed, int32_t vocabulary, int32_t count) {
  random_numbers r = {.seed = seed};
  int32_t of[MOST_TOKENS], chunks = (vocabulary + HEAD_CHUNK - 1) / HEAD_CHUNK, most = 0, seen = 0, members = 0;
  token_classes c = random_classes(&r, vocabulary, count, of);
  head_partition p;
  EXPECT_OK(partition_create(&c, vocabulary, &p));
  EXPECT(p.classes == count && p.chunk_first[0] == 0 && p.chunk_first[chunks] == p.segments, "%d classes, %d segments", p.classes, p.segments);
  for (int32_t chunk = 0; chunk < chunks; chunk++) {
    int32_t before = -1;
    for (int32_t s = p.chunk_first[chunk]; s < p.chunk_first[chunk + 1]; s++) {
      EXPECT(p.segment_class[s] > before && p.segment_first[s] < p.segment_first[s + 1], "segment %d is empty or out of order", s);
      before = p.segment_class[s];
      for (int32_t i = p.segment_first[s]; i < p.segment_first[s + 1]; i++, seen++) {
        int32_t token = p.tokens[i];
        EXPECT(token / HEAD_CHUNK == chunk && of[token] == p.segment_class[s], "token %d stands in chunk %d, class %d", token, chunk, before);
        EXPECT(i == p.segment_first[s] || token > p.tokens[i - 1], "token %d is out of order", token);
      }
    }
    if (p.chunk_first[chunk + 1] - p.chunk_first[chunk] > most) most = p.chunk_first[chunk + 1] - p.chunk_first[chunk];
  }
  for (int32_t t = 0; t < vocabulary; t++) members += of[t] >= 0;
  EXPECT(seen == members && p.most_segments == most, "%d tokens, not %d; %d segments in a chunk", seen, members, p.most_segments);
  EXPECT(partition_bytes(&p) >= (int64_t)sizeof(int32_t) * members, "%lld bytes", (long long)partition_bytes(&p));
  partition_free(&p);
  EXPECT(partition_bytes(&p) == 0, "nothing is left");
  classes_free(&c);
}

int main(void) {
  expect_partition(1, 1, 1);
  expect_partition(2, 1024, 3);
  expect_partition(3, 1025, 40);
  expect_partition(4, MOST_TOKENS, 300);
  expect_partition(5, 700, 2);
  return expect_summary("partition");
}
