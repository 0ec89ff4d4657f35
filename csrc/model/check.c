#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "model/unknown.h"

struct dimple_model_check {
  dimple_model model; /* opened, never packed; what is unknown in it are its ignored findings */
  dimple_model_check_summary summary;
  findings problems;
};

/* Notes the failure of a call, whose message is the thread's; what no file is to blame for stays a failure. */
static dimple_status note(dimple_model_check *c, const char *path, dimple_status status) {
  if (status == DIMPLE_OK || status == DIMPLE_ERROR_MEMORY) return status;
  const char *message = dimple_last_error();
  c->summary.problem_count++;
  return findings_add(&c->problems, (dimple_finding){.kind = DIMPLE_FINDING_PROBLEM, .status = status, .path = path}, message, strlen(message));
}

/* Unlike loading, goes on after a tensor that is not right. */
static dimple_status check_list(dimple_model_check *c, const tensor_list *list) {
  for (int64_t i = 0; i < list->count; i++) DIMPLE_TRY(note(c, gguf_path(list->files->files[0]), tensor_list_check(list, i)));
  return list->out_of_memory ? tensor_list_check_all(list) : DIMPLE_OK;
}

static dimple_status check_model(dimple_model_check *c, const dimple_model_options *options) {
  dimple_model *m = &c->model;
  const char *path = gguf_path(model_file(m)), *mmproj_path = options ? options->mmproj_path : NULL;
  dimple_status status = !mmproj_path && tower_stands_alone(model_file(m)) ? model_read_tower(m) : model_read(m, mmproj_path);
  if (status != DIMPLE_OK) return note(c, path, status); /* without all keys nothing can be said of tensors */
  DIMPLE_TRY(check_list(c, &m->text_tensors));
  DIMPLE_TRY(check_list(c, &m->vision_tensors));
  if (c->summary.problem_count == 0 && m->text.architecture) DIMPLE_TRY(note(c, path, model_check_fit(m)));
  DIMPLE_TRY(unknown_find(m, &c->summary));
  return options && options->ignore_unknown ? DIMPLE_OK : note(c, path, unknown_refuse(m));
}

dimple_status dimple_model_check_create(const char *path, const dimple_model_options *options, dimple_model_check **check) {
  if (!path || !check) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_model_check_create: %s is null", path ? "check" : "path");
  dimple_model_check *c = calloc(1, sizeof *c);
  if (!c) return dimple_fail_memory(sizeof *c, "a check");
  dimple_status status = model_open(&c->model, path);
  if (status == DIMPLE_OK) status = check_model(c, options);
  if (status == DIMPLE_OK)
    *check = c;
  else
    dimple_model_check_free(c);
  return status;
}

void dimple_model_check_free(dimple_model_check *c) {
  if (!c) return;
  findings_free(&c->problems);
  model_close(&c->model);
  free(c);
}

dimple_status dimple_model_check_get_summary(const dimple_model_check *c, dimple_model_check_summary *summary) {
  if (!c || !summary) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_model_check_get_summary: %s is null", c ? "summary" : "check");
  *summary = c->summary;
  return DIMPLE_OK;
}

dimple_status dimple_model_check_get_finding(const dimple_model_check *c, int64_t index, dimple_finding *finding) {
  if (!c || !finding) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_model_check_get_finding: %s is null", c ? "finding" : "check");
  const findings *problems = &c->problems, *unknown = &c->model.ignored;
  if (index < 0 || index >= problems->count + unknown->count)
    return dimple_fail(DIMPLE_ERROR_NOT_FOUND, "there is no finding %" PRId64 ", the check has %" PRId64, index, problems->count + unknown->count);
  *finding = index < problems->count ? problems->items[index] : unknown->items[index - problems->count];
  return DIMPLE_OK;
}
