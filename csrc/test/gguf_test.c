/* The GGUF reader on good files: every type of key, typed access, many tensors, alignment. */
#include "test/gguf_fixture.h"

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
             memcmp(value->data, SAMPLE_TEXT, 6) == 0, "string value");
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
  EXPECT(strcmp(text, SAMPLE_TEXT) == 0, "%s", text);
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

/* Elements that the caller's type cannot hold. */
static void test_unfit_elements(void) {
  start_file(3, 0, 3);
  gguf_put_array_key(&image, "large", DIMPLE_METADATA_UINT64, 2), gguf_put_u64(&image, INT64_MAX), gguf_put_u64(&image, 1ull << 63);
  gguf_put_array_key(&image, "nan", DIMPLE_METADATA_FLOAT32, 2), gguf_put_f32(&image, 1), gguf_put_u32(&image, 0x7fc00000);
  gguf_put_array_key(&image, "huge", DIMPLE_METADATA_FLOAT64, 1), gguf_put_f64(&image, 1e300);
  gguf_file *file = NULL;
  EXPECT_OK(open_image(&file));
  if (!file) return;
  int64_t integers[2], count = 0;
  float floats[2];
  EXPECT_FAILS(gguf_optional_int_array(file, "large", integers, 2, &count), DIMPLE_ERROR_FORMAT, "element 1 is above 2^63 - 1");
  EXPECT_FAILS(gguf_optional_float_array(file, "nan", floats, 2, &count), DIMPLE_ERROR_FORMAT, "element 1 is not a finite float32");
  EXPECT_FAILS(gguf_optional_float_array(file, "huge", floats, 2, &count), DIMPLE_ERROR_FORMAT, "element 0 is not a finite float32");
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

int main(void) {
  gguf_fixture_open();
  test_sample(2);
  test_sample(3);
  test_typed_access();
  test_unfit_elements();
  test_large();
  test_alignment();
  gguf_fixture_close();
  return expect_summary("gguf");
}
