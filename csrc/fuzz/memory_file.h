/* A file that is an input in memory: the core maps it as it does a real one, but nothing is written to a disk, and a sanitizer knows where
 * it ends to the byte. Programs that link this pass --wrap for the functions that it replaces (CMakeLists.txt). */
#ifndef DIMPLE_FUZZ_MEMORY_FILE_H
#define DIMPLE_FUZZ_MEMORY_FILE_H

#include <stddef.h>
#include <stdint.h>

/* A path that the core opens: the input, which has to stay where it is. So is every other path: of a model in parts all are alike. */
const char *memory_file(const uint8_t *data, size_t size);

#endif
