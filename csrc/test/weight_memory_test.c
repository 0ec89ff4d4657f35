/* Memory of packed weights: pieces are apart and aligned, whether they share a chunk or not, and go in any order. */
#include "backend/cpu/weight_memory.h"

#include <string.h>

#include "test/expect.h"

enum { PIECES = 50, UNIT = 3001 };

typedef struct piece {
  weight_chunk *chunk;
  uint8_t *bytes;
  int64_t count;
} piece;

static void fill(piece *p, uint8_t mark) {
  p->bytes[0] = p->bytes[p->count * UNIT - 1] = p->bytes[p->count * UNIT / 2] = mark;
}

static void pieces_are_apart_and_go_in_any_order(void) {
  static piece pieces[PIECES];
  weight_chunk *open = NULL;
  int shared = 0;
  for (int i = 0; i < PIECES; i++) {
    piece *p = &pieces[i];
    p->count = 1 + (int64_t)i * i % 1500; /* up to 4.5 MB, some below and above what shares */
    void *bytes = NULL;
    EXPECT_OK(weight_memory_take(&open, p->count, UNIT, "a piece", &p->chunk, &bytes));
    p->bytes = bytes;
    EXPECT((uintptr_t)bytes % 64 == 0, "piece %d at %p", i, bytes);
    shared += p->chunk != NULL;
    fill(p, (uint8_t)(1 + i));
  }
  EXPECT(shared > PIECES / 2 && shared < PIECES, "%d of %d share chunks", shared, PIECES);
  weight_memory_close(open);
  for (int step = 0; step < PIECES; step++) {
    int i = step * 77 % PIECES; /* each once: 77 and 50 have no common factor */
    piece *p = &pieces[i];
    uint8_t mark = (uint8_t)(1 + i);
    EXPECT(p->bytes[0] == mark && p->bytes[p->count * UNIT - 1] == mark && p->bytes[p->count * UNIT / 2] == mark, "piece %d is another's", i);
    weight_memory_give(p->chunk, p->bytes);
  }
}

static void what_cannot_be_is_refused(void) {
  weight_chunk *open = NULL, *chunk;
  void *bytes;
  EXPECT_FAILS(weight_memory_take(&open, INT64_MAX / 2, 4, "a piece", &chunk, &bytes), DIMPLE_ERROR_MEMORY, "a piece");
  EXPECT_FAILS(weight_memory_take(&open, -1, 4, "a piece", &chunk, &bytes), DIMPLE_ERROR_MEMORY, "a piece");
  EXPECT(!open, "a chunk was opened");
  weight_memory_close(NULL);
  weight_memory_give(NULL, NULL);
}

int main(void) {
  pieces_are_apart_and_go_in_any_order();
  what_cannot_be_is_refused();
  return expect_summary("weight memory");
}
