#include "test/expect.h"

int expect_failures;
int expect_checks;

int expect_summary(const char *name) {
  printf("%s: %d checks, %d failed\n", name, expect_checks, expect_failures);
  return expect_failures != 0 || expect_checks == 0;
}
