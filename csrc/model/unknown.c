#include "model/unknown.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

/* ----------------------------------------------------------------------------------------------------------------------- keys */

/* Names and meanings are those of llama.cpp's gguf-py/gguf/constants.py, values what its converter and its readers take for "none". A key
 * that asks for more with another value is listed with the harmless one alone. */

/* What writers say of any text model, under its architecture's name, beside the keys that are read. */
static const harmless_key model_keys[] = {
    /* of placeholders that a prompt is made with */
    {"video_token_id", NULL}, {"vision_start_token_id", NULL}, {"vision_end_token_id", NULL},
    /* of how it was trained or is used elsewhere */
    {"rope.scaling.finetuned", NULL}, {"pooling_type", "0"},
    /* of a kind of norm that no architecture here has */
    {"attention.layer_norm_epsilon", NULL},
    /* without experts, or with all in one group and their shares as the router gives them */
    {"expert_count", "0"}, {"expert_used_count", "0"}, {"expert_shared_count", "0"}, {"leading_dense_block_count", "0"},
    {"expert_group_count", "0"}, {"expert_group_count", "1"}, {"expert_group_used_count", "0"}, {"expert_group_used_count", "1"},
    {"expert_weights_scale", "0"}, {"expert_weights_scale", "1"}, {"expert_weights_norm", "false"},
    /* switched off */
    {"attention.sliding_window", "0"}, {"attention.clamp_kqv", "0"}, {"attention.max_alibi_bias", "0"}, {"attention.scale", "0"},
    {"logit_scale", "0"}, {"logit_scale", "1"}, {"residual_scale", "0"}, {"residual_scale", "1"}, {"embedding_scale", "0"},
    {"embedding_scale", "1"}, {"attn_logit_softcapping", "0"}, {"final_logit_softcapping", "0"}, {"use_parallel_residual", "false"},
    {NULL, NULL}};

/* What makes text of tokens and tokens of text is the bindings' business: they read these, or refuse a tokenizer of another kind. The rest is
 * for other kinds and uses of a vocabulary. Behind "tokenizer.". */
static const harmless_key tokenizer_keys[] = {
    {"ggml.model", NULL}, {"ggml.pre", NULL}, {"ggml.tokens", NULL}, {"ggml.token_type", NULL}, {"ggml.merges", NULL}, {"ggml.scores", NULL},
    {"ggml.token_type_count", NULL}, {"ggml.add_bos_token", NULL}, {"ggml.add_eos_token", "false"}, {"ggml.add_sep_token", "false"},
    {"ggml.add_space_prefix", NULL}, {"ggml.remove_extra_whitespaces", "false"}, {"ggml.normalizer.nfc", NULL},
    {"ggml.normalizer.lowercase", "false"}, {"ggml.normalizer.strip_accents", "false"}, {"ggml.unknown_token_id", NULL},
    {"ggml.seperator_token_id", NULL}, {"ggml.cls_token_id", NULL}, {"ggml.eot_token_id", NULL}, {"ggml.eom_token_id", NULL},
    {"ggml.eos_token_ids", NULL}, {"ggml.prefix_token_id", NULL}, {"ggml.suffix_token_id", NULL}, {"ggml.middle_token_id", NULL}, {"ggml.fim_pre_token_id", NULL},
    {"ggml.fim_suf_token_id", NULL}, {"ggml.fim_mid_token_id", NULL}, {"ggml.fim_pad_token_id", NULL}, {"ggml.fim_rep_token_id", NULL},
    {"ggml.fim_sep_token_id", NULL}, {"chat_template", NULL}, {"chat_templates", NULL}, {"huggingface.json", NULL},
    {"dimple.lstrip", NULL}, {"dimple.rstrip", NULL}, {"dimple.single_word", NULL}, {"dimple.normalized", NULL}, {NULL, NULL}};

/* What describes the file. Version 2 is that of the block formats; an adapter is no model. Behind "general.". */
static const harmless_key general_keys[] = {{"type", "model"}, {"type", "mmproj"}, {"quantization_version", "2"}, {NULL, NULL}};

