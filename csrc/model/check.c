#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "model/model.h"

struct dimple_model_check {
  dimple_model model; /* opened, never packed */
  dimple_model_check_summary summary;
  dimple_finding *findings; /* their texts are the check's */
  int64_t finding_count;
};

/* ------------------------------------------------------------------------------------------------------------------- findings */

/* A copy of text[size] as one line; what follows the first TEXT_SIZE bytes is cut between two characters of UTF-8. */
static char *copy_line(const char *text, uint64_t size) {
  enum { TEXT_SIZE = 1024 };
  if (size > TEXT_SIZE)
    for (size = TEXT_SIZE; size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80;) size--;
  char *copy = malloc(size + 1);
  if (!copy) return NULL;
  for (uint64_t i = 0; i < size; i++) copy[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i];
  copy[size] = '\0';
  return copy;
}

static dimple_status add_finding(dimple_model_check *c, dimple_finding finding, const char *text, uint64_t size) {
  bool full = (c->finding_count & (c->finding_count - 1)) == 0; /* room doubles at powers of two */
  size_t room = full ? (c->finding_count == 0 ? 1 : 2 * (size_t)c->finding_count) : 0;
  if (full) {
    dimple_finding *findings = realloc(c->findings, room * sizeof *findings);
    if (!findings) return dimple_fail_memory(room * sizeof *findings, "the findings of a check");
    c->findings = findings;
  }
  finding.text = copy_line(text, size);
  if (!finding.text) return dimple_fail_memory(size + 1, "a finding's text");
  c->findings[c->finding_count++] = finding;
  return DIMPLE_OK;
}

/* Notes the failure of a call, whose message is the thread's; what no file is to blame for stays a failure. */
static dimple_status note(dimple_model_check *c, const char *path, dimple_status status) {
  if (status == DIMPLE_OK || status == DIMPLE_ERROR_MEMORY) return status;
  const char *message = dimple_last_error();
  c->summary.problem_count++;
  return add_finding(c, (dimple_finding){.kind = DIMPLE_FINDING_PROBLEM, .status = status, .path = path}, message, strlen(message));
}

/* ----------------------------------------------------------------------------------------------------------------------- keys */

/* What writers say of any text model, under its architecture's name, beside the keys that are read. The shape of the value matrix is
 * checked with its tensor. */
static const harmless_key model_keys[] = {{"attention.value_length", NULL}, {"rope.scaling.type", "none"}, {"pooling_type", "0"},
                                          {"expert_count", "0"}, {"expert_used_count", "0"}, {NULL, NULL}};

/* What makes text of tokens and tokens of text is the bindings' business; the rest is for other uses of a vocabulary. Behind
 * "tokenizer.". */
static const harmless_key tokenizer_keys[] = {
    {"ggml.model", NULL}, {"ggml.pre", NULL}, {"ggml.tokens", NULL}, {"ggml.token_type", NULL}, {"ggml.merges", NULL}, {"ggml.scores", NULL},
    {"ggml.token_type_count", NULL}, {"ggml.add_bos_token", NULL}, {"ggml.add_eos_token", NULL}, {"ggml.add_sep_token", NULL},
    {"ggml.add_space_prefix", NULL}, {"ggml.unknown_token_id", NULL}, {"ggml.seperator_token_id", NULL}, {"ggml.cls_token_id", NULL},
    {"ggml.eot_token_id", NULL}, {"ggml.eom_token_id", NULL}, {"ggml.eos_token_ids", NULL}, {"ggml.prefix_token_id", NULL}, {"ggml.suffix_token_id", NULL},
    {"ggml.middle_token_id", NULL}, {"ggml.fim_pre_token_id", NULL}, {"ggml.fim_suf_token_id", NULL}, {"ggml.fim_mid_token_id", NULL},
    {"ggml.fim_pad_token_id", NULL}, {"ggml.fim_rep_token_id", NULL}, {"ggml.fim_sep_token_id", NULL}, {"chat_template", NULL},
    {"chat_templates", NULL}, {"huggingface.json", NULL}, {"dimple.lstrip", NULL}, {"dimple.rstrip", NULL}, {"dimple.single_word", NULL},
    {"dimple.normalized", NULL}, {NULL, NULL}};

/* Nothing stands under "diffusion." but what is read. */
static const harmless_key no_keys[] = {{NULL, NULL}};

/* Keys that this library answers for: their prefix, and those that are harmless. */
typedef struct key_group {
  const char *prefix;
  const harmless_key *harmless, *more; /* more: null or a second list */
} key_group;

static bool starts_with(const dimple_metadata *value, const char *prefix, uint64_t *size) {
  *size = strlen(prefix);
  return value->key_size > *size && memcmp(value->key, prefix, *size) == 0;
}

/* "tokenizer.chat_template.NAME" */
static bool is_named_template(const dimple_metadata *value) {
  uint64_t size;
  return starts_with(value, "tokenizer.chat_template.", &size);
}

static bool is_harmless(const key_group *groups, int count, const dimple_metadata *value) {
  uint64_t size;
  for (int i = 0; i < count; i++)
    if (starts_with(value, groups[i].prefix, &size))
      return harmless_key_listed(groups[i].harmless, value, size) || harmless_key_listed(groups[i].more, value, size) || is_named_template(value);
  return true;
}

