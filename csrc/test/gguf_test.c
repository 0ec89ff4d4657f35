/* The GGUF reader: good files, every kind of bad one, truncation at every byte, and mutated files. */
#include "gguf/gguf.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test/expect.h"
#include "test/gguf_writer.h"

/* ------------------------------------------------------------------------------------------------------ the file under test */

static gguf_bytes image; /* the file being built */

static void start_file(uint32_t version, uint64_t tensors, uint64_t keys) {
  image.size = 0;
  gguf_put_header(&image, version, tensors, keys);
}
static void put_vector(const char *name, uint64_t length, uint32_t type, uint64_t offset) {
  gguf_put_tensor(&image, name, 1, &length, type, offset);
}

static char directory[256], path[300];
static int descriptor = -1;

static void write_file(size_t size) {
  if (pwrite(descriptor, image.data, size, 0) != (ssize_t)size || ftruncate(descriptor, (off_t)size) != 0) {
    perror(path);
    exit(1);
  }
}

static dimple_status open_image(gguf_file **file) {
  write_file(image.size);
  return gguf_open(path, file);
}

/* The file of `image` is refused with a message that names the path and contains `text`. */
#define EXPECT_REFUSED(status, text)                  \
  do {                                                \
    gguf_file *refused = NULL;                        \
    EXPECT_FAILS(open_image(&refused), status, text); \
    EXPECT_FAILS(open_image(&refused), status, path); \
    EXPECT(refused == NULL, "output was set");        \
  } while (0)

/* -------------------------------------------------------------------------------------------------------------- good files */

enum { DATA_SIZE = 256 };

/* One key of every type; three tensors, at 0, 32 and 192 of the data section, the last of a type nobody knows. */
static void build_sample(uint32_t version) {
  start_file(version, 3, 19);
  gguf_put_key(&image, "general.architecture", DIMPLE_METADATA_STRING), gguf_put_string(&image, "dimple");
  gguf_put_key(&image, "u8", DIMPLE_METADATA_UINT8), gguf_put_u8(&image, 200);
  gguf_put_key(&image, "i8", DIMPLE_METADATA_INT8), gguf_put_u8(&image, 0x80);
  gguf_put_key(&image, "u16", DIMPLE_METADATA_UINT16), gguf_put(&image, "\xff\xff", 2);
  gguf_put_key(&image, "i16", DIMPLE_METADATA_INT16), gguf_put(&image, "\xff\xff", 2);
  gguf_put_key(&image, "u32", DIMPLE_METADATA_UINT32), gguf_put_u32(&image, UINT32_MAX);
  gguf_put_key(&image, "i32", DIMPLE_METADATA_INT32), gguf_put_u32(&image, (uint32_t)-5);
  gguf_put_key(&image, "u64", DIMPLE_METADATA_UINT64), gguf_put_u64(&image, UINT64_MAX);
  gguf_put_key(&image, "i64", DIMPLE_METADATA_INT64), gguf_put_u64(&image, (uint64_t)INT64_MIN);
  gguf_put_key(&image, "f32", DIMPLE_METADATA_FLOAT32), gguf_put_f32(&image, 1e-6f);
  gguf_put_key(&image, "f64", DIMPLE_METADATA_FLOAT64), gguf_put_f64(&image, 1e6);
  gguf_put_key(&image, "huge", DIMPLE_METADATA_FLOAT64), gguf_put_f64(&image, 1e300);
  gguf_put_key(&image, "nan", DIMPLE_METADATA_FLOAT32), gguf_put_u32(&image, 0x7fc00000);
  gguf_put_key(&image, "bool", DIMPLE_METADATA_BOOL), gguf_put_u8(&image, 1);
  gguf_put_key(&image, "empty", DIMPLE_METADATA_STRING), gguf_put_string(&image, "");
  gguf_put_array_key(&image, "strings", DIMPLE_METADATA_STRING, 3), gguf_put_string(&image, "a"), gguf_put_string(&image, "");
  gguf_put_string(&image, "bcd");
  gguf_put_array_key(&image, "ints", DIMPLE_METADATA_INT32, 4), gguf_put_u32(&image, 16), gguf_put_u32(&image, 24);
  gguf_put_u32(&image, (uint32_t)-24), gguf_put_u32(&image, 0);
  gguf_put_array_key(&image, "floats", DIMPLE_METADATA_FLOAT32, 3), gguf_put_f32(&image, 0.5f), gguf_put_f32(&image, 0.25f), gguf_put_f32(&image, -1);
  gguf_put_array_key(&image, "bools", DIMPLE_METADATA_BOOL, 2), gguf_put_u8(&image, 0), gguf_put_u8(&image, 1);
  gguf_put_tensor(&image, "blk.0.attn_q.weight", 2, (uint64_t[]){64, 2}, DIMPLE_TENSOR_Q8_0, 32);
  put_vector("norm", 3, DIMPLE_TENSOR_F32, 0);
  gguf_put_tensor(&image, "unknown", 4, (uint64_t[]){2, 3, 4, 5}, 99, 192);
  gguf_put_padding(&image, 32);
  gguf_put_f32(&image, 1), gguf_put_f32(&image, 2), gguf_put_f32(&image, 3);
  for (int i = 0; i < DATA_SIZE - 12; i++) gguf_put_u8(&image, (uint8_t)i);
}