/* How precisely some tensors' inputs are to be multiplied; here, always as precisely as they are stored. Behind "general.tensor_extra.". */
static const harmless_key tensor_extra_keys[] = {{"name", NULL}, {"prec_a4", NULL}, {NULL, NULL}};

static const harmless_key no_keys[] = {{NULL, NULL}};

/* Keys that this library answers for: their prefix, and those that are harmless. */
typedef struct key_group {
  const char *prefix;
  const harmless_key *harmless, *more; /* more: null or a second list */
  bool others;                         /* what the list does not name is harmless too */
} key_group;

enum { MAX_GROUPS = 9 };

static bool starts_with(const dimple_metadata *value, const char *prefix, uint64_t *size) {
  *size = strlen(prefix);
  return value->key_size > *size && memcmp(value->key, prefix, *size) == 0;
}

/* "tokenizer.chat_template.NAME" */
static bool is_named_template(const dimple_metadata *value) {
  uint64_t size;
  return starts_with(value, "tokenizer.chat_template.", &size);
}

static bool is_harmless_in(const key_group *g, const dimple_metadata *value, uint64_t prefix_size) {
  if (harmless_key_listed(g->harmless, value, prefix_size) || harmless_key_listed(g->more, value, prefix_size)) return true;
  return is_named_template(value) || (g->others && !harmless_key_named(g->harmless, value, prefix_size));
}

/* What stands outside of the groups is another program's note. */
static bool is_harmless(const key_group *groups, int count, const dimple_metadata *value) {
  uint64_t size;
  for (int i = 0; i < count; i++)
    if (starts_with(value, groups[i].prefix, &size)) return is_harmless_in(&groups[i], value, size);
  return true;
}

/* The groups of a model's files; prefix[40] holds one's name. */
static int list_groups(const dimple_model *m, char prefix[40], key_group groups[MAX_GROUPS]) {
  const key_group fixed[] = {
      {.prefix = "tokenizer.", .harmless = tokenizer_keys},
      {.prefix = "diffusion.", .harmless = no_keys},
      {.prefix = "clip.", .harmless = m->vision.tower ? m->vision.tower->harmless : NULL},
      {.prefix = "general.tensor_extra.", .harmless = tensor_extra_keys},
      {.prefix = "general.", .harmless = general_keys, .others = true},
      /* weights that were rotated, an adapter, activations with parameters: without them a model is another one */
      {.prefix = "prism.", .harmless = no_keys},
      {.prefix = "adapter.", .harmless = no_keys},
      {.prefix = "xielu.", .harmless = no_keys}};
  int count = sizeof fixed / sizeof *fixed;
  memcpy(groups, fixed, sizeof fixed);
  if (m->text.architecture) {
    snprintf(prefix, 40, "%s.", m->text.architecture->name);
    groups[count++] = (key_group){.prefix = prefix, .harmless = model_keys, .more = m->text.architecture->harmless};
  }
  return count;
}

/* Whether the first part, where keys are read, says the same. */
static bool is_repeated(const gguf_parts *parts, const gguf_file *file, const dimple_metadata *value) {
  const dimple_metadata *first = file == parts->files[0] ? NULL : gguf_find_sized(parts->files[0], value->key, value->key_size);
  return first && first->type == value->type && first->element_type == value->element_type && first->size == value->size &&
         memcmp(first->data, value->data, value->size) == 0;
}

static dimple_status sort_out_keys(dimple_model *m, const gguf_parts *parts, const gguf_file *file, dimple_model_check_summary *summary) {
  char prefix[40];
  key_group groups[MAX_GROUPS];
  int count = list_groups(m, prefix, groups);
  for (int64_t i = 0; i < gguf_metadata_count(file); i++) {
    const dimple_metadata *value = gguf_metadata_at(file, i);
    if (gguf_was_read(file, i)) {
      summary->used_key_count++;
    } else if (is_repeated(parts, file, value) || is_harmless(groups, count, value)) {
      summary->harmless_key_count++;
    } else {
      summary->unknown_key_count++;
      DIMPLE_TRY(findings_add(&m->ignored, (dimple_finding){.kind = DIMPLE_FINDING_UNKNOWN_KEY, .path = gguf_path(file)}, value->key, value->key_size));
    }
  }
  return DIMPLE_OK;
}

