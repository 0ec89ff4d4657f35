#include "test/gguf_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "test/files.h"

gguf_bytes image;
char directory[FILE_PATH], path[80];

void gguf_fixture_open(void) {
  new_folder(directory);
  snprintf(path, sizeof path, "%s/model.gguf", directory);
}

void gguf_fixture_close(void) {
  remove(path);
  remove_folder(directory);
  gguf_bytes_free(&image);
}

void start_file(uint32_t version, uint64_t tensors, uint64_t keys) {
  image.size = 0;
  gguf_put_header(&image, version, tensors, keys);
}

void put_vector(const char *name, uint64_t length, uint32_t type, uint64_t offset) {
  gguf_put_tensor(&image, name, 1, &length, type, offset);
}

void build_sample(uint32_t version) {
  start_file(version, 3, 19);
  gguf_put_key(&image, "general.architecture", DIMPLE_METADATA_STRING), gguf_put_string(&image, SAMPLE_TEXT);
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

void write_file(size_t size) {
  remove(path); /* a file that is emptied and written again makes some file systems write to the disk at once */
  FILE *file = fopen(path, "wb");
  if (file && (size == 0 || fwrite(image.data, 1, size, file) == size) && fclose(file) == 0) return; /* empty: there may be no data yet */
  perror(path);
  exit(1);
}

dimple_status open_image(gguf_file **file) {
  write_file(image.size);
  return gguf_open(path, file);
}
