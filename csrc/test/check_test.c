/* Checking files without loading them: what is a problem, what is unknown, and that loading agrees. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/expect.h"
#include "test/random_model.h"

/* A matrix of zeros. */
static void put_zeros(gguf_writer *w, const char *name, uint64_t rows, uint64_t columns) {
  static const float zeros[2 * WIDTH * WIDTH];
  gguf_writer_tensor(w, name, 2, (uint64_t[]){columns, rows}, DIMPLE_TENSOR_F32, zeros);
}

static dimple_model_check_summary summary_of(const dimple_model_check *check) {
  dimple_model_check_summary s = {.problem_count = -1};
  EXPECT_OK(dimple_model_check_get_summary(check, &s));
  return s;
}

static dimple_finding finding_of(const dimple_model_check *check, int64_t index) {
  dimple_finding f = {.text = "", .path = ""};
  EXPECT_OK(dimple_model_check_get_finding(check, index, &f));
  return f;
}

static dimple_model_check *check_file(const char *path, const char *mmproj) {
  dimple_model_check *check = NULL;
  EXPECT_OK(dimple_model_check_create(path, &(dimple_model_options){.backend = "none of them", .mmproj_path = mmproj}, &check));
  return check;
}

/* Checks a model that the writer, which is freed, holds. */
static dimple_model_check *check_written(gguf_writer *w) {
  char path[64];
  temporary_file(w, path);
  dimple_model_check *check = check_file(path, NULL);
  remove(path);
  return check;
}

static void expect_sound(dimple_model_check *check, const char *what) {
  dimple_model_check_summary s = summary_of(check);
  EXPECT(s.problem_count == 0 && s.unknown_key_count == 0 && s.unknown_tensor_count == 0, "%s: %d problems, %d keys, %d tensors: %s", what,
         (int)s.problem_count, (int)s.unknown_key_count, (int)s.unknown_tensor_count, finding_of(check, 0).text);
  EXPECT(s.used_key_count > 0 && s.used_tensor_count > 0, "%s: nothing is used", what);
  dimple_finding f;
  EXPECT_FAILS(dimple_model_check_get_finding(check, 0, &f), DIMPLE_ERROR_NOT_FOUND, "no finding 0");
  dimple_model_check_free(check);
}

static void sound_models(void) {
  for (model_family family = FAMILY_DIMPLE; family < FAMILY_COUNT; family++) {
    gguf_writer w = {0};
    random_model_write(&w, &(model_shape){.family = family});
    expect_sound(check_written(&w), "a text model");
    random_model_write(&w, &(model_shape){.family = family, .tied = true});
    expect_sound(check_written(&w), "a tied text model");
  }
  gguf_writer w = {0};
  random_model_write(&w, &(model_shape){.vision = true});
  expect_sound(check_written(&w), "a model with a tower");
  random_model_write(&w, &(model_shape){.family = FAMILY_DREAM_VL, .vision = true});
  expect_sound(check_written(&w), "a model with a tower of layer norms");
  random_model_write(&w, &(model_shape){.family = FAMILY_DIMPLE_BLOCK, .vision = true});
  expect_sound(check_written(&w), "a block-causal model with a tower");
  random_model_write(&w, &(model_shape){.mmproj = true});
  expect_sound(check_written(&w), "a tower alone");
  random_model_write(&w, &(model_shape){.mmproj = true, .without_projector = true});
  expect_sound(check_written(&w), "a tower alone without a projector");
}

static void two_files(void) {
  char path[64], mmproj[64];
  random_model_save(&(model_shape){.family = FAMILY_DREAM}, path);
  random_model_save(&(model_shape){.mmproj = true}, mmproj);
  dimple_model_check *alone = check_file(mmproj, NULL), *both = check_file(path, mmproj), *wrong = check_file(path, path);
  dimple_model_check_summary s = summary_of(alone);
  EXPECT(summary_of(both).used_tensor_count > s.used_tensor_count, "%d tensors", (int)s.used_tensor_count);
  EXPECT(summary_of(both).problem_count == 0, "%s", finding_of(both, 0).text);
  EXPECT(strstr(finding_of(wrong, 0).text, "no vision encoder"), "%s", finding_of(wrong, 0).text);
  dimple_model_check_free(wrong);
  dimple_model_check_free(both);
  dimple_model_check_free(alone);
  remove(path);
  remove(mmproj);
}

/* A key with a harmless value; NULL for one that has none but as a number. */
typedef struct written_key {
  const char *name;
  const char *text;
  double number;
} written_key;

