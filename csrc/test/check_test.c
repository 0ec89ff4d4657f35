/* Checking files without loading them: what is a problem, what is unknown, and that loading agrees. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
  unlink(path);
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
  for (model_family family = FAMILY_DIMPLE; family <= FAMILY_LLADA_MOE; family++) {
    gguf_writer w = {0};
    random_model_write(&w, &(model_shape){.family = family});
    expect_sound(check_written(&w), "a text model");
    random_model_write(&w, &(model_shape){.family = family, .tied = true});
    expect_sound(check_written(&w), "a tied text model");
  }
  gguf_writer w = {0};
  random_model_write(&w, &(model_shape){.vision = true});
  expect_sound(check_written(&w), "a model with a tower");
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
  unlink(path);
  unlink(mmproj);
}

/* What llama.cpp's converter writes beside the keys that are read. */
static void harmless_keys(void) {
  gguf_writer w = {0};
  gguf_writer_string(&w, "general.name", "x");
  gguf_writer_u32(&w, "general.file_type", 1);
  gguf_writer_u32(&w, "dream.attention.value_length", WIDTH / HEADS);
  gguf_writer_string(&w, "dream.rope.scaling.type", "none");
  gguf_writer_u32(&w, "dream.vocab_size", VOCAB);
  gguf_writer_string(&w, "tokenizer.ggml.model", "gpt2");
  gguf_writer_bool(&w, "tokenizer.ggml.add_bos_token", false);
  gguf_writer_string(&w, "tokenizer.chat_template", "{{ x }}");
  gguf_writer_string(&w, "tokenizer.chat_template.tool_use", "{{ x }}");
  gguf_writer_u32(&w, "quantize.imatrix.entries_count", 3);
  random_model_write(&w, &(model_shape){.family = FAMILY_DREAM});
  dimple_model_check *check = check_written(&w);
  EXPECT(summary_of(check).harmless_key_count >= 9, "%d harmless", (int)summary_of(check).harmless_key_count);
  expect_sound(check, "a converter's keys");
  gguf_writer_u32(&w, "clip.vision.image_size", 560);
  gguf_writer_bool(&w, "clip.use_silu", true);
  gguf_writer_bool(&w, "clip.use_gelu", false);
  gguf_writer_u32(&w, "dimple.video_token_id", 1);
  random_model_write(&w, &(model_shape){.vision = true});
  expect_sound(check_written(&w), "a tower's keys");
  gguf_writer_u32(&w, "llada-moe.expert_gating_func", 1);
  random_model_write(&w, &(model_shape){.family = FAMILY_LLADA_MOE});
  expect_sound(check_written(&w), "a softmax router");
}

static void unknown_names(void) {
  static const char *const keys[] = {"dimple.rope.scaling.type", "dimple.attention.sliding_window", "diffusion.window_length", "tokenizer.ggml.speed",
                                     "clip.use_gelu"};
  gguf_writer w = {0};
  gguf_writer_string(&w, keys[0], "yarn"); /* harmless with another value only */
  gguf_writer_u32(&w, keys[1], 4096);
  gguf_writer_u32(&w, keys[2], 32);
  gguf_writer_string(&w, keys[3], "fast");
  gguf_writer_bool(&w, keys[4], true);
  gguf_writer_u32(&w, "dream.rope.scaling.factor", 2); /* another architecture's */
  random_model_write(&w, &(model_shape){.vision = true});
  put_zeros(&w, "blk.0.attn_output.bias", 1, WIDTH);
  dimple_model_check *check = check_written(&w);
  dimple_model_check_summary s = summary_of(check);
  EXPECT(s.problem_count == 0 && s.unknown_key_count == 5 && s.unknown_tensor_count == 1, "%d problems, %d keys, %d tensors",
         (int)s.problem_count, (int)s.unknown_key_count, (int)s.unknown_tensor_count);
  for (int i = 0; i < 5; i++) {
    dimple_finding f = finding_of(check, i);
    EXPECT(f.kind == DIMPLE_FINDING_UNKNOWN_KEY && f.status == DIMPLE_OK && strcmp(f.text, keys[i]) == 0, "finding %d is \"%s\"", i, f.text);
    EXPECT(strncmp(f.path, "/tmp/", 5) == 0, "in %s", f.path);
  }
  dimple_finding f = finding_of(check, 5);
  EXPECT(f.kind == DIMPLE_FINDING_UNKNOWN_TENSOR && strcmp(f.text, "blk.0.attn_output.bias") == 0, "\"%s\"", f.text);
  dimple_model_check_free(check);
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
  unlink(path);
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
  dimple_finding f = finding_of(check, 0);
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
  harmless_keys();
  unknown_names();
  problems();
  problems_with_keys();
  long_names();
  refused_calls();
  return expect_summary("check");
}
