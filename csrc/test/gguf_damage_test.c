/* The GGUF reader on bad files: every kind of damage, truncation at every byte, and mutated files. */
#include "test/gguf_fixture.h"

#include <stdlib.h>

#include "test/files.h"

static void test_bad_paths(void) {
  gguf_file *file = NULL;
  EXPECT_FAILS(gguf_open("/nowhere/to/be/found.gguf", &file), DIMPLE_ERROR_IO, "/nowhere/to/be/found.gguf");
  EXPECT_FAILS(gguf_open("", &file), DIMPLE_ERROR_IO, "cannot open");
  EXPECT_FAILS(gguf_open(directory, &file), DIMPLE_ERROR_IO, "directory");
  EXPECT_FAILS(gguf_open(null_device, &file), DIMPLE_ERROR_IO, "regular");
  char pipe_path[sizeof path + 8];
  snprintf(pipe_path, sizeof pipe_path, "%s/pipe", directory);
  if (make_pipe(pipe_path)) EXPECT_FAILS(gguf_open(pipe_path, &file), DIMPLE_ERROR_IO, "regular");
  remove(pipe_path);
  EXPECT(file == NULL, "output was set");
}

static void test_bad_headers(void) {
  image.size = 0;
  EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "empty");
  start_file(3, 0, 0);
  memcpy(image.data, "PK\3\4", 4);
  EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "50 4b 03 04");
  start_file(1, 0, 0);
  EXPECT_REFUSED(DIMPLE_ERROR_UNSUPPORTED, "version 1;");
  start_file(0, 0, 0);
  EXPECT_REFUSED(DIMPLE_ERROR_UNSUPPORTED, "version 0;");
  start_file(4, 0, 0);
  EXPECT_REFUSED(DIMPLE_ERROR_UNSUPPORTED, "version 4;");
  start_file(0x03000000, 0, 0);
  EXPECT_REFUSED(DIMPLE_ERROR_UNSUPPORTED, "big-endian");
  const uint64_t counts[] = {1, 1000, UINT32_MAX, INT64_MAX, UINT64_MAX};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    start_file(3, counts[i], 0);
    EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "more than fit");
    start_file(3, 0, counts[i]);
    EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "more than fit");
  }
}

static void put_room(void) { gguf_put(&image, "0123456789012345678901234567890123456789", 40); }

static void test_bad_metadata(void) {
  start_file(3, 0, 1);
  gguf_put_key(&image, "", DIMPLE_METADATA_UINT8), put_room();
  EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "empty");
  start_file(3, 0, 1);
  gguf_put_u64(&image, 65536);
  for (int i = 0; i < 65536 + 16; i++) gguf_put_u8(&image, 'k');
  EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "65535");
  const uint64_t lengths[] = {41, 1000, INT64_MAX, UINT64_MAX - 7, UINT64_MAX};
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    start_file(3, 0, 1);
    gguf_put_u64(&image, lengths[i]), put_room();
    EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "the file ends");
    start_file(3, 0, 1);
    gguf_put_key(&image, "text", DIMPLE_METADATA_STRING), gguf_put_u64(&image, lengths[i]), put_room();
    EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "the file ends");
    start_file(3, 0, 1);
    gguf_put_array_key(&image, "text", DIMPLE_METADATA_STRING, 2), gguf_put_string(&image, "good"), gguf_put_u64(&image, lengths[i]), put_room();
    EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "the file ends");
    for (uint32_t type = 0; type <= DIMPLE_METADATA_FLOAT64; type++) {
      start_file(3, 0, 1);
      gguf_put_array_key(&image, "list", type, lengths[i]), put_room();
      if (type == DIMPLE_METADATA_ARRAY) EXPECT_REFUSED(DIMPLE_ERROR_UNSUPPORTED, "array of arrays");
      else EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "\"list\"");
    }
  }
  const uint32_t types[] = {13, 255, 0x80000000, UINT32_MAX};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    start_file(3, 0, 1);
    gguf_put_key(&image, "odd", types[i]), put_room();
    EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "\"odd\" has type");
    start_file(3, 0, 1);
    gguf_put_array_key(&image, "odd", types[i], 1), put_room();
    EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "element type");
  }
  start_file(3, 0, 1);
  gguf_put_key(&image, "flag", DIMPLE_METADATA_BOOL), gguf_put_u8(&image, 2);
  EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "\"flag\": a bool is 2");
  start_file(3, 0, 1);
  gguf_put_array_key(&image, "flags", DIMPLE_METADATA_BOOL, 3), gguf_put_u8(&image, 0), gguf_put_u8(&image, 1), gguf_put_u8(&image, 0xff);
  EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "\"flags\": a bool is 255");
  start_file(3, 0, 3);
  gguf_put_key(&image, "twice", DIMPLE_METADATA_UINT8), gguf_put_u8(&image, 0);
  gguf_put_key(&image, "once", DIMPLE_METADATA_UINT8), gguf_put_u8(&image, 0);
  gguf_put_key(&image, "twice", DIMPLE_METADATA_BOOL), gguf_put_u8(&image, 0);
  EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "\"twice\" is there twice");
  start_file(3, 0, 1);
  gguf_put_key(&image, "zero", DIMPLE_METADATA_STRING), gguf_put_u64(&image, 3), gguf_put(&image, "a\0b", 3);
  gguf_file *file = NULL;
  EXPECT_OK(open_image(&file)); /* readable as bytes, not as a C string */
  char text[8];
  EXPECT_FAILS(gguf_require_string(file, "zero", text, sizeof text), DIMPLE_ERROR_FORMAT, "zero byte");
  gguf_close(file);
  /* A key longer than any message is cut in it. */
  start_file(3, 0, 1);
  gguf_put_u64(&image, 60000);
  for (int i = 0; i < 60000; i++) gguf_put_u8(&image, 'k');
  gguf_put_u32(&image, 77);
  EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "has type 77");
}

