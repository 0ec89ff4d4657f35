/* Assertions for the C tests: a failure prints file, line and values, is counted, and the test goes on. */
#ifndef DIMPLE_EXPECT_H
#define DIMPLE_EXPECT_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "dimple.h"

/* Under sanitizers, where a test takes several times as long, less of the same will do. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

extern int expect_failures;
extern int expect_checks;

#define EXPECT(condition, ...)                                              \
  do {                                                                      \
    expect_checks++;                                                        \
    if (!(condition)) {                                                     \
      expect_failures++;                                                    \
      printf("%s:%d: expected %s: ", __FILE__, __LINE__, #condition);       \
      printf(__VA_ARGS__);                                                  \
      printf("\n");                                                         \
    }                                                                       \
  } while (0)

/* The call succeeds. */
#define EXPECT_OK(call)                                                                                   \
  do {                                                                                                    \
    dimple_status expect_status = (call);                                                                 \
    EXPECT(expect_status == DIMPLE_OK, "%s gave %d: %s", #call, (int)expect_status, dimple_last_error()); \
  } while (0)

/* The call fails with `status` and a message that contains `text`. */
#define EXPECT_FAILS(call, status, text)                                                              \
  do {                                                                                                \
    dimple_status expect_status = (call);                                                             \
    EXPECT(expect_status == (status), "%s gave %d, not %s", #call, (int)expect_status, #status);      \
    EXPECT(strstr(dimple_last_error(), text) != NULL, "message \"%s\" lacks \"%s\"", dimple_last_error(), text); \
  } while (0)

/* The call refuses a null argument. */
#define EXPECT_NULL_REFUSED(call) EXPECT_FAILS(call, DIMPLE_ERROR_ARGUMENT, "null")

/* Prints the summary; main returns it. A test that checked nothing has failed. */
int expect_summary(const char *name);

#endif
