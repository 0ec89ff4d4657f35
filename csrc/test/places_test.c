/*
 * A device decides the same wherever it is: in this process, in one of its own, and lent by GGML's servers, one or several that share the layers. By
 * decodings whose heads it reduces: filters, biases, guidance, constraints, draws. Where libdimple-ggml is.
 * places_test [DEVICE...]: beside ggml:CPU and child:ggml:CPU, each a name or several, as dimple_model_options has them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/plugin.h"
#include "model/model.h"
#include "test/constraint_fixture.h"
#include "test/filters_fixture.h"

enum { FREE = 24, HELD = 24, TRAILS = FREE + HELD };

/* All decodings of a model of this file on a device; false if it cannot be loaded there. */
static bool play(const char *path, const char *device, trail *trails) {
  dimple_model *m = NULL;
  EXPECT_OK(dimple_model_load(path, &(dimple_model_options){.backend = device, .threads = 1}, &m));
  if (!m) return false;
  uint32_t parts = HEAD_LISTS | HEAD_GUIDANCE | HEAD_BIASES;
  EXPECT(strcmp(m->ops->name, device) == 0 && (m->ops->head_parts & parts) == parts, "%s reduces %u of a head", m->ops->name, (unsigned)m->ops->head_parts);
  dimple_vocabulary *v = numbers_written_out(m->text.vocab);
  dimple_constraint *c = v ? sevenths(v) : NULL;
  for (uint32_t n = 0; n < FREE; n++) {
    filtered_round round = free_round(n, true);
    trails[n] = play_round(m, &round, NULL);
  }
  for (uint32_t n = 0; n < HELD && c; n++) {
    filtered_round round = held_round(n, true);
    trails[FREE + n] = play_round(m, &round, c);
  }
  dimple_constraint_free(c);
  dimple_vocabulary_free(v);
  dimple_model_free(m);
  return c != NULL;
}

static void same_everywhere(int32_t vocabulary, const char *const *devices, int count) {
  static trail expected[TRAILS], found[TRAILS];
  char path[64];
  int64_t different = 0;
  random_model_save(&(model_shape){.vocab = vocabulary, .layers = 4}, path);
  if (play(path, "ggml:CPU", expected)) {
    for (int i = 1; i < TRAILS; i++) different += memcmp(&expected[i], &expected[0], sizeof *expected) != 0;
    EXPECT(different > TRAILS * 3 / 4, "%d decodings differ from the first", (int)different);
    for (int i = 0; i < count; i++) {
      if (!play(path, devices[i], found)) continue;
      for (int n = 0; n < TRAILS; n++)
        EXPECT(nearly_same(&found[n], &expected[n], 0), "%s, vocabulary of %d: %s decoding %d is another one", devices[i], (int)vocabulary,
               n < FREE ? "free" : "held", n < FREE ? n : n - FREE);
      printf("%s, vocabulary of %d: %d decodings\n", devices[i], (int)vocabulary, TRAILS);
    }
  }
  remove(path);
}

int main(int argc, char **argv) {
  const char *devices[8] = {"child:ggml:CPU"};
  int count = 1;
  for (int i = 1; i < argc && count < 8; i++) devices[count++] = argv[i];
  if (!plugin_find()->add_child) {
    printf("places_test: libdimple-ggml is not there, nothing was tested\n");
    return 0;
  }
  setenv("DIMPLE_RPC_FUSED", "1", 1); /* servers' attention by the same operation as this process's */
  same_everywhere(VOCAB, devices, count);
  same_everywhere(5000, devices, count);
  return expect_summary("places_test");
}
