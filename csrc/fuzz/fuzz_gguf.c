/* A GGUF file is read: header, keys and tensors, alone or as the first of several parts. Whatever the reader hands out lies in the file,
 * and is found again by its name; typed access takes a key or refuses it. */
#include "fuzz/fuzz.h"
#include "fuzz/memory_file.h"
#include "gguf/parts.h"

enum { FEW = 4 };

int LLVMFuzzerInitialize(int *argument_count, char ***arguments) {
  (void)argument_count;
  (void)arguments;
  return 0;
}

static const uint8_t *input;
static size_t input_size;

static void lies_in_input(const void *bytes, uint64_t size) {
  const uint8_t *start = bytes;
  REQUIRE(start >= input && size <= input_size && (uint64_t)(start - input) <= input_size - size);
}

/* As whatever it is not, too. */
static void read_typed(const gguf_file *file, const char *key) {
  int64_t integer = 7, integers[FEW], count = 0;
  float number = 7, numbers[FEW];
  bool flag = false;
  char text[16] = "";
  if (gguf_optional_int(file, key, -100, 1 << 20, &integer) == DIMPLE_OK) REQUIRE(integer >= -100 && integer <= 1 << 20);
  if (gguf_optional_float(file, key, &number) == DIMPLE_OK) REQUIRE(number - number == 0);
  gguf_optional_bool(file, key, &flag);
  if (gguf_optional_string(file, key, text, sizeof text) == DIMPLE_OK) REQUIRE(memchr(text, 0, sizeof text));
  if (gguf_optional_int_array(file, key, integers, FEW, &count) == DIMPLE_OK) REQUIRE(count >= 0 && count <= FEW);
  if (gguf_optional_float_array(file, key, numbers, FEW, &count) == DIMPLE_OK) REQUIRE(count >= 0 && count <= FEW);
}

static void read_metadata(const gguf_file *file) {
  char key[40];
  for (int64_t i = 0; i < gguf_metadata_count(file); i++) {
    const dimple_metadata *m = gguf_metadata_at(file, i), *found = gguf_find_sized(file, m->key, m->key_size);
    lies_in_input(m->key, m->key_size);
    lies_in_input(m->data, m->size);
    REQUIRE(found == m);
    if (m->key_size >= sizeof key || memchr(m->key, 0, m->key_size)) continue;
    memcpy(key, m->key, m->key_size);
    key[m->key_size] = '\0';
    read_typed(file, key);
  }
}

static void read_tensors(const gguf_file *file) {
  for (int64_t i = 0; i < gguf_tensor_count(file); i++) {
    const gguf_tensor *t = gguf_tensor_at(file, i), *found = gguf_find_tensor(file, t->name);
    REQUIRE(found == t);
    if (t->data) lies_in_input(t->data, (uint64_t)t->size);
    for (int32_t j = 0; j < GGUF_MAX_DIMENSIONS; j++) REQUIRE(t->dimensions[j] >= 1);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  input = data;
  input_size = size;
  gguf_parts parts = {0};
  dimple_status status = gguf_parts_open(memory_file(data, size), &parts);
  if (status == DIMPLE_OK) {
    REQUIRE(parts.count == 1);
    read_metadata(parts.files[0]);
    read_tensors(parts.files[0]);
    mark((unsigned)size); /* as many as there are files that are read, about */
  } else {
    REQUIRE(status == DIMPLE_ERROR_FORMAT || status == DIMPLE_ERROR_UNSUPPORTED || status == DIMPLE_ERROR_MEMORY);
    REQUIRE(dimple_last_error()[0] != '\0' && !strchr(dimple_last_error(), '\n'));
  }
  gguf_parts_close(&parts);
  return 0;
}