static void test_sample(uint32_t version) {
  build_sample(version);
  gguf_file *file = NULL;
  EXPECT_OK(open_image(&file));
  if (!file) return;
  EXPECT(strcmp(gguf_path(file), path) == 0, "path %s", gguf_path(file));
  EXPECT(gguf_file_size(file) == (int64_t)image.size, "size %lld", (long long)gguf_file_size(file));

  EXPECT(gguf_metadata_count(file) == 19, "%lld keys", (long long)gguf_metadata_count(file));
  const dimple_metadata *value = gguf_metadata_at(file, 0);
  EXPECT(value == gguf_find(file, "general.architecture"), "order of keys");
  EXPECT(value->type == DIMPLE_METADATA_STRING && value->element_type == value->type && value->count == 1 && value->size == 6 &&
             memcmp(value->data, "dimple", 6) == 0, "string value");
  EXPECT(gguf_metadata_at(file, 19) == NULL && gguf_metadata_at(file, -1) == NULL, "past the end");
  EXPECT(gguf_find(file, "general") == NULL && gguf_find(file, "") == NULL && gguf_find(file, "u") == NULL, "absent key");
  for (int64_t i = 0; i < 19; i++) {
    char key[32] = "";
    memcpy(key, gguf_metadata_at(file, i)->key, gguf_metadata_at(file, i)->key_size);
    EXPECT(gguf_find(file, key) == gguf_metadata_at(file, i), "key %s", key);
  }
  value = gguf_find(file, "strings");
  EXPECT(value->type == DIMPLE_METADATA_ARRAY && value->element_type == DIMPLE_METADATA_STRING && value->count == 3 &&
             value->size == 3 * 8 + 4 && memcmp(value->data + 8 + 1 + 8 + 8, "bcd", 3) == 0, "string array");

  EXPECT(gguf_tensor_count(file) == 3, "%lld tensors", (long long)gguf_tensor_count(file));
  const gguf_tensor *tensor = gguf_find_tensor(file, "blk.0.attn_q.weight");
  EXPECT(tensor == gguf_tensor_at(file, 0), "order of tensors");
  EXPECT(tensor->type == DIMPLE_TENSOR_Q8_0 && tensor->dimension_count == 2 && tensor->dimensions[0] == 64 &&
             tensor->dimensions[1] == 2 && tensor->dimensions[2] == 1 && tensor->dimensions[3] == 1 && tensor->offset == 32 &&
             tensor->size == 136, "tensor description");
  tensor = gguf_find_tensor(file, "norm");
  EXPECT(tensor->size == 12 && memcmp(tensor->data, (float[]){1, 2, 3}, 12) == 0, "tensor data");
  tensor = gguf_find_tensor(file, "unknown");
  EXPECT(tensor->type == 99 && tensor->size == 0 && tensor->data == NULL && tensor->dimensions[3] == 5, "unknown type");
  EXPECT(gguf_find_tensor(file, "nor") == NULL && gguf_find_tensor(file, "zzz") == NULL, "absent tensor");
  EXPECT(gguf_tensor_at(file, 3) == NULL && gguf_tensor_at(file, -1) == NULL, "past the end");
  gguf_close(file);
}

