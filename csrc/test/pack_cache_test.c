/* Packed weights that are kept: the same logits from the file as from packing, whatever has happened to it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gguf/gguf.h"
#include "platform/platform.h"
#include "test/files.h"
#include "test/session_fixture.h"

enum { ROWS = PROMPT + RESPONSE, NAME = 128, LONG_NAME = 512 };

/* Files of a test in a folder of their own. */
static char folder[FILE_PATH], model_path[NAME], other_path[NAME], packed_path[LONG_NAME], other_packed[LONG_NAME], partial_path[2 * LONG_NAME];

static uint8_t *read_all(const char *path, long *size) {
  FILE *file = fopen(path, "rb");
  EXPECT(file != NULL, "%s is not there", path);
  if (!file) exit(1);
  fseek(file, 0, SEEK_END);
  *size = ftell(file);
  rewind(file);
  uint8_t *bytes = malloc((size_t)*size + 1);
  EXPECT(fread(bytes, 1, (size_t)*size, file) == (size_t)*size, "%s cannot be read", path);
  fclose(file);
  return bytes;
}

static void write_all(const char *path, const uint8_t *bytes, long size) {
  FILE *file = fopen(path, "wb");
  EXPECT(file && fwrite(bytes, 1, (size_t)size, file) == (size_t)size, "%s cannot be written", path);
  if (file) fclose(file);
}

static void copy_file(const char *from, const char *to) {
  long size;
  uint8_t *bytes = read_all(from, &size);
  write_all(to, bytes, size);
  free(bytes);
}

/* Loads with or without the file; the logits, which the caller frees, and what came of it. */
static float *logits_from(const char *path, int32_t kept, int32_t *result, int64_t *weight_size, char note[512]) {
  dimple_model *m = NULL;
  dimple_model_info info = {.pack_cache = -1};
  EXPECT_OK(dimple_model_load(path, &(dimple_model_options){.threads = 2, .pack_cache = kept}, &m));
  if (!m) exit(1);
  EXPECT_OK(dimple_model_get_info(m, &info));
  dimple_session *s = text_session(m, 1, 1);
  float *logits = logits_of(s, ROWS);
  dimple_session_free(s);
  dimple_model_free(m);
  *result = info.pack_cache;
  if (weight_size) *weight_size = info.weight_size;
  if (note) snprintf(note, 512, "%s", info.pack_cache_note);
  return logits;
}

/* What loading `path` with the file gives is what packing gives. */
static void expect_load(const char *path, int32_t expected, const char *mentions, const char *when) {
  int32_t result, none;
  char note[512];
  float *packed = logits_from(path, 0, &none, NULL, NULL), *found = logits_from(path, 1, &result, NULL, note);
  EXPECT(none == DIMPLE_PACK_CACHE_NONE && result == expected, "%s: came to %d, not %d: %s", when, result, expected, note);
  EXPECT(*mentions ? strstr(note, mentions) != NULL : note[0] == '\0', "%s: the note is \"%s\"", when, note);
  EXPECT(memcmp(packed, found, sizeof(float) * ROWS * VOCAB) == 0, "%s: other logits", when);
  free(packed);
  free(found);
}

static void spoil(const char *path, long at) {
  long size;
  uint8_t *bytes = read_all(path, &size);
  bytes[at < 0 ? size + at : at] ^= 4;
  write_all(path, bytes, size);
  free(bytes);
}

static void damage_is_found(void) {
  long size;
  uint8_t *bytes = read_all(packed_path, &size);
  const long places[] = {3, 9, 17, 33, 50, 70, 4096 + 7, -1}; /* header, table, the first matrix and the last */
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    char when[64];
    snprintf(when, sizeof when, "a bit at %ld", places[i]);
    spoil(packed_path, places[i]);
    expect_load(model_path, DIMPLE_PACK_CACHE_WRITTEN, "written anew", when);
    expect_load(model_path, DIMPLE_PACK_CACHE_USED, "", "after that");
  }
  const long sizes[] = {1, 40, 200, size / 3, size - 1};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    write_all(packed_path, bytes, sizes[i]);
    expect_load(model_path, DIMPLE_PACK_CACHE_WRITTEN, "written anew", "cut off");
  }
  free(bytes);
}

/* A byte of a matrix in the copy: a code, of Q4_0. */
static long place_of_matrix(void) {
  enum { LENGTH = 32, CODE = 5 };
  gguf_file *file = NULL;
  long size, at = 0;
  EXPECT_OK(gguf_open(other_path, &file));
  if (!file) exit(1);
  const gguf_tensor *t = gguf_find_tensor(file, "blk.0.ffn_up.weight");
  uint8_t *bytes = read_all(other_path, &size);
  while (at + LENGTH < size && (!t || memcmp(bytes + at, t->data, LENGTH) != 0)) at++;
  EXPECT(at + LENGTH < size, "the matrix is not there");
  free(bytes);
  gguf_close(file);
  return at + CODE;
}