static void put_key(gguf_writer *w, const written_key *k) {
  if (k->text && (strcmp(k->text, "true") == 0 || strcmp(k->text, "false") == 0)) gguf_writer_bool(w, k->name, k->text[0] == 't');
  else if (k->text) gguf_writer_string(w, k->name, k->text);
  else if (k->number == (int)k->number) gguf_writer_u32(w, k->name, (uint32_t)k->number);
  else gguf_writer_f32(w, k->name, (float)k->number);
}

/* A second part may repeat the first one's keys, but say nothing else, and its tensors are its own. */
static void second_parts(void) {
  char first[] = "/tmp/dimple-check-00001-of-00002.gguf", second[] = "/tmp/dimple-check-00002-of-00002.gguf";
  gguf_writer w = {0};
  gguf_writer_u32(&w, "split.no", 0);
  gguf_writer_u32(&w, "split.count", 2);
  random_model_write(&w, &(model_shape){.family = FAMILY_DREAM});
  gguf_writer_save(&w, first);
  gguf_writer_free(&w);
  for (int repeated = 0; repeated < 2; repeated++) {
    gguf_writer_u32(&w, "split.no", 1);
    gguf_writer_u32(&w, "split.count", 2);
    gguf_writer_u32(&w, "dream.embedding_length", WIDTH);
    if (repeated) gguf_writer_u32(&w, "dream.context_length", CONTEXT + 1);
    if (repeated) put_zeros(&w, "blk.1.attn_q.weight", WIDTH, WIDTH);
    gguf_writer_save(&w, second);
    gguf_writer_free(&w);
    dimple_model_check *check = check_file(first, NULL);
    if (repeated) {
      EXPECT(strstr(finding_of(check, 0).text, "00002.gguf: key dream.context_length is unknown"), "\"%s\"", finding_of(check, 0).text);
      EXPECT(strcmp(finding_of(check, 2).text, "blk.1.attn_q.weight") == 0, "\"%s\"", finding_of(check, 2).text);
      dimple_model_check_free(check);
    } else {
      expect_sound(check, "two parts");
    }
  }
  remove(first);
  remove(second);
}

/* A file with a text model of its own beside another: what of it is not the tower is not used. */
static void towers_with_more(void) {
  char path[64], mmproj[64];
  random_model_save(&(model_shape){.family = FAMILY_DREAM}, path);
  random_model_save(&(model_shape){.vision = true}, mmproj);
  dimple_model_check *check = check_file(path, mmproj);
  EXPECT(strstr(finding_of(check, 0).text, "key diffusion.shift_logits is unknown"), "\"%s\"", finding_of(check, 0).text);
  EXPECT(summary_of(check).unknown_tensor_count == 3 + LAYERS * 12, "%d tensors", (int)summary_of(check).unknown_tensor_count);
  dimple_model_check_free(check);
  remove(path);
  remove(mmproj);
}

/* What llama.cpp's converter writes beside the keys that are read, and what a writer says to switch something off. */
static const written_key harmless[] = {
    {"general.name", "x", 0}, {"general.type", "model", 0}, {"general.quantization_version", NULL, 2}, {"general.file_type", NULL, 1},
    {"general.sampling.temp", NULL, 0.2}, {"general.base_model.0.name", "y", 0}, {"general.tensor_extra.name", "blk.0.attn_q", 0},
    {"dream.rope.scaling.finetuned", "false", 0}, {"dream.attention.layer_norm_epsilon", NULL, 1e-6}, {"dream.pooling_type", NULL, 0},
    {"dream.expert_count", NULL, 0}, {"dream.expert_used_count", NULL, 0}, {"dream.expert_group_count", NULL, 1},
    {"dream.expert_weights_norm", "false", 0}, {"dream.attention.sliding_window", NULL, 0}, {"dream.logit_scale", NULL, 0},
    {"tokenizer.ggml.model", "gpt2", 0}, {"tokenizer.ggml.add_bos_token", "true", 0}, {"tokenizer.ggml.add_eos_token", "false", 0},
    {"tokenizer.ggml.normalizer.nfc", "true", 0}, {"tokenizer.ggml.add_space_prefix", "true", 0}, {"tokenizer.chat_template", "{{ x }}", 0},
    {"tokenizer.chat_template.tool_use", "{{ x }}", 0}, {"quantize.imatrix.entries_count", NULL, 3}, {"mradermacher.quantized_by", "z", 0},
    {"llama.rope.scaling.type", "yarn", 0}};