/* A file with one tensor and 4096 bytes of data. */
static void build_one_tensor(const char *name, uint32_t dimension_count, const uint64_t *dimensions, uint32_t type, uint64_t offset) {
  start_file(3, 1, 0);
  gguf_put_tensor(&image, name, dimension_count, dimensions, type, offset);
  gguf_put_padding(&image, 32);
  gguf_put_zeros(&image, 4096);
}

static void test_bad_tensors(void) {
  gguf_file *file = NULL;
  char name[70];
  memset(name, 'n', sizeof name);
  name[64] = 0;
  build_one_tensor(name, 1, (uint64_t[]){4}, DIMPLE_TENSOR_F32, 0);
  EXPECT_OK(open_image(&file));
  EXPECT(gguf_find_tensor(file, name) != NULL, "a name of 64 bytes");
  gguf_close(file);
  name[64] = 'n', name[65] = 0;
  build_one_tensor(name, 1, (uint64_t[]){4}, DIMPLE_TENSOR_F32, 0);
  EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "above 64 bytes");
  build_one_tensor("", 1, (uint64_t[]){4}, DIMPLE_TENSOR_F32, 0);
  EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "empty");
  build_one_tensor("abc", 1, (uint64_t[]){4}, DIMPLE_TENSOR_F32, 0);
  image.data[24 + 8 + 1] = 0;
  EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "zero byte");

  for (uint32_t dimensions = 5; dimensions < 8; dimensions++) {
    build_one_tensor("t", dimensions, (uint64_t[8]){1, 1, 1, 1, 1, 1, 1, 1}, DIMPLE_TENSOR_F32, 0);
    EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "dimensions, expected 1 .. 4");
  }
  build_one_tensor("t", 0, NULL, DIMPLE_TENSOR_F32, 0);
  EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "has 0 dimensions");
  build_one_tensor("t", 1, (uint64_t[]){4}, DIMPLE_TENSOR_F32, 0);
  memset(image.data + 24 + 8 + 1, 0xff, 4);
  EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "4294967295 dimensions");
  const uint64_t bad_shapes[][4] = {{0, 1, 1, 1},
                                    {4, 0, 1, 1},
                                    {4, 1, 1, 0},
                                    {UINT64_MAX, 1, 1, 1},
                                    {1ull << 63, 1, 1, 1},
                                    {1ull << 32, 1ull << 31, 1, 1},
                                    {1ull << 20, 1ull << 20, 1ull << 20, 1ull << 20},
                                    {1ull << 16, 1ull << 16, 1ull << 16, 1ull << 16}};
  for (size_t i = 0; i < sizeof bad_shapes / sizeof *bad_shapes; i++)
    for (uint32_t type = 0; type < 40; type++) { /* also those without a known size */
      build_one_tensor("t", 4, bad_shapes[i], type, 0);
      EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "tensor \"t\": dimension");
    }
  build_one_tensor("t", 2, (uint64_t[]){1ull << 31, 1ull << 31}, DIMPLE_TENSOR_F32, 0);
  EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "overflows");
  build_one_tensor("t", 2, (uint64_t[]){33, 2}, DIMPLE_TENSOR_Q8_0, 0);
  EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "rows of 33");
  build_one_tensor("t", 2, (uint64_t[]){16, 2}, DIMPLE_TENSOR_Q4_0, 0);
  EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "rows of 16");

  build_one_tensor("t", 1, (uint64_t[]){1024}, DIMPLE_TENSOR_F32, 0);
  EXPECT_OK(open_image(&file)); /* exactly to the end */
  gguf_close(file);
  build_one_tensor("t", 1, (uint64_t[]){1025}, DIMPLE_TENSOR_F32, 0);
  EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "takes 4100 bytes");
  const uint64_t offsets[] = {32, 4096, 1ull << 40, 1ull << 62, (uint64_t)INT64_MAX & ~31ull};
  for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
    build_one_tensor("t", 1, (uint64_t[]){1024}, DIMPLE_TENSOR_F32, offsets[i]);
    EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "but the file has");
  }
  build_one_tensor("t", 1, (uint64_t[]){1}, 99, 8192);
  EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "but the file has");
  const uint64_t misaligned[] = {1, 16, 33, 1ull << 63, UINT64_MAX};
  for (size_t i = 0; i < sizeof misaligned / sizeof *misaligned; i++) {
    build_one_tensor("t", 1, (uint64_t[]){4}, DIMPLE_TENSOR_F32, misaligned[i]);
    EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "multiple of the alignment");
  }

  /* "a" of so many floats in front of "b" of 8 floats at 64, described in both orders. */
  const struct { uint64_t length, offset; const char *refusal; } pairs[] = {
      {16, 0, NULL}, {9, 0, NULL}, {8, 0, "type or shape is wrong"}, {1, 0, "type or shape is wrong"}, {17, 0, "overlap"}, {32, 0, "overlap"},
      {8, 32, "does not start at offset 0"}, {1, 64, "does not start at offset 0"}};
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
    for (int order = 0; order < 2; order++) {
      start_file(3, 2, 0);
      if (order) put_vector("b", 8, DIMPLE_TENSOR_F32, 64);
      put_vector("a", pairs[i].length, DIMPLE_TENSOR_F32, pairs[i].offset);
      if (!order) put_vector("b", 8, DIMPLE_TENSOR_F32, 64);
      gguf_put_padding(&image, 32);
      gguf_put_zeros(&image, 256);
      if (!pairs[i].refusal) {
        EXPECT_OK(open_image(&file));
        gguf_close(file);
      } else {
        EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, pairs[i].refusal);
      }
    }
  start_file(3, 2, 0);
  put_vector("same", 8, DIMPLE_TENSOR_F32, 0);
  put_vector("same", 8, DIMPLE_TENSOR_F32, 32);
  gguf_put_padding(&image, 32);
  gguf_put_zeros(&image, 64);
  EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "\"same\": is there twice");
}