/* A copy is another file with the same bytes; another model under the same name has others. */
static void other_files_are_told_apart(void) {
  copy_file(model_path, other_path);
  copy_file(packed_path, other_packed);
  expect_load(other_path, DIMPLE_PACK_CACHE_USED, "", "copied");
  spoil(other_path, place_of_matrix());
  expect_load(other_path, DIMPLE_PACK_CACHE_WRITTEN, "written anew", "changed");
  expect_load(other_path, DIMPLE_PACK_CACHE_USED, "", "changed and written");
  copy_file(packed_path, other_packed);
  expect_load(other_path, DIMPLE_PACK_CACHE_WRITTEN, "written anew", "another one's");
}

static void what_a_killed_process_left_is_no_harm(void) {
  remove(packed_path);
  write_all(partial_path, (const uint8_t *)"DMPLPACK and no more", 20);
  expect_load(model_path, DIMPLE_PACK_CACHE_WRITTEN, "", "a partial file");
  EXPECT(!fopen(partial_path, "rb"), "a partial file is left");
  expect_load(model_path, DIMPLE_PACK_CACHE_USED, "", "after a partial file");
}

static void where_it_cannot_be_written(void) {
  remove(packed_path);
  EXPECT(make_folder(packed_path), "no folder");
  expect_load(model_path, DIMPLE_PACK_CACHE_UNWRITTEN, packed_path, "a folder in its place");
  remove_folder(packed_path);
  dimple_model *m = NULL;
  dimple_model_info info;
  EXPECT_OK(dimple_model_load(model_path, &(dimple_model_options){.backend = "ref", .pack_cache = 1}, &m));
  EXPECT_OK(dimple_model_get_info(m, &info));
  EXPECT(info.pack_cache == DIMPLE_PACK_CACHE_UNWRITTEN && strstr(info.pack_cache_note, "ref"), "%d: %s", info.pack_cache, info.pack_cache_note);
  dimple_model_free(m);
  EXPECT_FAILS(dimple_model_load(model_path, &(dimple_model_options){.pack_cache = 2}, &m), DIMPLE_ERROR_ARGUMENT, "pack_cache is 2");
}

static void load_it(void *unused) {
  (void)unused;
  for (int i = 0; i < 4; i++) {
    dimple_model *m = NULL;
    if (dimple_model_load(model_path, &(dimple_model_options){.threads = 1, .pack_cache = 1}, &m) == DIMPLE_OK) dimple_model_free(m);
  }
}

static void who_loads_at_the_same_time_does_no_harm(void) {
  platform_thread *threads[3] = {NULL};
  remove(packed_path);
  for (int i = 0; i < 3; i++) EXPECT(platform_thread_start(load_it, NULL, &threads[i]) == NULL, "no thread");
  for (int i = 0; i < 3; i++) platform_thread_join(threads[i]);
  expect_load(model_path, DIMPLE_PACK_CACHE_USED, "", "several at once");
}

static void check_model(model_shape shape) {
  char path[FILE_PATH];
  dimple_model *m = NULL;
  dimple_model_info info;
  random_model_save(&shape, path);
  copy_file(path, model_path);
  remove(path);
  EXPECT_OK(dimple_model_load(model_path, NULL, &m));
  EXPECT_OK(dimple_model_get_info(m, &info));
  dimple_model_free(m);
  snprintf(packed_path, sizeof packed_path, "%s.%s.packed", model_path, info.backend);
  snprintf(other_packed, sizeof other_packed, "%s.%s.packed", other_path, info.backend);
  snprintf(partial_path, sizeof partial_path, "%s.partial", packed_path);
  int32_t result;
  int64_t size;
  expect_load(model_path, DIMPLE_PACK_CACHE_WRITTEN, "", "at first");
  free(logits_from(model_path, 1, &result, &size, NULL));
  EXPECT(result == DIMPLE_PACK_CACHE_USED && size < info.weight_size / 2, "%lld bytes of its own, packed %lld", (long long)size,
         (long long)info.weight_size);
}

int main(void) {
  new_folder(folder);
  snprintf(model_path, sizeof model_path, "%s/model.gguf", folder);
  snprintf(other_path, sizeof other_path, "%s/other.gguf", folder);
  const model_shape shapes[] = {{.family = FAMILY_LLADA, .type = DIMPLE_TENSOR_F32},            /* heads whose rows are reordered */
                                {.family = FAMILY_LLADA_MOE, .type = DIMPLE_TENSOR_Q8_0, .width = 64}, /* banks */
                                {.family = FAMILY_DIMPLE, .vision = true, .type = DIMPLE_TENSOR_Q4_0}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    check_model(shapes[i]);
    if (i < 2) remove(packed_path);
  }
  damage_is_found();
  other_files_are_told_apart();
  what_a_killed_process_left_is_no_harm();
  who_loads_at_the_same_time_does_no_harm();
  where_it_cannot_be_written();
  const char *all[] = {model_path, other_path, packed_path, other_packed, partial_path};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) remove(all[i]);
  remove_folder(folder);
  return expect_summary("pack_cache");
}
