/* Choosing a backend by name and by DIMPLE_CPU. */
#include <stdlib.h>

#include "backend/backend.h"
#include "expect.h"
#include "test/files.h"

/* backend_test [BEST]: BEST names the backend that this machine should choose by itself. */
static void check_selection(const char *expected) {
  set_environment("DIMPLE_CPU", NULL);
  const backend_operations *found = NULL;
  EXPECT_OK(backend_select(NULL, &found));
  const backend_operations *best = found;
  EXPECT(!expected || strcmp(best->name, expected) == 0, "the best backend is %s, not %s", best->name, expected);
  EXPECT_OK(backend_select("auto", &found));
  EXPECT(found == best, "auto is %s", found->name);
  const backend_operations *reference = NULL;
  EXPECT_OK(backend_select("ref", &reference));
  EXPECT(strcmp(reference->name, "ref") == 0, "ref is %s", reference->name);
  EXPECT_OK(backend_select("cpu-plain", &found));
  EXPECT(strcmp(found->name, "cpu-plain") == 0, "%s", found->name);
  EXPECT_FAILS(backend_select("cpu-quantum", &found), DIMPLE_ERROR_UNSUPPORTED, "cpu-plain");
  set_environment("DIMPLE_CPU", "plain");
  EXPECT_OK(backend_select("cpu", &found));
  EXPECT(strcmp(found->name, "cpu-plain") == 0, "%s", found->name);
  EXPECT_OK(backend_select("ref", &found));
  EXPECT(found == reference, "a named backend is not overridden: %s", found->name);
  set_environment("DIMPLE_CPU", "abacus");
  EXPECT_FAILS(backend_select(NULL, &found), DIMPLE_ERROR_UNSUPPORTED, "DIMPLE_CPU=\"abacus\"");
  EXPECT_FAILS(backend_select(NULL, &found), DIMPLE_ERROR_UNSUPPORTED, "plain");
  set_environment("DIMPLE_CPU", NULL);
  EXPECT(strstr(dimple_cpu_description(), "plain") && strstr(dimple_cpu_description(), "(selected)"), "%s", dimple_cpu_description());
}

/* Whether a level multiplies quantized weights as integers: all of ours do but the plain one; of others nothing is known. */
static bool has_integers(const char *level, bool found) {
  static const char *const with[] = {"cpu-avx2", "cpu-avx-vnni", "cpu-avx512-vnni", "cpu-amx", "cpu-neon", "cpu-neon-dotprod", "cpu-neon-i8mm"};
  for (size_t i = 0; i < sizeof with / sizeof *with; i++) {
    if (strcmp(level, with[i]) == 0) return true;
  }
  return found && strcmp(level, "cpu-plain") != 0;
}

/* Every level has them, of integers those that multiply quantized weights as such. Under sanitizers, which make their own speed, the best one and what
 * has none. */
static void check_peaks(void) {
  bool best = true;
  for (const backend_operations *const *each = backend_list; *each; each++) {
    if (!(*each)->available() || (SANITIZED && (*each)->measure_peaks && !best)) continue;
    if ((*each)->measure_peaks) best = false;
    dimple_peaks peaks = {-1, -1, -1};
    if (!(*each)->measure_peaks) {
      EXPECT_FAILS(dimple_measure_peaks((*each)->name, 1, &peaks), DIMPLE_ERROR_UNSUPPORTED, (*each)->name);
      continue;
    }
    EXPECT_OK(dimple_measure_peaks((*each)->name, 1, &peaks));
    EXPECT(peaks.f32_products > 10000000 && peaks.f32_products < 10000000000000, "%s: f32 %lld", (*each)->name, (long long)peaks.f32_products);
    EXPECT(peaks.memory_bytes > 10000000 && peaks.memory_bytes < 10000000000000, "%s: memory %lld", (*each)->name, (long long)peaks.memory_bytes);
    EXPECT((peaks.int8_products > 10000000) == has_integers((*each)->name, peaks.int8_products != 0), "%s: int8 %lld", (*each)->name, (long long)peaks.int8_products);
  }
  dimple_peaks peaks;
  EXPECT_FAILS(dimple_measure_peaks("abacus", 1, &peaks), DIMPLE_ERROR_UNSUPPORTED, "abacus");
  EXPECT_FAILS(dimple_measure_peaks(NULL, -1, &peaks), DIMPLE_ERROR_ARGUMENT, "-1");
  EXPECT_FAILS(dimple_measure_peaks(NULL, 1, NULL), DIMPLE_ERROR_ARGUMENT, "out");
}

int main(int argc, char **argv) {
  check_selection(argc > 1 ? argv[1] : NULL);
  check_peaks();
  return expect_summary("backend_test");
}