static void test_truncation(void) {
  build_sample(3);
  size_t whole = image.size;
  size_t needed = whole - DATA_SIZE + 192; /* behind it nobody knows how much the last tensor takes */
  for (size_t size = 0; size < needed; size++) {
    write_file(size);
    gguf_file *file = NULL;
    dimple_status status = gguf_open(path, &file);
    EXPECT(status == DIMPLE_ERROR_FORMAT && file == NULL && strstr(dimple_last_error(), path), "%zu of %zu bytes gave %d: %s", size, whole,
           (int)status, dimple_last_error());
    gguf_close(file);
  }
}

static uint64_t random_state;
static uint64_t next_random(void) { /* splitmix64 */
  uint64_t z = random_state += 0x9e3779b97f4a7c15ull;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ z >> 27) * 0x94d049bb133111ebull;
  return z ^ z >> 31;
}

/* Reads everything an opened file offers; false if a pointer leaves the file or a name leads to another tensor. */
static bool read_everything(const gguf_file *file) {
  if (gguf_metadata_count(file) == 0) return true;
  enum { FIRST_KEY = 4 + 4 + 8 + 8 + 8 }; /* its offset: magic, version, two counts, length */
  const uint8_t *start = (const uint8_t *)gguf_metadata_at(file, 0)->key - FIRST_KEY, *end = start + gguf_file_size(file);
  uint64_t sum = 0;
  for (int64_t i = 0; i < gguf_metadata_count(file); i++) {
    const dimple_metadata *value = gguf_metadata_at(file, i);
    const uint8_t *key = (const uint8_t *)value->key;
    if (key < start || key > end || value->key_size > (uint64_t)(end - key)) return false;
    if (value->data < start || value->data > end || value->size > (uint64_t)(end - value->data)) return false;
    for (uint64_t j = 0; j < value->key_size; j++) sum += key[j];
    for (uint64_t j = 0; j < value->size; j++) sum += value->data[j];
  }
  for (int64_t i = 0; i < gguf_tensor_count(file); i++) {
    const gguf_tensor *tensor = gguf_tensor_at(file, i);
    if (tensor->data && (tensor->data < start || tensor->data > end || tensor->size > end - tensor->data)) return false;
    for (int64_t j = 0; j < tensor->size; j++) sum += tensor->data[j];
    if (gguf_find_tensor(file, tensor->name) != tensor) return false;
  }
  int64_t number = 0, count = 0;
  float real = 0;
  char text[16];
  (void)gguf_optional_int(file, "u32", 0, 100, &number);
  (void)gguf_optional_float(file, "f64", &real);
  (void)gguf_optional_string(file, "general.architecture", text, sizeof text);
  (void)gguf_optional_int_array(file, "ints", &number, 1, &count);
  static volatile uint64_t seen;
  seen = sum; /* so that every byte is read */
  return seen == sum;
}

