/*
 * answers MODEL.gguf [few]: prints, a line each, the tokens of decodings that have to be the same on every platform and on every backend: of the
 * bundled model, which is given, about a picture drawn here; of a copy of it whose tensors are F32; and of small random F32 models.
 * natives/build compares what its platforms print. `few`: of the bundled model the confident decoding of one question alone, in seconds under an
 * emulator.
 */
#include <stdlib.h>

#include "gguf/gguf.h"
#include "test/files.h"
#include "test/session_fixture.h"

enum { PIXELS_WIDE = 168, PIXELS_HIGH = 112, ANSWER = 48, MOST_TOKENS = 256 };

static void check(dimple_status status) {
  if (status == DIMPLE_OK) return;
  fprintf(stderr, "answers: %s\n", dimple_last_error());
  exit(1);
}

/* ------------------------------------------------------------------------------------------------------------- decodings */

static void print_decoding(dimple_session *s, const char *what, const dimple_decoding *d) {
  dimple_step step = {0};
  check(dimple_session_begin(s, d));
  do check(dimple_session_step(s, &step));
  while (!step.done && step.iteration + 1 < d->steps);
  printf("%s, algorithm %d, temperature %g: %d iterations:", what, d->algorithm, (double)d->temperature, step.iteration + 1);
  for (int32_t i = 0; i < step.canvas_length; i++) printf(" %d", step.canvas[i]);
  printf("\n");
}

static bool few;

/* Confident; then by an algorithm a time from `first` on, and drawn. */
static void print_decodings(dimple_session *s, const char *what, int32_t length, int32_t first) {
  dimple_decoding d;
  dimple_decoding_defaults(&d);
  d.steps = length;
  print_decoding(s, what, &d);
  if (few) return;
  d.threshold = 0;
  for (d.algorithm = first; d.algorithm <= DIMPLE_ALGORITHM_ENTROPY; d.algorithm++) print_decoding(s, what, &d);
  d.algorithm = DIMPLE_ALGORITHM_ORIGIN;
  d.temperature = 0.7f;
  d.top_p = 0.9f;
  d.seed = 7;
  print_decoding(s, what, &d);
}

/* ---------------------------------------------------------------------------------------------------------- bundled model */

/* A yellow disc and a blue square before white, as the model knows them. */
static dimple_image draw_scene(void) {
  static uint8_t rgb[PIXELS_HIGH][PIXELS_WIDE][3];
  for (int y = 0; y < PIXELS_HIGH; y++) {
    for (int x = 0; x < PIXELS_WIDE; x++) {
      static const uint8_t white[3] = {255, 255, 255}, yellow[3] = {255, 221, 0}, blue[3] = {0, 80, 220};
      bool disc = (x - 40) * (x - 40) + (y - 30) * (y - 30) < 22 * 22, square = x >= 110 && x < 145 && y >= 65 && y < 100;
      memcpy(rgb[y][x], disc ? yellow : square ? blue : white, 3);
    }
  }
  return (dimple_image){&rgb[0][0][0], PIXELS_WIDE, PIXELS_HIGH, 3 * PIXELS_WIDE};
}

/* The ids of the bundled tokenizer and template: what comes before the picture, two questions, and what is behind them. */
static const int32_t before[] = {632, 293, 10, 284, 281, 261, 295, 296, 46, 633, 10, 632, 294, 10, 634};
static const int32_t behind[] = {633, 10, 632, 285, 10};
static const struct {
  const char *text;
  int32_t ids[8];
} questions[] = {
    {"Describe this image.", {635, 416, 479, 366, 46}},
    {"Describe the image as JSON.", {635, 416, 278, 366, 405, 404, 46}},
};

static int32_t put(int32_t *tokens, int32_t count, const int32_t *ids, size_t id_count) {
  for (size_t i = 0; i < id_count && ids[i]; i++) tokens[count++] = ids[i];
  return count;
}