/* Keys that ask for something else: by their name, or by this value. */
static const written_key asking[] = {
    {"dream.rope.scaling.type", "longrope", 0}, {"dream.rope.scaling.alpha", NULL, 1000}, {"dream.attention.sliding_window", NULL, 4096},
    {"dream.logit_scale", NULL, 0.5}, {"dream.expert_count", NULL, 8}, {"dream.expert_weights_scale", NULL, 2.5},
    {"dream.expert_weights_norm", "true", 0}, {"dream.attention.scale", NULL, 0.3}, {"dream.rope.freq_base_swa", NULL, 10000},
    {"dream.final_logit_softcapping", NULL, 30}, {"dream.use_parallel_residual", "true", 0}, {"dream.swin_norm", "true", 0},
    {"diffusion.window_length", NULL, 32}, {"tokenizer.ggml.add_eos_token", "true", 0}, {"tokenizer.ggml.normalizer.lowercase", "true", 0},
    {"tokenizer.ggml.suppress_tokens", NULL, 3}, {"general.type", "adapter", 0}, {"general.quantization_version", NULL, 1},
    {"general.tensor_extra.scale", NULL, 2}, {"clip.vision.image_size", NULL, 560}, {"prism.hadamard.block_size", NULL, 128},
    {"adapter.lora.alpha", NULL, 16}, {"xielu.alpha_p", NULL, 0.8}};

enum { HARMLESS = sizeof harmless / sizeof *harmless, ASKING = sizeof asking / sizeof *asking };

static void harmless_keys(void) {
  gguf_writer w = {0};
  for (int i = 0; i < HARMLESS; i++) put_key(&w, &harmless[i]);
  gguf_writer_u32(&w, "dream.attention.value_length", WIDTH / HEADS);
  gguf_writer_u32(&w, "dream.vocab_size", VOCAB);
  random_model_write(&w, &(model_shape){.family = FAMILY_DREAM});
  dimple_model_check *check = check_written(&w);
  EXPECT(summary_of(check).harmless_key_count == HARMLESS, "%d harmless", (int)summary_of(check).harmless_key_count);
  expect_sound(check, "a converter's keys");
  gguf_writer_string(&w, "general.type", "mmproj");
  gguf_writer_u32(&w, "clip.vision.image_size", 560);
  gguf_writer_bool(&w, "clip.use_silu", true);
  gguf_writer_bool(&w, "clip.use_gelu", false);
  gguf_writer_bool(&w, "clip.has_audio_encoder", false);
  gguf_writer_u32(&w, "dimple.video_token_id", 1);
  random_model_write(&w, &(model_shape){.vision = true});
  expect_sound(check_written(&w), "a tower's keys");
  gguf_writer_u32(&w, "llada-moe.expert_gating_func", 1);
  random_model_write(&w, &(model_shape){.family = FAMILY_LLADA_MOE});
  expect_sound(check_written(&w), "a softmax router");
}

/* One line that names the key; the same when the model is loaded, and none when that is to ignore it. */
static void keys_that_ask(void) {
  for (int i = 0; i < ASKING; i++) {
    char path[64], expected[120];
    gguf_writer w = {0};
    put_key(&w, &asking[i]);
    random_model_write(&w, &(model_shape){.family = FAMILY_DREAM});
    temporary_file(&w, path);
    dimple_model_check *check = check_file(path, NULL);
    dimple_model *m = NULL;
    EXPECT(summary_of(check).problem_count == 1 && summary_of(check).unknown_key_count == 1, "%s: %d problems, %d keys", asking[i].name,
           (int)summary_of(check).problem_count, (int)summary_of(check).unknown_key_count);
    snprintf(expected, sizeof expected, "%s: key %s is unknown", path, asking[i].name);
    EXPECT(strncmp(finding_of(check, 0).text, expected, strlen(expected)) == 0, "\"%s\"", finding_of(check, 0).text);
    EXPECT(strcmp(finding_of(check, 1).text, asking[i].name) == 0, "\"%s\"", finding_of(check, 1).text);
    EXPECT_FAILS(load_model(path, NULL, &m), DIMPLE_ERROR_UNSUPPORTED, finding_of(check, 0).text);
    dimple_model_check_free(check);
    remove(path);
  }
}