static void test_typed_access(void) {
  build_sample(3);
  gguf_file *file = NULL;
  EXPECT_OK(open_image(&file));
  if (!file) return;
  const struct { const char *key; int64_t value; } integers[] = {
      {"u8", 200}, {"i8", -128}, {"u16", 65535}, {"i16", -1}, {"u32", UINT32_MAX}, {"i32", -5}, {"i64", INT64_MIN}};
  for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
    int64_t number = 0;
    EXPECT_OK(gguf_require_int(file, integers[i].key, INT64_MIN, INT64_MAX, &number));
    EXPECT(number == integers[i].value, "%s is %lld", integers[i].key, (long long)number);
  }
  int64_t number = 7;
  EXPECT_OK(gguf_optional_int(file, "absent", 0, 1, &number));
  EXPECT_FAILS(gguf_require_int(file, "absent", 0, 1, &number), DIMPLE_ERROR_FORMAT, "absent");
  EXPECT_FAILS(gguf_require_int(file, "u64", 0, INT64_MAX, &number), DIMPLE_ERROR_FORMAT, "18446744073709551615");
  EXPECT_FAILS(gguf_require_int(file, "u8", 0, 199, &number), DIMPLE_ERROR_FORMAT, "expected 0 .. 199");
  EXPECT_FAILS(gguf_require_int(file, "u8", 201, 300, &number), DIMPLE_ERROR_FORMAT, "is 200");
  EXPECT_FAILS(gguf_require_int(file, "f32", 0, 1, &number), DIMPLE_ERROR_FORMAT, "float32");
  EXPECT_FAILS(gguf_optional_int(file, "bool", 0, 1, &number), DIMPLE_ERROR_FORMAT, "bool");
  EXPECT_FAILS(gguf_optional_int(file, "ints", 0, 1, &number), DIMPLE_ERROR_FORMAT, "an array of int32");
  EXPECT(number == 7, "a failure changed the output to %lld", (long long)number);

  float real = 7;
  EXPECT_OK(gguf_require_float(file, "f32", &real));
  EXPECT(real == 1e-6f, "%g", (double)real);
  EXPECT_OK(gguf_optional_float(file, "f64", &real));
  EXPECT(real == 1e6f, "%g", (double)real);
  EXPECT_OK(gguf_optional_float(file, "absent", &real));
  EXPECT_FAILS(gguf_require_float(file, "absent", &real), DIMPLE_ERROR_FORMAT, "missing");
  EXPECT_FAILS(gguf_require_float(file, "huge", &real), DIMPLE_ERROR_FORMAT, "huge");
  EXPECT_FAILS(gguf_require_float(file, "nan", &real), DIMPLE_ERROR_FORMAT, "finite");
  EXPECT_FAILS(gguf_require_float(file, "u8", &real), DIMPLE_ERROR_FORMAT, "uint8");
  EXPECT(real == 1e6f, "a failure changed the output to %g", (double)real);

  bool flag = false;
  EXPECT_OK(gguf_optional_bool(file, "absent", &flag));
  EXPECT(!flag, "absent bool");
  EXPECT_OK(gguf_optional_bool(file, "bool", &flag));
  EXPECT(flag, "bool");
  EXPECT_FAILS(gguf_optional_bool(file, "u8", &flag), DIMPLE_ERROR_FORMAT, "expected a bool");

  char text[8] = "before";
  EXPECT_OK(gguf_optional_string(file, "absent", text, sizeof text));
  EXPECT_FAILS(gguf_require_string(file, "absent", text, sizeof text), DIMPLE_ERROR_FORMAT, "missing");
  EXPECT_FAILS(gguf_require_string(file, "general.architecture", text, 6), DIMPLE_ERROR_FORMAT, "6 bytes, expected at most 5");
  EXPECT_FAILS(gguf_require_string(file, "strings", text, sizeof text), DIMPLE_ERROR_FORMAT, "array of string");
  EXPECT(strcmp(text, "before") == 0, "a failure changed the output to %s", text);
  EXPECT_OK(gguf_require_string(file, "general.architecture", text, 7));
  EXPECT(strcmp(text, "dimple") == 0, "%s", text);
  EXPECT_OK(gguf_require_string(file, "empty", text, 1));
  EXPECT(text[0] == 0, "%s", text);

  int64_t integers_out[4] = {0}, count = -1;
  EXPECT_OK(gguf_optional_int_array(file, "absent", integers_out, 4, &count));
  EXPECT(count == -1, "count %lld", (long long)count);
  EXPECT_FAILS(gguf_optional_int_array(file, "ints", integers_out, 3, &count), DIMPLE_ERROR_FORMAT, "4 elements");
  EXPECT_FAILS(gguf_optional_int_array(file, "floats", integers_out, 4, &count), DIMPLE_ERROR_FORMAT, "array of integers");
  EXPECT_FAILS(gguf_optional_int_array(file, "u8", integers_out, 4, &count), DIMPLE_ERROR_FORMAT, "array of integers");
  EXPECT_OK(gguf_optional_int_array(file, "ints", integers_out, 4, &count));
  EXPECT(count == 4 && integers_out[0] == 16 && integers_out[1] == 24 && integers_out[2] == -24 && integers_out[3] == 0, "int array");
  float floats_out[3] = {0};
  EXPECT_OK(gguf_optional_float_array(file, "floats", floats_out, 3, &count));
  EXPECT(count == 3 && floats_out[0] == 0.5f && floats_out[1] == 0.25f && floats_out[2] == -1, "float array");
  EXPECT_FAILS(gguf_optional_float_array(file, "ints", floats_out, 3, &count), DIMPLE_ERROR_FORMAT, "array of floats");
  gguf_close(file);
}

