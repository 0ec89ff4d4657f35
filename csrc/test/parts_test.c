/* Models cut into several files: good ones, and names, numbers, counts and files that do not fit. */
#include "gguf/parts.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "test/expect.h"
#include "test/files.h"
#include "test/gguf_writer.h"

enum { PARTS = 3 };

static char folder[64];

/* "<folder>/<name>" */
static const char *in_folder(const char *name) {
  static char paths[4][128];
  static int next;
  char *path = paths[next++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

static const char *const names[PARTS] = {"m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "m-00003-of-00003.gguf"};

/* A part with one tensor, t<number>; `number` from 0. `tensors` is what it says of all parts, -1: nothing. */
static void write_part_of(const char *architecture, const char *name, int number, int count, int tensors) {
  gguf_writer w = {0};
  char tensor[16];
  float value = (float)number;
  snprintf(tensor, sizeof tensor, "t%d", number);
  if (architecture) gguf_writer_string(&w, "general.architecture", architecture);
  gguf_writer_u32(&w, "split.no", (uint32_t)number);
  gguf_writer_u32(&w, "split.count", (uint32_t)count);
  if (tensors >= 0) gguf_writer_u32(&w, "split.tensors.count", (uint32_t)tensors);
  gguf_writer_tensor(&w, tensor, 1, (uint64_t[]){1}, DIMPLE_TENSOR_F32, &value);
  gguf_writer_save(&w, in_folder(name));
  gguf_writer_free(&w);
}

static void write_part(const char *name, int number, int count, int tensors) { write_part_of(NULL, name, number, count, tensors); }

static void write_parts(void) {
  for (int i = 0; i < PARTS; i++) write_part(names[i], i, PARTS, i == 0 ? PARTS : -1);
}

static void expect_refused(const char *name, dimple_status status, const char *text) {
  gguf_parts parts = {0};
  EXPECT_FAILS(gguf_parts_open(in_folder(name), &parts), status, text);
  EXPECT(parts.count == 0 && !parts.files, "output touched");
}

static void three_parts_are_one_model(void) {
  write_parts();
  gguf_parts parts = {0};
  EXPECT_OK(gguf_parts_open(in_folder(names[0]), &parts));
  EXPECT(parts.count == PARTS, "%d parts", parts.count);
  int64_t bytes = 0;
  for (int i = 0; i < parts.count; i++) {
    char tensor[16];
    float value = -1;
    const gguf_file *file = NULL;
    struct stat status = {0};
    snprintf(tensor, sizeof tensor, "t%d", i);
    const gguf_tensor *t = gguf_parts_find_tensor(&parts, tensor, &file);
    if (t) memcpy(&value, t->data, sizeof value);
    EXPECT(t && file == parts.files[i] && value == (float)i, "%s holds %g", tensor, (double)value);
    stat(in_folder(names[i]), &status);
    bytes += status.st_size;
  }
  const gguf_file *file = NULL;
  EXPECT(!gguf_parts_find_tensor(&parts, "t3", &file), "a tensor that is nowhere");
  EXPECT(gguf_parts_size(&parts) == bytes, "%lld bytes, not %lld", (long long)gguf_parts_size(&parts), (long long)bytes);
  gguf_parts_close(&parts);
  EXPECT(parts.count == 0 && !parts.files, "still open");
  gguf_parts_close(&parts);
}

/* Counts of 0 and 1, and no such key, mean a file that is not cut, whatever its name. */
static void an_uncut_file_is_one_part(void) {
  for (int count = -1; count < 2; count++) {
    gguf_writer w = {0};
    gguf_parts parts = {0};
    gguf_writer_u32(&w, "some.key", 1);
    if (count >= 0) gguf_writer_u32(&w, "split.count", (uint32_t)count);
    gguf_writer_save(&w, in_folder("whole"));
    gguf_writer_free(&w);
    EXPECT_OK(gguf_parts_open(in_folder("whole"), &parts));
    EXPECT(parts.count == 1 && gguf_find(parts.files[0], "some.key"), "%d parts", parts.count);
    gguf_parts_close(&parts);
  }
}

static void misfits_are_refused(void) {
  write_parts();
  expect_refused(names[1], DIMPLE_ERROR_FORMAT, "expected part 1 of 3");
  write_part("renamed", 0, PARTS, -1);
  expect_refused("renamed", DIMPLE_ERROR_FORMAT, "-00001-of-00003.gguf");
  write_part("a-longer-name-than-the-number-of-a-part.gguf", 0, PARTS, -1);
  expect_refused("a-longer-name-than-the-number-of-a-part.gguf", DIMPLE_ERROR_FORMAT, "give the first one");
  write_part(names[0], 0, PARTS, 4);
  expect_refused(names[0], DIMPLE_ERROR_FORMAT, "hold 3 tensors, key split.tensors.count says 4");
  write_part(names[0], 0, PARTS, PARTS);
  write_part(names[1], 1, PARTS, 4);
  expect_refused(names[0], DIMPLE_ERROR_FORMAT, "m-00002-of-00003.gguf and its other parts hold 3 tensors, key split.tensors.count says 4");
  write_part_of("sdar", names[0], 0, PARTS, -1);
  write_part_of("dream", names[1], 1, PARTS, -1);
  expect_refused(names[0], DIMPLE_ERROR_FORMAT, "m-00002-of-00003.gguf is a part of another model");
  write_part_of("sdar", names[1], 1, PARTS, PARTS);
  gguf_parts parts = {0};
  EXPECT_OK(gguf_parts_open(in_folder(names[0]), &parts));
  gguf_parts_close(&parts);
  write_part(names[0], 0, PARTS, -1);
  write_part(names[2], 1, PARTS, -1);
  expect_refused(names[0], DIMPLE_ERROR_FORMAT, "part 2 of 3, expected part 3 of 3");
  write_part(names[2], 2, 4, -1);
  expect_refused(names[0], DIMPLE_ERROR_FORMAT, "part 3 of 4, expected part 3 of 3");
  remove(in_folder(names[2]));
  expect_refused(names[0], DIMPLE_ERROR_IO, names[2]);
  write_part(names[0], 0, 100000, -1);
  expect_refused(names[0], DIMPLE_ERROR_FORMAT, "split.count");
  gguf_writer w = {0};
  gguf_writer_u32(&w, "split.count", PARTS);
  gguf_writer_save(&w, in_folder(names[0]));
  gguf_writer_free(&w);
  expect_refused(names[0], DIMPLE_ERROR_FORMAT, "split.no");
  expect_refused("none", DIMPLE_ERROR_IO, "none");
}

static void remove_files(void) {
  const char *const files[] = {names[0], names[1], names[2], "whole", "renamed", "a-longer-name-than-the-number-of-a-part.gguf"};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) remove(in_folder(files[i]));
  remove_folder(folder);
}

int main(void) {
  new_folder(folder);
  three_parts_are_one_model();
  an_uncut_file_is_one_part();
  misfits_are_refused();
  remove_files();
  return expect_summary("parts");
}