static void ask(dimple_model *m, const char *file, size_t question) {
  dimple_model_info info;
  dimple_image_grid grid;
  dimple_session *s = NULL;
  dimple_image scene = draw_scene();
  int32_t tokens[MOST_TOKENS], count = put(tokens, 0, before, sizeof before / sizeof *before);
  check(dimple_model_get_info(m, &info));
  check(dimple_model_get_image_grid(m, PIXELS_WIDE, PIXELS_HIGH, &grid));
  for (int32_t i = 0; i < grid.tokens; i++) tokens[count++] = info.image_token_id;
  count = put(tokens, count, questions[question].ids, sizeof questions[question].ids / sizeof(int32_t));
  count = put(tokens, count, behind, sizeof behind / sizeof *behind);
  check(dimple_session_create(m, &(dimple_session_options){.threads = 2, .prefill = 1}, &s));
  check(dimple_session_set_prompt(s, tokens, count, &scene, 1));
  for (int32_t i = 0; i < ANSWER; i++) tokens[i] = info.mask_token_id;
  check(dimple_session_set_response(s, tokens, ANSWER));
  char what[80];
  snprintf(what, sizeof what, "%s, %s", file, questions[question].text);
  print_decodings(s, what, ANSWER, DIMPLE_ALGORITHM_ENTROPY);
  dimple_session_free(s);
}

static void ask_all(const char *path, const char *file) {
  dimple_model *m = NULL;
  check(dimple_model_load(path, &(dimple_model_options){.threads = 2}, &m));
  for (size_t i = 0; i < (few ? 1 : sizeof questions / sizeof *questions); i++) ask(m, file, i);
  dimple_model_free(m);
}

/* Writes the model with every tensor decoded. */
static void save_as_f32(const char *path, const char *copy) {
  gguf_file *from = NULL;
  gguf_writer to = {0};
  check(gguf_open(path, &from));
  for (int64_t i = 0; i < gguf_metadata_count(from); i++) gguf_writer_copy(&to, gguf_metadata_at(from, i));
  for (int64_t i = 0; i < gguf_tensor_count(from); i++) {
    const gguf_tensor *t = gguf_tensor_at(from, i);
    uint64_t dimensions[GGUF_MAX_DIMENSIONS], rows = 1;
    for (int j = 0; j < GGUF_MAX_DIMENSIONS; j++) dimensions[j] = (uint64_t)t->dimensions[j];
    for (int j = 1; j < GGUF_MAX_DIMENSIONS; j++) rows *= dimensions[j];
    float *values = malloc(rows * dimensions[0] * sizeof *values);
    check(dimple_dequantize_rows(t->type, t->data, t->size, (int64_t)rows, t->dimensions[0], values));
    gguf_writer_tensor(&to, t->name, (uint32_t)t->dimension_count, dimensions, DIMPLE_TENSOR_F32, values);
    free(values);
  }
  gguf_close(from);
  gguf_writer_save(&to, copy);
  gguf_writer_free(&to);
}

int main(int argument_count, char **arguments) {
  few = argument_count == 3 && strcmp(arguments[2], "few") == 0;
  if (argument_count != 2 && !few) {
    fprintf(stderr, "usage: %s MODEL.gguf [few]\n", arguments[0]);
    return 2;
  }
  char copy[FILE_PATH];
  ask_all(arguments[1], "bundled");
  new_file(copy);
  save_as_f32(arguments[1], copy);
  ask_all(copy, "bundled as F32");
  remove(copy);
  few = false; /* the rest takes no time */
  if (!fixture_open()) return 1;
  dimple_session *text = text_session(text_model, 2, 1), *with_picture = picture_session(vision_model, 2, 1);
  print_decodings(text, "random text model", RESPONSE, DIMPLE_ALGORITHM_ORIGIN);
  print_decodings(with_picture, "random model of text and pictures", RESPONSE, DIMPLE_ALGORITHM_ORIGIN);
  dimple_session_free(text);
  dimple_session_free(with_picture);
  fixture_close();
  return 0;
}