/* Look-ups among 2000 tensors and 42 keys, a long array of strings, and releasing a tensor's pages. */
static void test_large(void) {
  static const uint64_t strings = 60000;
  start_file(3, 2000, 42);
  gguf_put_array_key(&image, "tokenizer.ggml.tokens", DIMPLE_METADATA_STRING, strings);
  for (uint64_t i = 0; i < strings; i++) gguf_put_u64(&image, 1), gguf_put_u8(&image, (uint8_t)('a' + i % 26));
  char name[80];
  for (int i = 0; i < 41; i++) {
    snprintf(name, sizeof name, "key.%d", i);
    gguf_put_key(&image, name, DIMPLE_METADATA_UINT32), gguf_put_u32(&image, (uint32_t)i);
  }
  for (int i = 0; i < 2000; i++) snprintf(name, sizeof name, "blk.%d.weight", i), put_vector(name, 8, DIMPLE_TENSOR_F32, (uint64_t)i * 32);
  gguf_put_padding(&image, 32);
  for (int i = 0; i < 2000; i++)
    for (int j = 0; j < 8; j++) gguf_put_f32(&image, (float)i);
  gguf_file *file = NULL;
  EXPECT_OK(open_image(&file));
  if (!file) return;
  for (int i = 0; i < 2000; i++) {
    snprintf(name, sizeof name, "blk.%d.weight", i);
    const gguf_tensor *tensor = gguf_find_tensor(file, name);
    float value = -1;
    if (tensor) memcpy(&value, tensor->data + 28, 4);
    EXPECT(tensor && strcmp(tensor->name, name) == 0 && value == (float)i, "%s", name);
  }
  for (int i = 0; i < 41; i++) {
    int64_t number = -1;
    snprintf(name, sizeof name, "key.%d", i);
    EXPECT_OK(gguf_require_int(file, name, 0, 40, &number));
    EXPECT(number == i, "%s is %lld", name, (long long)number);
  }
  const dimple_metadata *tokens = gguf_find(file, "tokenizer.ggml.tokens");
  EXPECT(tokens->count == strings && tokens->size == strings * 9 && tokens->data[9 * 27 + 8] == 'b', "tokens");
  gguf_close(file);

  start_file(3, 1, 0);
  put_vector("t", 20000, DIMPLE_TENSOR_F32, 0);
  gguf_put_padding(&image, 32);
  for (int i = 0; i < 20000; i++) gguf_put_f32(&image, (float)i);
  EXPECT_OK(open_image(&file));
  const gguf_tensor *tensor = gguf_tensor_at(file, 0);
  for (int round = 0; round < 2; round++) {
    int wrong = 0;
    for (int i = 0; i < 20000; i++) {
      float value;
      memcpy(&value, tensor->data + 4 * i, 4);
      wrong += value != (float)i;
    }
    EXPECT(wrong == 0, "round %d: %d values changed", round, wrong);
    gguf_release(file, tensor);
  }
  gguf_close(file);
  gguf_close(NULL);
}