/* -------------------------------------------------------------------------------------------------------------------- tensors */

static int compare_names(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* Names of the tensors that are listed of some files, sorted. */
typedef struct name_set {
  const char **names;
  int64_t count;
} name_set;

static dimple_status collect_names(const dimple_model *m, const gguf_parts *parts, name_set *set) {
  const tensor_list *lists[] = {&m->text_tensors, &m->vision_tensors};
  size_t room = (size_t)(lists[0]->count + lists[1]->count);
  set->names = malloc((room + 1) * sizeof *set->names);
  if (!set->names) return dimple_fail_memory((room + 1) * sizeof *set->names, "the names of tensors");
  for (int i = 0; i < 2; i++)
    for (int64_t j = 0; j < lists[i]->count && lists[i]->files == parts; j++) set->names[set->count++] = lists[i]->tensors[j].name;
  qsort(set->names, (size_t)set->count, sizeof *set->names, compare_names);
  return DIMPLE_OK;
}

/* A tensor that an earlier part has, too, is not the one that is used. */
static bool is_used(const name_set *set, const gguf_parts *parts, const gguf_file *file, const char *name) {
  const gguf_file *first = NULL;
  gguf_parts_find_tensor(parts, name, &first);
  return first == file && bsearch(&name, set->names, (size_t)set->count, sizeof *set->names, compare_names);
}

static dimple_status sort_out_file(dimple_model *m, const name_set *set, const gguf_parts *parts, const gguf_file *file,
                                   dimple_model_check_summary *summary) {
  for (int64_t i = 0; i < gguf_tensor_count(file); i++) {
    const char *name = gguf_tensor_at(file, i)->name;
    if (is_used(set, parts, file, name)) {
      summary->used_tensor_count++;
    } else {
      summary->unknown_tensor_count++;
      DIMPLE_TRY(findings_add(&m->ignored, (dimple_finding){.kind = DIMPLE_FINDING_UNKNOWN_TENSOR, .path = gguf_path(file)}, name, strlen(name)));
    }
  }
  return DIMPLE_OK;
}

static dimple_status sort_out_tensors(dimple_model *m, const gguf_parts *parts, dimple_model_check_summary *summary) {
  name_set set = {0};
  dimple_status status = collect_names(m, parts, &set);
  for (int32_t i = 0; i < parts->count && status == DIMPLE_OK; i++) status = sort_out_file(m, &set, parts, parts->files[i], summary);
  free(set.names);
  return status;
}

/* -------------------------------------------------------------------------------------------------------------------- the files */

dimple_status unknown_find(dimple_model *m, dimple_model_check_summary *summary) {
  const gguf_parts *parts[] = {&m->files, &m->mmproj};
  for (int i = 0; i < 2; i++)
    for (int32_t j = 0; j < parts[i]->count; j++) DIMPLE_TRY(sort_out_keys(m, parts[i], parts[i]->files[j], summary));
  for (int i = 0; i < 2; i++) DIMPLE_TRY(sort_out_tensors(m, parts[i], summary));
  return DIMPLE_OK;
}

dimple_status unknown_refuse(const dimple_model *m) {
  if (m->ignored.count == 0) return DIMPLE_OK;
  const dimple_finding *first = &m->ignored.items[0];
  char others[64] = "";
  if (m->ignored.count > 1) snprintf(others, sizeof others, ", and so are %" PRId64 " more keys and tensors", m->ignored.count - 1);
  return dimple_fail(DIMPLE_ERROR_UNSUPPORTED,
                     "%s: %s %s is unknown or asks for what this library does not do, and may change the result%s; "
                     "the option ignore-unknown loads the model without",
                     first->path, first->kind == DIMPLE_FINDING_UNKNOWN_KEY ? "key" : "tensor", first->text, others);
}
