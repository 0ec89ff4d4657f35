/* A GGUF file, whatever is in it: checked, loaded, and if it loads run for two iterations. Loading and checking have to agree. */
#include <stdbool.h>

#include "diffusion/pipeline.h"
#include "fuzz/fuzz.h"
#include "fuzz/memory_file.h"

enum { PROMPT = 3, RESPONSE = 2, STEPS = 2 };

static dimple_decoding usual[PIPELINE_COUNT]; /* of every pipeline one */

int LLVMFuzzerInitialize(int *argument_count, char ***arguments) {
  (void)argument_count;
  (void)arguments;
  for (int32_t i = 0; i < PIPELINE_COUNT; i++) {
    dimple_decoding_defaults(&usual[i]);
    usual[i].pipeline = i;
    usual[i].steps = STEPS;
    while (dimple_decoding_validate(&usual[i]) != DIMPLE_OK) usual[i].algorithm++;
  }
  return 0;
}

/* Whether the check found nothing that keeps the file from loading. */
static int is_sound(const char *path, const dimple_model_options *options) {
  dimple_model_check *check = NULL;
  if (dimple_model_check_create(path, options, &check) != DIMPLE_OK) return 0;
  dimple_model_check_summary summary;
  REQUIRE(dimple_model_check_get_summary(check, &summary) == DIMPLE_OK);
  dimple_finding finding;
  int64_t findings = 0;
  while (dimple_model_check_get_finding(check, findings, &finding) == DIMPLE_OK) {
    REQUIRE(finding.text[0] != '\0' && !strchr(finding.text, '\n'));
    findings++;
  }
  REQUIRE(findings >= summary.problem_count);
  dimple_model_check_free(check);
  return summary.problem_count == 0;
}

static volatile uint8_t last_byte;

static void read_metadata(const dimple_model *model) {
  dimple_metadata entry;
  dimple_finding ignored;
  for (int64_t i = 0; dimple_model_get_ignored(model, i, &ignored) == DIMPLE_OK; i++) REQUIRE(ignored.text[0] != '\0');
  for (int64_t i = 0; dimple_model_get_metadata(model, i, &entry) == DIMPLE_OK; i++) {
    for (uint64_t j = 0; j < entry.key_size; j++) last_byte = (uint8_t)entry.key[j];
    for (uint64_t j = 0; j < entry.size; j++) last_byte = entry.data[j];
  }
}

/* A number for an architecture's name, and whether it sees. */
static unsigned of_architecture(const dimple_model_info *info) {
  unsigned sum = 0;
  for (const char *c = info->architecture; *c; c++) sum = sum * 31 + (unsigned char)*c;
  return sum * 2 + (info->has_vision != 0);
}

/* By the first pipeline that the model goes with. */
static bool begin(dimple_session *session) {
  for (int32_t i = 0; i < PIPELINE_COUNT; i++)
    if (dimple_session_begin(session, &usual[i]) == DIMPLE_OK) return true;
  return false;
}

static void step(dimple_session *session, const dimple_model_info *info) {
  if (!begin(session)) return;
  dimple_step done = {0};
  for (int i = 0; i < STEPS && !done.done && dimple_session_step(session, &done) == DIMPLE_OK; i++) {
    for (int32_t j = 0; j < done.canvas_length; j++) REQUIRE(done.canvas[j] >= 0 && done.canvas[j] < info->vocab_size);
    mark(of_architecture(info));
  }
}

/* Prompts so long, in models so wide, take longer than an input should. */
static int is_small(const dimple_model_info *info) {
  return info->vocab_size <= 4096 && info->embedding_length <= 1024 && info->layer_count <= 8 &&
         (int64_t)info->head_count * info->head_size <= 4096;
}

static void run(dimple_model *model) {
  dimple_model_info info;
  REQUIRE(dimple_model_get_info(model, &info) == DIMPLE_OK);
  read_metadata(model);
  if (!is_small(&info)) return;
  int32_t prompt[PROMPT + 1], response[RESPONSE], length = PROMPT;
  uint8_t pixels[3 * 8 * 8] = {0};
  dimple_image image = {.rgb = pixels, .width = 8, .height = 8, .row_stride = 24};
  dimple_image_grid grid;
  int with_image = info.has_vision && dimple_model_get_image_grid(model, 8, 8, &grid) == DIMPLE_OK && grid.tokens == 1;
  for (int32_t i = 0; i < PROMPT; i++) prompt[i] = i % info.vocab_size == info.image_token_id ? 0 : i % info.vocab_size;
  if (with_image) prompt[length++] = info.image_token_id;
  for (int32_t i = 0; i < RESPONSE; i++) response[i] = info.mask_token_id;
  dimple_session *session = NULL;
  dimple_session_options options = {.threads = 1, .prefill = 1};
  if (dimple_session_create(model, &options, &session) != DIMPLE_OK) return;
  if (dimple_session_set_prompt(session, prompt, length, &image, with_image) == DIMPLE_OK &&
      dimple_session_set_response(session, response, RESPONSE) == DIMPLE_OK)
    step(session, &info);
  dimple_session_free(session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *path = memory_file(data, size);
  dimple_model_options options = {.threads = 1, .ignore_unknown = size % 2};
  int sound = is_sound(path, &options);
  dimple_model *model = NULL;
  dimple_status status = dimple_model_load(path, &options, &model);
  /* A tower alone is sound, and no model. */
  bool tower = status == DIMPLE_ERROR_UNSUPPORTED && strstr(dimple_last_error(), "general.architecture is \"clip\"");
  REQUIRE(status == DIMPLE_OK ? sound : status == DIMPLE_ERROR_MEMORY || tower || !sound);
  REQUIRE((status == DIMPLE_OK) == (model != NULL));
  if (model) run(model);
  dimple_model_free(model);
  return 0;
}