static void test_alignment(void) {
  start_file(3, 2, 1);
  gguf_put_key(&image, "general.alignment", DIMPLE_METADATA_UINT32), gguf_put_u32(&image, 8);
  put_vector("a", 1, DIMPLE_TENSOR_F32, 0);
  put_vector("b", 1, DIMPLE_TENSOR_F32, 8);
  gguf_put_padding(&image, 8);
  gguf_put_f32(&image, 5), gguf_put_f32(&image, 0), gguf_put_f32(&image, 6);
  gguf_file *file = NULL;
  EXPECT_OK(open_image(&file));
  float value = 0;
  if (file) memcpy(&value, gguf_find_tensor(file, "b")->data, 4);
  EXPECT(value == 6, "%g", (double)value);
  gguf_close(file);

  for (uint32_t alignment = 0; alignment < 40; alignment++) {
    if (alignment == 8 || alignment == 16 || alignment == 32) continue;
    start_file(3, 0, 1);
    gguf_put_key(&image, "general.alignment", DIMPLE_METADATA_UINT32), gguf_put_u32(&image, alignment);
    EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "general.alignment");
  }
  start_file(3, 0, 1);
  gguf_put_key(&image, "general.alignment", DIMPLE_METADATA_STRING), gguf_put_string(&image, "32");
  EXPECT_REFUSED(DIMPLE_ERROR_FORMAT, "general.alignment");
  start_file(3, 0, 0);
  EXPECT_OK(open_image(&file)); /* an empty model is well-formed */
  EXPECT(gguf_tensor_count(file) == 0 && gguf_metadata_count(file) == 0 && !gguf_find(file, "a") && !gguf_find_tensor(file, "a"), "empty");
  gguf_close(file);
}

/* --------------------------------------------------------------------------------------------------------------- bad files */

static void test_bad_paths(void) {
  gguf_file *file = NULL;
  EXPECT_FAILS(gguf_open("/nowhere/to/be/found.gguf", &file), DIMPLE_ERROR_IO, "/nowhere/to/be/found.gguf");
  EXPECT_FAILS(gguf_open("", &file), DIMPLE_ERROR_IO, "cannot open");
  EXPECT_FAILS(gguf_open(directory, &file), DIMPLE_ERROR_IO, "directory");
  EXPECT_FAILS(gguf_open("/dev/null", &file), DIMPLE_ERROR_IO, "regular");
  char pipe_path[sizeof path + 8];
  snprintf(pipe_path, sizeof pipe_path, "%s/pipe", directory);
  EXPECT(mkfifo(pipe_path, 0600) == 0, "%s cannot be made", pipe_path);
  EXPECT_FAILS(gguf_open(pipe_path, &file), DIMPLE_ERROR_IO, "regular");
  unlink(pipe_path);
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

/* ---------------------------------------------------------------------------------------------------- truncated and mutated */

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
  volatile uint64_t sum = 0;
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
  return true;
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
  const char *temporary = getenv("TMPDIR");
  snprintf(directory, sizeof directory, "%s/gguf_testXXXXXX", temporary ? temporary : "/tmp");
  if (!mkdtemp(directory)) return perror(directory), 1;
  snprintf(path, sizeof path, "%s/model.gguf", directory);
  descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (descriptor < 0) return perror(path), 1;

  test_sample(2);
  test_sample(3);
  test_typed_access();
  test_large();
  test_alignment();
  test_bad_paths();
  test_bad_headers();
  test_bad_metadata();
  test_bad_tensors();
  test_truncation();
  test_mutations();

  close(descriptor);
  unlink(path);
  rmdir(directory);
  gguf_bytes_free(&image);
  return expect_summary("gguf");
}