static void unknown_names(void) {
  static const char *const keys[] = {"dimple.rope.scaling.type", "dimple.attention.sliding_window", "diffusion.window_length", "tokenizer.ggml.speed",
                                     "clip.use_gelu"};
  char path[64];
  gguf_writer w = {0};
  gguf_writer_string(&w, keys[0], "longrope"); /* harmless with another value only */
  gguf_writer_u32(&w, keys[1], 4096);
  gguf_writer_u32(&w, keys[2], 32);
  gguf_writer_string(&w, keys[3], "fast");
  gguf_writer_bool(&w, keys[4], true);
  gguf_writer_u32(&w, "dream.rope.scaling.factor", 2); /* another architecture's */
  random_model_write(&w, &(model_shape){.vision = true});
  put_zeros(&w, "blk.0.attn_output.bias", 1, WIDTH);
  temporary_file(&w, path);
  dimple_model_options ignoring = {.backend = backend_under_test(), .ignore_unknown = 1};
  dimple_model_check *check = NULL;
  dimple_model *m = NULL;
  EXPECT_FAILS(load_model(path, NULL, &m), DIMPLE_ERROR_UNSUPPORTED, "key dimple.rope.scaling.type is unknown");
  EXPECT(strstr(dimple_last_error(), "and so are 5 more keys and tensors; the option ignore-unknown"), "\"%s\"", dimple_last_error());
  EXPECT_OK(dimple_model_load(path, &ignoring, &m));
  EXPECT_OK(dimple_model_check_create(path, &ignoring, &check));
  dimple_model_check_summary s = summary_of(check);
  EXPECT(s.problem_count == 0 && s.unknown_key_count == 5 && s.unknown_tensor_count == 1, "%d problems, %d keys, %d tensors",
         (int)s.problem_count, (int)s.unknown_key_count, (int)s.unknown_tensor_count);
  for (int i = 0; i < 6; i++) {
    const char *name = i < 5 ? keys[i] : "blk.0.attn_output.bias";
    dimple_finding f = finding_of(check, i), ignored = {.text = ""};
    EXPECT(f.kind == (i < 5 ? DIMPLE_FINDING_UNKNOWN_KEY : DIMPLE_FINDING_UNKNOWN_TENSOR) && f.status == DIMPLE_OK && strcmp(f.text, name) == 0,
           "finding %d is \"%s\"", i, f.text);
    EXPECT(strcmp(f.path, path) == 0, "in %s", f.path);
    EXPECT_OK(dimple_model_get_ignored(m, i, &ignored));
    EXPECT(ignored.kind == f.kind && strcmp(ignored.text, f.text) == 0, "ignored %d is \"%s\"", i, ignored.text);
  }
  dimple_finding f;
  EXPECT_FAILS(dimple_model_get_ignored(m, 6, &f), DIMPLE_ERROR_NOT_FOUND, "no ignored key or tensor 6");
  EXPECT_NULL_REFUSED(dimple_model_get_ignored(NULL, 0, &f));
  EXPECT_NULL_REFUSED(dimple_model_get_ignored(m, 0, NULL));
  dimple_model_free(m);
  dimple_model_check_free(check);
  remove(path);
}

/* Tensors that would change the result, one by one: of a quantization with scales of its own, of an architecture with norms of heads, of a
 * rotation with factors, of a layer too many. */
static void unknown_tensors(void) {
  static const char *const names[] = {"blk.0.attn_q.scale", "blk.1.attn_q_norm.weight", "rope_freqs.weight", "blk.2.attn_norm.weight",
                                      "output.bias", "v.blk.0.ln1.weight", "mm.0.weight", "cls.weight"};
  for (int i = 0; i < (int)(sizeof names / sizeof *names); i++) {
    char expected[80];
    gguf_writer w = {0};
    random_model_write(&w, &(model_shape){.family = FAMILY_DREAM});
    put_zeros(&w, names[i], 1, WIDTH);
    dimple_model_check *check = check_written(&w);
    snprintf(expected, sizeof expected, "tensor %s is unknown", names[i]);
    EXPECT(strstr(finding_of(check, 0).text, expected) && !strstr(finding_of(check, 0).text, "so are"), "\"%s\"", finding_of(check, 0).text);
    EXPECT(summary_of(check).unknown_tensor_count == 1, "%d tensors", (int)summary_of(check).unknown_tensor_count);
    dimple_model_check_free(check);
  }
}

/* Every problem of tensors is found; loading fails with the first. */
static void problems(void) {
  char path[64];
  gguf_writer w = {0};
  put_zeros(&w, "blk.0.attn_v.weight", WIDTH, WIDTH); /* too many rows */
  random_model_write(&w, &(model_shape){.missing = "blk.1.ffn_norm.weight"});
  temporary_file(&w, path);
  dimple_model_check *check = check_file(path, NULL);
  dimple_model *m = NULL;
  EXPECT(summary_of(check).problem_count == 2, "%d problems", (int)summary_of(check).problem_count);
  dimple_finding first = finding_of(check, 0), second = finding_of(check, 1);
  EXPECT(strstr(first.text, "blk.0.attn_v.weight has shape") && first.status == DIMPLE_ERROR_FORMAT, "\"%s\"", first.text);
  EXPECT(strstr(second.text, "blk.1.ffn_norm.weight is missing") && second.kind == DIMPLE_FINDING_PROBLEM, "\"%s\"", second.text);
  EXPECT_FAILS(load_model(path, NULL, &m), DIMPLE_ERROR_FORMAT, first.text);
  dimple_model_check_free(check);
  remove(path);
}

