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

int main(int argc, char **argv) {
  check_selection(argc > 1 ? argv[1] : NULL);
  return expect_summary("backend_test");
}
