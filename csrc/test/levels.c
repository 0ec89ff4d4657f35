/* Prints the levels of backend/cpu/levels.cmake that this machine runs, best first, on a line, with commas between them: what DIMPLE_CPU_LEVELS takes. */
#include <stdio.h>
#include <string.h>

#include "backend/backend.h"

int main(void) {
  const char *between = "";
  for (const backend_operations *const *each = backend_list; *each; each++) {
    const char *name = (*each)->name;
    if (strncmp(name, "cpu-", 4) != 0 || !(*each)->available()) continue;
    printf("%s", between);
    for (const char *c = name + 4; *c; c++) putchar(*c == '-' ? '_' : *c);
    between = ",";
  }
  putchar('\n');
  return 0;
}