static dimple_status check_keys(dimple_model_check *c, const gguf_file *file) {
  const text_parameters *text = &c->model.text;
  const vision_parameters *vision = &c->model.vision;
  char prefix[40] = "";
  key_group groups[4] = {{"tokenizer.", tokenizer_keys, NULL}, {"diffusion.", no_keys, NULL}, {"clip.", vision->tower ? vision->tower->harmless : NULL, NULL}};
  int count = 3;
  if (text->architecture) {
    snprintf(prefix, sizeof prefix, "%s.", text->architecture->name);
    groups[count++] = (key_group){prefix, model_keys, text->architecture->harmless};
  }
  for (int64_t i = 0; i < gguf_metadata_count(file); i++) {
    const dimple_metadata *value = gguf_metadata_at(file, i);
    if (gguf_was_read(file, i)) {
      c->summary.used_key_count++;
    } else if (is_harmless(groups, count, value)) {
      c->summary.harmless_key_count++;
    } else {
      c->summary.unknown_key_count++;
      DIMPLE_TRY(add_finding(c, (dimple_finding){.kind = DIMPLE_FINDING_UNKNOWN_KEY, .path = gguf_path(file)}, value->key, value->key_size));
    }
  }
  return DIMPLE_OK;
}

/* -------------------------------------------------------------------------------------------------------------------- tensors */

static int compare_names(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* Names of the listed tensors, sorted. */
typedef struct name_set {
  const char **names;
  int64_t count;
} name_set;

static dimple_status collect_names(const dimple_model *m, name_set *set) {
  const tensor_list *lists[] = {&m->text_tensors, &m->vision_tensors};
  size_t room = (size_t)(lists[0]->count + lists[1]->count);
  set->names = malloc((room + 1) * sizeof *set->names);
  if (!set->names) return dimple_fail_memory((room + 1) * sizeof *set->names, "the names of tensors");
  for (int i = 0; i < 2; i++)
    for (int64_t j = 0; j < lists[i]->count; j++) set->names[set->count++] = lists[i]->tensors[j].name;
  qsort(set->names, (size_t)set->count, sizeof *set->names, compare_names);
  return DIMPLE_OK;
}

static dimple_status sort_out_tensors(dimple_model_check *c, const name_set *set, const gguf_file *file) {
  for (int64_t i = 0; i < gguf_tensor_count(file); i++) {
    const char *name = gguf_tensor_at(file, i)->name;
    if (bsearch(&name, set->names, (size_t)set->count, sizeof *set->names, compare_names)) {
      c->summary.used_tensor_count++;
    } else {
      c->summary.unknown_tensor_count++;
      DIMPLE_TRY(add_finding(c, (dimple_finding){.kind = DIMPLE_FINDING_UNKNOWN_TENSOR, .path = gguf_path(file)}, name, strlen(name)));
    }
  }
  return DIMPLE_OK;
}

/* Unlike loading, goes on after a tensor that is not right. */
static dimple_status check_list(dimple_model_check *c, const tensor_list *list) {
  for (int64_t i = 0; i < list->count; i++) DIMPLE_TRY(note(c, gguf_path(list->files->files[0]), tensor_list_check(list, i)));
  return list->out_of_memory ? tensor_list_check_all(list) : DIMPLE_OK;
}

/* ---------------------------------------------------------------------------------------------------------------------- check */

static dimple_status sort_out(dimple_model_check *c) {
  const gguf_parts *parts[] = {&c->model.files, &c->model.mmproj};
  name_set set = {0};
  dimple_status status = collect_names(&c->model, &set);
  for (int i = 0; i < 2; i++)
    for (int32_t j = 0; j < parts[i]->count && status == DIMPLE_OK; j++) status = check_keys(c, parts[i]->files[j]);
  for (int i = 0; i < 2; i++)
    for (int32_t j = 0; j < parts[i]->count && status == DIMPLE_OK; j++) status = sort_out_tensors(c, &set, parts[i]->files[j]);
  free(set.names);
  return status;
}

static dimple_status check_model(dimple_model_check *c, const char *mmproj_path) {
  dimple_model *m = &c->model;
  const char *path = gguf_path(model_file(m));
  dimple_status status = !mmproj_path && tower_stands_alone(model_file(m)) ? model_read_tower(m) : model_read(m, mmproj_path);
  if (status != DIMPLE_OK) return note(c, path, status); /* without all keys nothing can be said of tensors */
  DIMPLE_TRY(check_list(c, &m->text_tensors));
  DIMPLE_TRY(check_list(c, &m->vision_tensors));
  if (c->summary.problem_count == 0 && m->text.architecture) DIMPLE_TRY(note(c, path, model_check_fit(m)));
  return sort_out(c);
}

dimple_status dimple_model_check_create(const char *path, const dimple_model_options *options, dimple_model_check **check) {
  if (!path || !check) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_model_check_create: %s is null", path ? "check" : "path");
  dimple_model_check *c = calloc(1, sizeof *c);
  if (!c) return dimple_fail_memory(sizeof *c, "a check");
  dimple_status status = model_open(&c->model, path);
  if (status == DIMPLE_OK) status = check_model(c, options ? options->mmproj_path : NULL);
  if (status == DIMPLE_OK)
    *check = c;
  else
    dimple_model_check_free(c);
  return status;
}

void dimple_model_check_free(dimple_model_check *c) {
  if (!c) return;
  for (int64_t i = 0; i < c->finding_count; i++) free((char *)c->findings[i].text);
  free(c->findings);
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
  if (index < 0 || index >= c->finding_count)
    return dimple_fail(DIMPLE_ERROR_NOT_FOUND, "there is no finding %" PRId64 ", the check has %" PRId64, index, c->finding_count);
  *finding = c->findings[index];
  return DIMPLE_OK;
}