static void problems_with_keys(void) {
  gguf_writer w = {0};
  random_model_write(&w, &(model_shape){.missing = "dimple.embedding_length"});
  dimple_model_check *check = check_written(&w);
  EXPECT(summary_of(check).problem_count == 1 && summary_of(check).used_tensor_count == 0, "%d problems", (int)summary_of(check).problem_count);
  EXPECT(strstr(finding_of(check, 0).text, "\"dimple.embedding_length\" is missing"), "\"%s\"", finding_of(check, 0).text);
  dimple_model_check_free(check);
  gguf_writer_string(&w, "general.architecture", "gpt2");
  check = check_written(&w);
  dimple_finding f = finding_of(check, 0);
  EXPECT(f.status == DIMPLE_ERROR_UNSUPPORTED && strstr(f.text, "\"gpt2\", expected dimple, dream, llada"), "\"%s\"", f.text);
  dimple_model_check_free(check);
  /* A projector that does not fit, in a tower alone: its first layer says how wide it is. */
  put_zeros(&w, "mm.img_projector.2.weight", WIDTH + 1, WIDTH);
  random_model_write(&w, &(model_shape){.mmproj = true});
  check = check_written(&w);
  EXPECT(strstr(finding_of(check, 0).text, "mm.img_projector.2.weight has shape"), "\"%s\"", finding_of(check, 0).text);
  dimple_model_check_free(check);
}

/* A name is one line however long it is and whatever it holds, cut between characters. */
static void long_names(void) {
  char key[3001];
  for (int i = 0; i < 3000; i += 2) memcpy(key + i, "\xc3\xa4", 2);
  memcpy(key, "dimple.x\ny", 10); /* the cut would fall into a character */
  key[10] = 'z';
  memcpy(key + 11, "\xe2\x82\xac", 3);
  key[3000] = '\0';
  gguf_writer w = {0};
  gguf_writer_u32(&w, key, 1);
  random_model_write(&w, &(model_shape){0});
  dimple_model_check *check = check_written(&w);
  dimple_finding f = finding_of(check, 1); /* behind the refusal */
  EXPECT(strncmp(f.text, "dimple.x?yz", 11) == 0, "\"%.20s\"", f.text);
  EXPECT(strlen(f.text) == 1024 || strlen(f.text) == 1023, "%d bytes", (int)strlen(f.text));
  EXPECT((unsigned char)f.text[strlen(f.text) - 1] == 0xa4, "ends within a character");
  dimple_model_check_free(check);
}

static void refused_calls(void) {
  dimple_model_check *check = NULL;
  dimple_model_check_summary s;
  dimple_finding f;
  EXPECT_NULL_REFUSED(dimple_model_check_create(NULL, NULL, &check));
  EXPECT_NULL_REFUSED(dimple_model_check_create("x", NULL, NULL));
  EXPECT_FAILS(dimple_model_check_create("/tmp/dimple-there-is-no-such-file", NULL, &check), DIMPLE_ERROR_IO, "no-such-file");
  EXPECT(check == NULL, "output touched");
  EXPECT_NULL_REFUSED(dimple_model_check_get_summary(NULL, &s));
  EXPECT_NULL_REFUSED(dimple_model_check_get_finding(NULL, 0, &f));
  gguf_writer w = {0};
  random_model_write(&w, &(model_shape){0});
  check = check_written(&w);
  EXPECT_NULL_REFUSED(dimple_model_check_get_summary(check, NULL));
  EXPECT_NULL_REFUSED(dimple_model_check_get_finding(check, 0, NULL));
  EXPECT_FAILS(dimple_model_check_get_finding(check, -1, &f), DIMPLE_ERROR_NOT_FOUND, "no finding -1");
  dimple_model_check_free(check);
  dimple_model_check_free(NULL);
}

int main(void) {
  sound_models();
  two_files();
  second_parts();
  towers_with_more();
  harmless_keys();
  keys_that_ask();
  unknown_names();
  unknown_tensors();
  problems();
  problems_with_keys();
  long_names();
  refused_calls();
  return expect_summary("check");
}
