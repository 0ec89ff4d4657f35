#include "fuzz/memory_file.h"

#include "error.h"
#include "platform/platform.h"

static platform_mapping input;

const char *memory_file(const uint8_t *data, size_t size) {
  input = (platform_mapping){.bytes = data, .size = (int64_t)size, .descriptor = -1};
  return "input-00001-of-00003.gguf";
}

dimple_status __wrap_platform_map(const char *path, const char *expected, platform_mapping *out);
void __wrap_platform_unmap(platform_mapping *mapping);
void __wrap_platform_release(const platform_mapping *mapping, int64_t offset, int64_t size);

dimple_status __wrap_platform_map(const char *path, const char *expected, platform_mapping *out) {
  if (input.size == 0) return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: is empty, expected %s", path, expected);
  *out = input;
  return DIMPLE_OK;
}

void __wrap_platform_unmap(platform_mapping *mapping) { *mapping = (platform_mapping){0}; }

void __wrap_platform_release(const platform_mapping *mapping, int64_t offset, int64_t size) {
  (void)mapping;
  (void)offset;
  (void)size;
}