static void test_mutations(void) {
  enum { FILES = 20000 };
  static uint8_t original[4096];
  build_sample(3);
  size_t size = image.size;
  memcpy(original, image.data, size);
  int opened = 0, refused = 0;
  for (int i = 0; i < FILES; i++) {
    random_state = (uint64_t)i; /* every file can be built alone */
    memcpy(image.data, original, size);
    image.size = size;
    int changes = 1 + (int)(next_random() % 4);
    for (int change = 0; change < changes; change++) {
      size_t at = next_random() % (size - DATA_SIZE);
      uint64_t value = next_random();
      switch (next_random() % 4) {
        case 0: image.data[at] ^= (uint8_t)(1 << value % 8); break;
        case 1: image.data[at] = (uint8_t)value; break;
        case 2: memset(image.data + at, value % 2 ? 0xff : 0, 8); break;
        default: value = value >> value % 64; memcpy(image.data + at, &value, 8);
      }
    }
    if (next_random() % 8 == 0) image.size = next_random() % size;
    gguf_file *file = NULL;
    dimple_status status = open_image(&file);
    if (status == DIMPLE_OK) {
      opened++;
      EXPECT(read_everything(file), "file %d: a pointer leaves the file or a tensor is not found by its name", i);
      gguf_close(file);
    } else {
      refused++;
      EXPECT(status == DIMPLE_ERROR_FORMAT || status == DIMPLE_ERROR_UNSUPPORTED, "file %d: status %d", i, (int)status);
    }
  }
  EXPECT(opened > FILES / 100 && refused > FILES / 10, "%d opened, %d refused: the mutations test nothing", opened, refused);
}

int main(void) {
  gguf_fixture_open();
  test_bad_paths();
  test_bad_headers();
  test_bad_metadata();
  test_bad_tensors();
  test_truncation();
  test_mutations();
  gguf_fixture_close();
  return expect_summary("gguf_damage");
}
