/* Block-causal decoding: what is before a block is kept exactly, rows see no more than they may, and what does not go together is refused. */
#include <stdlib.h>
#include <string.h>

#include "diffusion/session.h"
#include "test/session_fixture.h"

static dimple_decoding sdar(int32_t steps) {
  dimple_decoding d = decoding_of(DIMPLE_PIPELINE_SDAR, DIMPLE_ALGORITHM_LOW_CONFIDENCE_STATIC);
  d.steps = steps;
  return d;
}

static dimple_session *session_of(dimple_model *m, const int32_t *prompt, int32_t prompt_length, const int32_t *response, int32_t length, int32_t threads,
                                  int32_t prefill) {
  dimple_session *s = open_session(m, threads, prefill);
  EXPECT_OK(dimple_session_set_prompt(s, prompt, prompt_length, NULL, 0));
  EXPECT_OK(dimple_session_set_response(s, response, length));
  return s;
}

static outcome decode_once(dimple_model *m, const int32_t *prompt, int32_t prompt_length, const int32_t *response, int32_t length,
                           const dimple_decoding *d) {
  dimple_session *s = session_of(m, prompt, prompt_length, response, length, 1, 1);
  outcome o = decode(s, d);
  dimple_session_free(s);
  return o;
}

static bool holds_end(const int32_t *tokens, int32_t count) {
  bool held = false;
  for (int32_t i = 0; i < count; i++) held |= tokens[i] == EOS;
  return held;
}

/* What was decoded may as well have been prompt: later blocks come out alike. Prompts that end inside a block and at its end. */
static void kept_blocks_are_exact(dimple_model *m, const dimple_decoding *d) {
  int32_t tokens[CONTEXT], masks[CONTEXT];
  for (int32_t i = 0; i < CONTEXT; i++) masks[i] = MASK;
  for (int32_t prompt = 1; prompt <= PROMPT; prompt++) {
    int32_t length = 4 * BLOCK - prompt % BLOCK;
    outcome whole = decode_once(m, prompt_tokens, prompt, masks, length, d);
    EXPECT(whole.remaining == 0, "prompt of %d: %d left", prompt, whole.remaining);
    memcpy(tokens, prompt_tokens, (size_t)prompt * sizeof *tokens);
    memcpy(tokens + prompt, whole.tokens, (size_t)length * sizeof *tokens);
    for (int32_t done = d->pipeline != DIMPLE_PIPELINE_BD3LM ? BLOCK - prompt % BLOCK : BLOCK; done < length; done += BLOCK) {
      if (holds_end(whole.tokens, done)) break; /* the decoding has ended there */
      outcome rest = decode_once(m, tokens, prompt + done, masks, length - done, d);
      EXPECT(memcmp(rest.tokens, whole.tokens + done, (size_t)(length - done) * sizeof *tokens) == 0, "prompt of %d: other tokens behind %d", prompt, done);
    }
  }
}

/* A block that is given as a whole is run for its keys and values alone. */
static void given_blocks_count(dimple_model *m) {
  int32_t prompt[PROMPT + 2 * BLOCK], response[4 * BLOCK];
  dimple_decoding d = sdar(BLOCK);
  for (int32_t i = 0; i < 4 * BLOCK; i++) response[i] = i >= 1 && i < 1 + BLOCK ? 20 + i : MASK; /* the prompt's 7 tokens leave 1 of its last block */
  outcome o = decode_once(m, prompt_tokens, PROMPT, response, 1 + 3 * BLOCK, &d);
  memcpy(prompt, prompt_tokens, sizeof prompt_tokens);
  memcpy(prompt + PROMPT, o.tokens, (1 + BLOCK) * sizeof *prompt);
  for (int32_t i = 0; i < 2 * BLOCK; i++) response[i] = MASK;
  outcome rest = decode_once(m, prompt, PROMPT + 1 + BLOCK, response, 2 * BLOCK, &d);
  EXPECT(memcmp(rest.tokens, o.tokens + 1 + BLOCK, 2 * BLOCK * sizeof *prompt) == 0, "other tokens behind a given block");
}

/* Threads, an earlier decoding and the setting of the prompt's cache change nothing. */
static void results_are_repeatable(dimple_model *m, const dimple_decoding *d, const dimple_decoding *other) {
  int32_t masks[RESPONSE];
  for (int32_t i = 0; i < RESPONSE; i++) masks[i] = MASK;
  dimple_session *s = session_of(m, prompt_tokens, PROMPT, masks, RESPONSE, 1, 1);
  outcome first = decode(s, d);
  if (other) decode(s, other);
  outcome again = decode(s, d);
  EXPECT(same_outcome(&first, &again), "another decoding comes out otherwise");
  dimple_session_free(s);
  s = session_of(m, prompt_tokens, PROMPT, masks, RESPONSE, 3, 0);
  again = decode(s, d);
  EXPECT(same_outcome(&first, &again), "threads or the prompt's cache matter");
  dimple_session_free(s);
}

/* Where an earlier decoding counted its blocks from says nothing of another prompt, or of logits. */
static void blocks_are_the_decodings(dimple_model *full, const dimple_decoding *d) {
  int32_t masks[RESPONSE];
  for (int32_t i = 0; i < RESPONSE; i++) masks[i] = MASK;
  dimple_session *s = session_of(full, prompt_tokens, PROMPT, masks, RESPONSE, 1, 1);
  float *before = logits_of(s, PROMPT + RESPONSE);
  decode(s, d);
  float *after = logits_of(s, PROMPT + RESPONSE);
  EXPECT(memcmp(before, after, sizeof *before * (PROMPT + RESPONSE) * VOCAB) == 0, "logits are of a decoding's blocks");
  free(before);
  free(after);
  for (int32_t length = 1; length < PROMPT; length++) {
    EXPECT_OK(dimple_session_set_prompt(s, prompt_tokens, length, NULL, 0));
    EXPECT_OK(dimple_session_set_response(s, masks, RESPONSE));
    EXPECT_OK(dimple_session_prefill(s));
    outcome again = decode(s, d), fresh = decode_once(full, prompt_tokens, length, masks, RESPONSE, d);
    EXPECT(same_outcome(&again, &fresh), "a prompt of %d comes out otherwise", length);
  }
  dimple_session_free(s);
}

/* Dimple's algorithm knows the threshold as SDAR's dynamic one does, and without one it is the static one; a temperature of positions counts. */
static void algorithms_by_other_names(dimple_model *blocks) {
  int32_t masks[RESPONSE];
  for (int32_t i = 0; i < RESPONSE; i++) masks[i] = MASK;
  dimple_decoding named = sdar(2), own = named;
  own.algorithm = DIMPLE_ALGORITHM_MASKGIT_PLUS;
  for (int32_t warm = 0; warm < 2; warm++) {
    named.algorithm = DIMPLE_ALGORITHM_LOW_CONFIDENCE_STATIC;
    named.threshold = own.threshold = 0;
    named.algorithm_temperature = own.algorithm_temperature = warm ? 0.7f : 0;
    outcome a = decode_once(blocks, prompt_tokens, PROMPT, masks, RESPONSE, &named), b = decode_once(blocks, prompt_tokens, PROMPT, masks, RESPONSE, &own);
    EXPECT(same_outcome(&a, &b), "static, %d", warm);
    named.algorithm = DIMPLE_ALGORITHM_LOW_CONFIDENCE_DYNAMIC;
    named.threshold = own.threshold = 0.05f;
    outcome c = decode_once(blocks, prompt_tokens, PROMPT, masks, RESPONSE, &named), d = decode_once(blocks, prompt_tokens, PROMPT, masks, RESPONSE, &own);
    EXPECT(same_outcome(&c, &d) && !same_outcome(&a, &c), "dynamic, %d", warm);
  }
}

static dimple_decoding fast_dllm(float threshold, int32_t sub_block, int32_t cached) {
  dimple_decoding d = decoding_of(DIMPLE_PIPELINE_FAST_DLLM_V2, DIMPLE_ALGORITHM_LOW_CONFIDENCE_DYNAMIC);
  d.threshold = threshold;
  d.sub_block_length = sub_block;
  d.block_cache = cached;
  return d;
}

/* Whole passes and those of sub-blocks, at every border of blocks; and what only models with shifted logits have. */
static void first_tokens_come_from_the_block_before(dimple_model *shifted, dimple_model *blocks) {
  for (int32_t cached = 0; cached < 2; cached++)
    for (int32_t part = 1; part <= BLOCK; part += part) {
      dimple_decoding d = fast_dllm(0.1f, part, cached), other = fast_dllm(1, 0, 0);
      kept_blocks_are_exact(shifted, &d);
      results_are_repeatable(shifted, &d, &other);
    }
  int32_t masks[RESPONSE];
  for (int32_t i = 0; i < RESPONSE; i++) masks[i] = MASK;
  dimple_decoding whole = fast_dllm(1, BLOCK, 0), cached = fast_dllm(1, 2, 1), plain = fast_dllm(1, 2, 0);
  outcome a = decode_once(shifted, prompt_tokens, PROMPT, masks, RESPONSE, &plain), b = decode_once(shifted, prompt_tokens, PROMPT, masks, RESPONSE, &cached);
  EXPECT(!same_outcome(&a, &b), "passes over sub-blocks alone change nothing: they are not run");
  dimple_session *s = session_of(blocks, prompt_tokens, PROMPT, masks, RESPONSE, 1, 1);
  EXPECT_FAILS(dimple_session_begin(s, &whole), DIMPLE_ERROR_UNSUPPORTED, "pipeline fast-dllm-v2 needs a model whose rows score the next position");
  whole.sub_block_length = BLOCK - 1;
  EXPECT_FAILS(dimple_session_begin(s, &whole), DIMPLE_ERROR_ARGUMENT, "sub_block_length is 3, expected a divisor of block_length, 4");
  whole = sdar(1);
  whole.block_cache = 1;
  EXPECT_FAILS(dimple_session_begin(s, &whole), DIMPLE_ERROR_ARGUMENT, "block_cache does not go with pipeline sdar");
  dimple_session_free(s);
}

/* Behind a prompt of whole blocks, and behind a block that is given: the authors draw no token of these, while they draw others. */
static void first_tokens_are_not_drawn(dimple_model *shifted) {
  int32_t prompt[2 * BLOCK], drawn = 0;
  for (int32_t i = 0; i < 2 * BLOCK; i++) prompt[i] = 10 + i * 7 % 60;
  for (int32_t given = 0; given <= BLOCK; given += BLOCK) {
    int32_t response[2 * BLOCK], likeliest[2 * BLOCK], expected = MASK;
    for (int32_t i = 0; i < 2 * BLOCK; i++) response[i] = i < given ? 20 + i : MASK;
    for (uint64_t seed = 0; seed < 8; seed++) {
      dimple_decoding d = fast_dllm(1, BLOCK, 0);
      d.temperature = seed == 0 ? 0 : 30;
      d.seed = seed;
      dimple_session *s = session_of(shifted, prompt, 2 * BLOCK, response, 2 * BLOCK, 1, 1);
      dimple_step step = {0};
      EXPECT_OK(dimple_session_begin(s, &d));
      while (step.canvas_length == 0 || step.canvas[given] == MASK) EXPECT_OK(dimple_session_step(s, &step));
      if (seed == 0) expected = step.canvas[given];
      EXPECT(step.canvas[given] == expected, "behind %d given tokens seed %d gives token %d, not %d", given, (int)seed, step.canvas[given], expected);
      EXPECT_OK(dimple_session_step(s, &step));
      if (seed == 0) memcpy(likeliest, step.canvas, sizeof likeliest);
      drawn += memcmp(likeliest, step.canvas, sizeof likeliest) != 0;
      dimple_session_free(s);
    }
  }
  EXPECT(drawn > 7, "%d of 14 drawn tokens are others", drawn);
}

static dimple_decoding llada2(float threshold, float editing, int32_t post) {
  dimple_decoding d = decoding_of(DIMPLE_PIPELINE_LLADA2, DIMPLE_ALGORITHM_TOKEN_EDITING);
  d.threshold = threshold;
  d.editing_threshold = editing;
  d.max_post_steps = post;
  return d;
}

/* Tokens change within their block alone, as the steps say, and no given one does; blocks before it are kept exactly. */
static void edits_stay_in_their_block(dimple_model *m) {
  dimple_decoding d = llada2(0, 0, 3), twice = decoding_of(DIMPLE_PIPELINE_LLADA2, DIMPLE_ALGORITHM_LOW_CONFIDENCE_DYNAMIC);
  twice.threshold = 0.1f;
  kept_blocks_are_exact(m, &d);
  kept_blocks_are_exact(m, &twice);
  results_are_repeatable(m, &d, &twice);
  int32_t response[RESPONSE], before[RESPONSE], edits = 0;
  for (int32_t i = 0; i < RESPONSE; i++) before[i] = response[i] = i % 5 == 2 ? 30 + i : MASK;
  dimple_session *s = session_of(m, prompt_tokens, PROMPT, response, RESPONSE, 1, 1);
  dimple_step step = {0};
  EXPECT_OK(dimple_session_begin(s, &d));
  for (int32_t settled = 0; !step.done;) {
    EXPECT_OK(dimple_session_step(s, &step));
    int32_t changed = 0;
    for (int32_t i = 0; i < RESPONSE; i++) {
      if (step.canvas[i] == before[i]) continue;
      EXPECT(i >= settled && response[i] == MASK, "position %d changes, %d are settled", i, settled);
      edits += before[i] != MASK;
      changed++;
    }
    EXPECT(changed == step.revealed_count, "%d changes, %d said", changed, step.revealed_count);
    memcpy(before, step.canvas, sizeof before);
    settled = step.settled;
  }
  EXPECT(edits > 0 && step.remaining == 0, "%d edits, %d left", edits, step.remaining);
  dimple_session_free(s);
}

/* (a | b+ c)*: of tokens that are one letter each, an end and a filler. */
static dimple_constraint *letters(void) {
  uint8_t kinds[VOCAB], bytes[VOCAB], byte_class[256];
  int64_t offsets[VOCAB + 1];
  static const int32_t next[] = {0, 1, -1, -1, 1, 0};
  for (int32_t i = 0; i < VOCAB; i++) {
    kinds[i] = i == EOS ? DIMPLE_TOKEN_END : i == PAD ? DIMPLE_TOKEN_FILLER : i >= PAD ? DIMPLE_TOKEN_EXCLUDED : DIMPLE_TOKEN_TEXT;
    bytes[i] = (uint8_t)('a' + i % 3);
    offsets[i] = i;
  }
  offsets[VOCAB] = VOCAB;
  for (int32_t i = 0; i < 256; i++) byte_class[i] = (uint8_t)((i + 3 - 'a' % 3) % 3);
  dimple_automaton a = {.state_count = 2, .class_count = 3, .byte_class = byte_class, .next = next, .accepting = (uint8_t[]){1, 0}};
  dimple_vocabulary *vocabulary = NULL;
  dimple_constraint *constraint = NULL;
  EXPECT_OK(dimple_vocabulary_create(bytes, offsets, kinds, VOCAB, &vocabulary));
  EXPECT_OK(dimple_constraint_create(vocabulary, &a, &constraint));
  dimple_vocabulary_free(vocabulary);
  return constraint;
}

/* Whether the tokens up to the first that is masked can be the beginning of what letters() holds to, or all of it where none is. */
static bool is_accepted(const int32_t *tokens, int32_t count) {
  int32_t state = 0, i = 0;
  for (; i < count && tokens[i] != MASK && tokens[i] < PAD; i++) {
    int32_t letter = tokens[i] % 3;
    if ((state == 0 && letter == 2) || (state == 1 && letter == 0)) return false;
    state = letter == 1;
  }
  if (i < count && tokens[i] == MASK) return true;
  if (state != 0 || (i < count && tokens[i] != EOS)) return false;
  for (; i < count; i++)
    if (tokens[i] != MASK && tokens[i] != EOS && tokens[i] != PAD) return false;
  return true;
}

/* A structure holds at each step, whatever is given another token. */
static void structures_hold(dimple_model *m, const dimple_decoding *d) {
  dimple_constraint *constraint = letters();
  int32_t masks[RESPONSE], edits = 0;
  for (int32_t i = 0; i < RESPONSE; i++) masks[i] = MASK;
  for (int32_t prompt = 1; prompt <= PROMPT; prompt++)
    for (int32_t fixed = 0; fixed < 3; fixed++) {
      masks[RESPONSE / 2] = fixed ? 30 + fixed : MASK; /* b or c, which the letters before it have to suit */
      dimple_session *s = session_of(m, prompt_tokens, prompt, masks, RESPONSE, 1, 1);
      dimple_step step = {0};
      EXPECT_OK(dimple_session_set_constraint(s, constraint));
      EXPECT_OK(dimple_session_begin(s, d));
      for (int32_t masked = RESPONSE; !step.done; masked = step.remaining) {
        dimple_status status = dimple_session_step(s, &step);
        EXPECT(status == DIMPLE_OK, "%s", dimple_last_error());
        if (status != DIMPLE_OK) break;
        EXPECT(is_accepted(step.canvas, RESPONSE), "prompt of %d, fixed %d: step %d fits nothing", prompt, fixed, step.iteration);
        edits += step.revealed_count - (masked - step.remaining) > 0;
      }
      EXPECT(step.remaining == 0, "%d left", step.remaining);
      dimple_session_free(s);
    }
  EXPECT((edits > 0) == (d->algorithm == DIMPLE_ALGORITHM_TOKEN_EDITING), "%d edits", edits);
  dimple_constraint_free(constraint);
}

/* Steps say which block they were of, and that what is revealed stays. */
static void steps_name_their_block(dimple_model *m) {
  int32_t masks[RESPONSE], block = 0;
  for (int32_t i = 0; i < RESPONSE; i++) masks[i] = MASK;
  dimple_decoding d = sdar(2);
  dimple_session *s = session_of(m, prompt_tokens, PROMPT, masks, RESPONSE, 1, 1);
  dimple_step step = {0};
  EXPECT_OK(dimple_session_begin(s, &d));
  while (!step.done) {
    EXPECT_OK(dimple_session_step(s, &step));
    for (int32_t i = 0; i < step.revealed_count; i++)
      EXPECT(step.block == (PROMPT % BLOCK + step.revealed[i]) / BLOCK, "position %d in block %d", step.revealed[i], step.block);
    EXPECT(step.block >= block && step.settled == RESPONSE, "block %d behind %d, %d settled", step.block, block, step.settled);
    block = step.block;
  }
  dimple_session_free(s);
}

static dimple_session *asked(dimple_model *m, const int32_t *prompt, int32_t length, int32_t kv_type) {
  dimple_session_options options = {.threads = 1, .prefill = 1, .kv_type = kv_type};
  dimple_session *s = NULL;
  int32_t masks[RESPONSE];
  for (int32_t i = 0; i < RESPONSE; i++) masks[i] = MASK;
  EXPECT_OK(dimple_session_create(m, &options, &s));
  EXPECT_OK(dimple_session_set_prompt(s, prompt, length, NULL, 0));
  EXPECT_OK(dimple_session_set_response(s, masks, RESPONSE));
  return s;
}

/* Prompts that begin alike share their whole blocks but for the last one's: no pass runs them again, and nothing comes out otherwise. */
static void prefixes_are_shared(dimple_model *m, const dimple_decoding *d, int32_t kv_type) {
  enum { LONG = 5 * BLOCK + 1 };
  int32_t prompt[LONG], rows, shared = 0, block = m->text.canvases ? 1 : BLOCK;
  for (int32_t i = 0; i < LONG; i++) prompt[i] = 10 + i * 7 % 60;
  dimple_session *from = asked(m, prompt, LONG, kv_type);
  decode(from, d);
  for (int32_t length = 1; length <= LONG; length++) {
    for (int32_t same = 0; same <= length; same += BLOCK - 1) {
      int32_t other[LONG];
      for (int32_t i = 0; i < LONG; i++) other[i] = i < same ? prompt[i] : 90 - prompt[i];
      dimple_session *alone = asked(m, other, length, kv_type), *s = asked(m, other, length, kv_type);
      outcome expected = decode(alone, d);
      EXPECT_OK(dimple_session_take_prefix(s, from, &rows));
      bool by_prompt = d->pipeline == DIMPLE_PIPELINE_BD3LM; /* whose blocks count from the prompt's end */
      int32_t settled = length / block * block, most = settled > 0 && settled - 1 < same ? settled - 1 : same;
      if (!by_prompt) EXPECT(rows == (settled > 0 ? most / block * block : 0), "%d of %d rows, %d alike", rows, length, same);
      if (by_prompt && (length - LONG) % BLOCK != 0) EXPECT(rows == 0, "%d rows of other blocks", rows);
      outcome o = decode(s, d), again = decode(s, d);
      EXPECT(same_outcome(&o, &expected) && same_outcome(&again, &expected), "%d of %d tokens alike, %d rows: another result", same, length, rows);
      shared += rows;
      dimple_session_free(alone);
      dimple_session_free(s);
    }
  }
  EXPECT(shared > 4 * LONG, "%d rows were shared", shared);
  dimple_session_free(from);
}

/* `words` words, two pictures with a word between them, and as many words again, the last `other` of them others. */
static dimple_session *asked_about(dimple_model *m, int32_t words, int32_t other, const dimple_image *images) {
  int32_t tokens[CONTEXT], count = 0, masks[RESPONSE];
  for (int32_t i = 0; i < RESPONSE; i++) masks[i] = MASK;
  for (int32_t i = 0; i < words; i++) tokens[count++] = 10 + i;
  for (int32_t i = 0; i < PICTURE_TOKENS; i++) tokens[count++] = IMAGE;
  tokens[count++] = 9;
  for (int32_t i = 0; i < PICTURE_TOKENS; i++) tokens[count++] = IMAGE;
  for (int32_t i = 0; i < words; i++) tokens[count++] = 40 + i + (i >= words - other);
  dimple_session *s = open_session(m, 1, 1);
  EXPECT_OK(dimple_session_set_prompt(s, tokens, count, images, 2));
  EXPECT_OK(dimple_session_set_response(s, masks, RESPONSE));
  return s;
}

/* Also with pictures, if they are the same ones at the same places, seen by the tower or given. */
static void prefixes_with_pictures_are_shared(dimple_model *m, const dimple_decoding *d) {
  enum { WORDS = 2 * BLOCK, SECOND = WORDS + PICTURE_TOKENS + 1, ALL = SECOND + PICTURE_TOKENS + WORDS };
  uint8_t bytes[sizeof picture_bytes];
  dimple_image same[2] = {picture(), picture()}, other[2] = {same[0], same[1]}, turned[2] = {same[0], same[1]};
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(255 - picture_bytes[i]);
  other[1].rgb = bytes;
  turned[0].width = turned[1].width = PICTURE_HEIGHT; /* as many tokens, in another grid */
  turned[0].height = turned[1].height = PICTURE_WIDTH;
  turned[0].row_stride = turned[1].row_stride = PICTURE_HEIGHT * 3;
  struct {
    const dimple_image *images;
    int32_t words, most; /* of those behind the pictures so many are others; rows that are alike */
  } cases[] = {{same, 0, ALL}, {same, 1, ALL - 1}, {same, WORDS, ALL - WORDS}, {other, 0, SECOND}, {turned, 0, WORDS}};
  dimple_session *from = asked_about(m, WORDS, 0, same);
  decode(from, d);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int32_t rows, border = ALL % BLOCK, settled = ALL - 1, most = cases[i].most < settled ? cases[i].most : settled;
    dimple_session *alone = asked_about(m, WORDS, cases[i].words, cases[i].images), *s = asked_about(m, WORDS, cases[i].words, cases[i].images);
    outcome expected = decode(alone, d);
    if (i == 1) { /* given, as they were seen */
      int64_t count = 2 * PICTURE_TOKENS * (int64_t)m->text.width;
      float *features = malloc((size_t)count * sizeof *features);
      EXPECT_OK(dimple_session_get_image_features(from, features, count));
      EXPECT_OK(dimple_session_set_image_features(s, features, count));
      free(features);
    }
    EXPECT_OK(dimple_session_take_prefix(s, from, &rows));
    EXPECT(rows == (most - border) / BLOCK * BLOCK + border, "case %d: %d of %d rows, %d alike", (int)i, rows, ALL, most);
    outcome o = decode(s, d), again = decode(s, d);
    EXPECT(same_outcome(&o, &expected) && same_outcome(&again, &expected), "case %d: another result", (int)i);
    dimple_session_free(alone);
    dimple_session_free(s);
  }
  dimple_session_free(from);
}

/* On devices, where the result would not be the same to the bit. */
static void nothing_is_shared(dimple_model *m) {
  int32_t prompt[3 * BLOCK], rows = -1;
  for (int32_t i = 0; i < 3 * BLOCK; i++) prompt[i] = 10 + i;
  dimple_decoding d = sdar(2);
  dimple_session *from = asked(m, prompt, 3 * BLOCK, DIMPLE_TENSOR_F32), *s = asked(m, prompt, 3 * BLOCK, DIMPLE_TENSOR_F32);
  decode(from, &d);
  EXPECT_OK(dimple_session_take_prefix(s, from, &rows));
  EXPECT(rows == 0, "%d rows are shared", rows);
  dimple_session_free(from);
  dimple_session_free(s);
}

/* Rows that were taken over are not computed: other keys and values in their place make another answer. */
static void shared_rows_are_used(dimple_model *m, const dimple_decoding *d) {
  int32_t prompt[3 * BLOCK], rows;
  for (int32_t i = 0; i < 3 * BLOCK; i++) prompt[i] = 10 + i;
  dimple_session *from = asked(m, prompt, 3 * BLOCK, DIMPLE_TENSOR_F32), *s = asked(m, prompt, 3 * BLOCK, DIMPLE_TENSOR_F32);
  outcome whole = decode(from, d);
  view keys = from->pass.text.cache.layers[0].keys;
  float *spoiled = calloc((size_t)(2 * BLOCK * keys.columns), sizeof *spoiled);
  EXPECT_OK(m->ops->pass_begin(from->context, NULL));
  view values = view_rows(from->pass.text.cache.layers[0].values, 0, 2 * BLOCK);
  EXPECT_OK(m->ops->pass_end(from->context, m->ops->copy_in(from->context, values, spoiled)));
  EXPECT_OK(dimple_session_take_prefix(s, from, &rows));
  outcome o = decode(s, d);
  EXPECT(rows == 2 * BLOCK && !same_outcome(&o, &whole), "%d rows were computed again", rows);
  free(spoiled);
  EXPECT_FAILS(dimple_session_take_prefix(s, from, &rows), DIMPLE_ERROR_STATE, "the first pass ran already");
  EXPECT_FAILS(dimple_session_take_prefix(s, s, &rows), DIMPLE_ERROR_ARGUMENT, "from is the session itself");
  EXPECT_NULL_REFUSED(dimple_session_take_prefix(s, NULL, &rows));
  EXPECT_NULL_REFUSED(dimple_session_take_prefix(s, from, NULL));
  EXPECT_NULL_REFUSED(dimple_session_take_prefix(NULL, from, &rows));
  dimple_session_free(from);
  dimple_session_free(s);
}

static void what_is_not_shared(dimple_model *blocks, dimple_model *full) {
  int32_t rows = 1;
  dimple_decoding d = sdar(BLOCK), dim = decoding_of(DIMPLE_PIPELINE_DIM, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  dimple_session *a = text_session(full, 1, 1), *b = text_session(full, 1, 1), *c = text_session(blocks, 1, 1), *e = text_session(blocks, 1, 1);
  decode(a, &dim);
  EXPECT_OK(dimple_session_take_prefix(b, a, &rows));
  EXPECT(rows == 0, "%d rows that see all others are shared", rows);
  EXPECT_FAILS(dimple_session_take_prefix(c, a, &rows), DIMPLE_ERROR_ARGUMENT, "is of another model");
  EXPECT_OK(dimple_session_take_prefix(c, e, &rows));
  EXPECT(rows == 0, "%d rows of a session that has none", rows);
  outcome lone = decode(e, &d), o = decode(c, &d);
  EXPECT(same_outcome(&lone, &o), "another result");
  dimple_session_free(a);
  dimple_session_free(b);
  dimple_session_free(c);
  dimple_session_free(e);
}

/* A decoding that has begun with other blocks than another session's, or with none, takes nothing over from that. */
static void a_decoding_keeps_its_blocks(dimple_model *full) {
  int32_t prompt[5 * BLOCK], rows;
  for (int32_t i = 0; i < 5 * BLOCK; i++) prompt[i] = 10 + i * 7 % 60;
  dimple_decoding theirs = decoding_of(DIMPLE_PIPELINE_BD3LM, DIMPLE_ALGORITHM_LOW_CONFIDENCE_STATIC), larger = theirs, whole = theirs;
  theirs.block_length = BLOCK;
  larger.block_length = 2 * BLOCK;
  whole.pipeline = DIMPLE_PIPELINE_MDLM;
  const dimple_decoding *own[] = {&theirs, &larger, &whole};
  dimple_session *from = asked(full, prompt, 5 * BLOCK, DIMPLE_TENSOR_F32);
  decode(from, &theirs);
  for (int32_t i = 0; i < 3; i++) {
    dimple_session *alone = asked(full, prompt, 5 * BLOCK, DIMPLE_TENSOR_F32), *s = asked(full, prompt, 5 * BLOCK, DIMPLE_TENSOR_F32);
    outcome expected = decode(alone, own[i]), o = fresh_outcome();
    dimple_step step = {0};
    EXPECT_OK(dimple_session_begin(s, own[i]));
    EXPECT_OK(dimple_session_take_prefix(s, from, &rows));
    EXPECT((rows > 0) == (i == 0), "case %d: %d rows", i, rows);
    while (!step.done && dimple_session_step(s, &step) == DIMPLE_OK) note_step(&step, &o);
    EXPECT(step.done && same_outcome(&o, &expected), "case %d: another result", i);
    dimple_session_free(alone);
    dimple_session_free(s);
  }
  dimple_session_free(from);
}

static void what_does_not_go_together(dimple_model *blocks, dimple_model *full) {
  dimple_session *s = text_session(blocks, 1, 1), *t = text_session(full, 1, 1);
  dimple_decoding d = decoding_of(DIMPLE_PIPELINE_DIM, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  EXPECT_FAILS(dimple_session_begin(s, &d), DIMPLE_ERROR_UNSUPPORTED, "pipeline dim needs a model whose positions see all others");
  d.pipeline = DIMPLE_PIPELINE_MDLM;
  EXPECT_FAILS(dimple_session_begin(s, &d), DIMPLE_ERROR_UNSUPPORTED, "pipeline mdlm needs");
  d.pipeline = DIMPLE_PIPELINE_BD3LM;
  d.guidance_scale = 1;
  EXPECT_FAILS(dimple_session_begin(t, &d), DIMPLE_ERROR_ARGUMENT, "guidance_scale does not go with pipeline bd3lm");
  d.guidance_scale = 0;
  d.cache = DIMPLE_CACHE_PREFIX;
  EXPECT_FAILS(dimple_session_begin(t, &d), DIMPLE_ERROR_ARGUMENT, "cache does not go with pipeline bd3lm");
  d.cache = DIMPLE_CACHE_MODEL;
  d.algorithm = DIMPLE_ALGORITHM_SEQUENTIAL;
  EXPECT_FAILS(dimple_session_begin(t, &d), DIMPLE_ERROR_ARGUMENT, "algorithm is sequential (12) with pipeline bd3lm, expected pipeline sdar or fast-dllm-v2");
  d.algorithm = DIMPLE_ALGORITHM_LOW_CONFIDENCE_STATIC;
  EXPECT_OK(dimple_session_set_response(t, (int32_t[]){MASK, MASK, PAD}, 3));
  EXPECT_FAILS(dimple_session_begin(t, &d), DIMPLE_ERROR_UNSUPPORTED, "token 2 of the response is the padding token 92");
  EXPECT_OK(dimple_session_set_prompt(t, (int32_t[]){4, PAD, 9}, 3, NULL, 0));
  set_masks(t, RESPONSE);
  EXPECT_FAILS(dimple_session_begin(t, &d), DIMPLE_ERROR_UNSUPPORTED, "token 1 of the prompt is the padding token 92");
  d.pipeline = DIMPLE_PIPELINE_MDLM;
  EXPECT_OK(dimple_session_begin(t, &d));
  dimple_session_free(s);
  dimple_session_free(t);
  dimple_model *endless = random_model((model_shape){.family = FAMILY_SDAR, .missing = "tokenizer.ggml.eos_token_id"});
  s = text_session(endless, 1, 1);
  d = sdar(BLOCK);
  d.tail_repeats = 2; /* behind which a complete decoding puts ends of text */
  EXPECT_FAILS(dimple_session_begin(s, &d), DIMPLE_ERROR_UNSUPPORTED, "tail_repeats in a complete decoding needs a model with an end of text");
  d.complete = 0;
  EXPECT_OK(dimple_session_begin(s, &d));
  dimple_session_free(s);
  dimple_model_free(endless);
}

/* ---------------------------------------------------------------------------------------------------- the caller decides */

/* The surest `count` of the candidates, the lower position first among equals, in the order of positions. */
static int32_t surest(const dimple_candidates *found, int32_t count, int32_t *positions, int32_t *tokens) {
  bool taken[RESPONSE] = {false};
  int32_t chosen = 0;
  for (int32_t k = 0; k < count && k < found->count; k++) {
    int32_t best = -1;
    for (int32_t i = 0; i < found->count; i++)
      if (!taken[i] && (best < 0 || found->confidence[i] > found->confidence[best])) best = i;
    taken[best] = true;
  }
  for (int32_t i = 0; i < found->count; i++)
    if (taken[i]) {
      positions[chosen] = found->positions[i];
      tokens[chosen++] = found->tokens[i];
    }
  return chosen;
}

/* A caller that reveals as many of the surest positions as the pipeline did comes to the same canvases, in no more passes. */
static void a_caller_can_decide(dimple_model *m, const dimple_decoding *d) {
  dimple_session *s = text_session(m, 1, 1), *own = text_session(m, 1, 1);
  dimple_step theirs = {0}, mine = {0};
  dimple_candidates found;
  int32_t iterations = 0;
  EXPECT_OK(dimple_session_begin(s, d));
  EXPECT_OK(dimple_session_begin(own, d));
  while (!theirs.done && iterations < 10 * RESPONSE) {
    int32_t positions[RESPONSE], tokens[RESPONSE];
    EXPECT_OK(dimple_session_step(s, &theirs));
    if (theirs.revealed_count == 0) continue; /* for keys and values */
    EXPECT(!mine.done, "pipeline %d: done after %d iterations", d->pipeline, iterations);
    if (mine.done || dimple_session_look(own, &found) != DIMPLE_OK) break;
    bool ends = theirs.done && theirs.revealed_count > found.count; /* the rest is filled */
    int32_t count = surest(&found, ends ? found.count : theirs.revealed_count, positions, tokens);
    EXPECT_OK(dimple_session_reveal(own, positions, tokens, count, &mine));
    iterations++;
    EXPECT(memcmp(mine.canvas, theirs.canvas, RESPONSE * sizeof *mine.canvas) == 0 || ends, "pipeline %d: other canvases after %d iterations", d->pipeline,
           iterations);
  }
  EXPECT(theirs.done && iterations > 2, "%s", dimple_last_error());
  if (!mine.done) { /* the last block is kept, too */
    EXPECT_OK(dimple_session_look(own, &found));
    EXPECT(found.count == 0, "%d candidates", found.count);
    EXPECT_OK(dimple_session_reveal(own, NULL, NULL, 0, &mine));
  }
  EXPECT(mine.done && mine.remaining == theirs.remaining && mine.forward_passes <= theirs.forward_passes, "%d remain, %d passes; %d and %d",
         mine.remaining, mine.forward_passes, theirs.remaining, theirs.forward_passes);

  EXPECT_OK(dimple_session_begin(own, d)); /* one that reveals nothing comes to an end */
  int32_t idle = 0;
  for (mine.done = 0; !mine.done && idle < 10 * RESPONSE; idle++) {
    EXPECT_OK(dimple_session_look(own, &found));
    EXPECT_OK(dimple_session_reveal(own, NULL, NULL, 0, &mine));
  }
  EXPECT(mine.done && mine.remaining == RESPONSE, "%d remain after %d iterations", mine.remaining, idle);
  dimple_session_free(s);
  dimple_session_free(own);
}

static void who_decides_alone_says_so(dimple_model *shifted, dimple_model *ling) {
  dimple_session *s = text_session(shifted, 1, 1), *t = text_session(ling, 1, 1);
  dimple_candidates found;
  dimple_decoding d = decoding_of(DIMPLE_PIPELINE_FAST_DLLM_V2, DIMPLE_ALGORITHM_LOW_CONFIDENCE_DYNAMIC);
  EXPECT_OK(dimple_session_begin(s, &d));
  EXPECT_FAILS(dimple_session_look(s, &found), DIMPLE_ERROR_UNSUPPORTED, "pipeline fast-dllm-v2 decides by itself: a block's first token");
  d = decoding_of(DIMPLE_PIPELINE_LLADA2, DIMPLE_ALGORITHM_TOKEN_EDITING);
  EXPECT_OK(dimple_session_begin(t, &d));
  EXPECT_FAILS(dimple_session_look(t, &found), DIMPLE_ERROR_UNSUPPORTED, "algorithm token_editing decides by itself");
  dimple_session_free(s);
  dimple_session_free(t);
}

/* Of the block that holds the first end of text all that was not given becomes ends behind it, and nothing follows. */
static void the_last_block_ends_with_ends(dimple_model *m, const dimple_decoding *d) {
  int32_t masks[4 * BLOCK], within = 0;
  for (int32_t run = 0; run < 16; run++) {
    float favour = 0.5f * (float)run;
    for (int32_t i = 0; i < 4 * BLOCK; i++) masks[i] = run % 2 && i % BLOCK == 2 ? 7 : MASK;
    dimple_session *s = session_of(m, prompt_tokens, BLOCK, masks, 4 * BLOCK, 1, 1);
    dimple_decoding asked = *d;
    asked.complete = 0;
    outcome o = fresh_outcome();
    EXPECT_OK(dimple_session_begin(s, &asked));
    EXPECT_OK(dimple_session_set_bias(s, (int32_t[]){EOS}, &favour, 1));
    for (dimple_step step = {0}; !step.done;) {
      EXPECT_OK(dimple_session_step(s, &step));
      note_step(&step, &o);
      if (o.iterations > 100) break;
    }
    int32_t end = 0;
    while (end < 4 * BLOCK && o.tokens[end] != EOS) end++;
    within += end < 4 * BLOCK && end > 0;
    for (int32_t i = end; i < 4 * BLOCK; i++) {
      int32_t wanted = i / BLOCK > end / BLOCK ? masks[i] : masks[i] == MASK ? EOS : masks[i];
      EXPECT(o.tokens[i] == wanted, "position %d behind the end at %d is %d", i, end, o.tokens[i]);
    }
    dimple_session_free(s);
  }
  EXPECT(within > 2, "%d texts ended behind their first token", within);
}

/* A text of one token alone is over behind the first block with which it has come often enough, the last block of all or not. */
static void repetition_ends_texts(dimple_model *m) {
  enum { LENGTH = 4 * BLOCK };
  int32_t masks[LENGTH], token = 7;
  for (int32_t i = 0; i < LENGTH; i++) masks[i] = MASK;
  for (int32_t prompt = 1; prompt <= PROMPT; prompt++)
    for (int32_t times = 0; times <= LENGTH + 1; times++)
      for (int32_t complete = 0; complete < 2; complete++) {
        dimple_decoding d = sdar(BLOCK);
        d.tail_repeats = times;
        d.complete = complete;
        int32_t length = LENGTH - prompt % BLOCK, end = BLOCK - prompt % BLOCK;
        while (end < length && (times == 0 || end < times || end < 2)) end += BLOCK;
        dimple_session *s = session_of(m, prompt_tokens, prompt, masks, length, 1, 1);
        outcome o = fresh_outcome();
        EXPECT_OK(dimple_session_begin(s, &d));
        EXPECT_OK(dimple_session_set_bias(s, &token, (float[]){100}, 1));
        for (dimple_step step = {0}; !step.done && o.iterations < 10 * LENGTH;) {
          EXPECT_OK(dimple_session_step(s, &step));
          note_step(&step, &o);
        }
        for (int32_t i = 0; i < length; i++)
          EXPECT(o.tokens[i] == (i < end ? token : complete ? EOS : MASK), "prompt of %d, %d times: token %d at %d, the end is at %d", prompt, times, o.tokens[i], i, end);
        dimple_session_free(s);
      }
}

int main(void) {
  dimple_model *blocks = random_model((model_shape){.family = FAMILY_SDAR}), *full = random_model((model_shape){.family = FAMILY_A2D_QWEN3});
  dimple_model *shifted = random_model((model_shape){.family = FAMILY_FAST_DLLM_V2}),
               *ling = random_model((model_shape){.family = FAMILY_LLADA2}), *coder = random_model((model_shape){.family = FAMILY_STABLE_DIFFCODER});
  dimple_model *canvases = random_model((model_shape){.family = FAMILY_DIFFUSION_GEMMA}), *seeing = random_model((model_shape){.vision = true});
  dimple_decoding denoise = decoding_of(DIMPLE_PIPELINE_DIFFUSION_GEMMA, DIMPLE_ALGORITHM_ENTROPY_BOUND);
  denoise.steps = 3;
  if (!blocks || !full || !shifted || !ling || !coder || !canvases || !seeing) return expect_summary("block_causal");
  dimple_decoding s = sdar(BLOCK), fast = sdar(2), b = decoding_of(DIMPLE_PIPELINE_BD3LM, DIMPLE_ALGORITHM_LOW_CONFIDENCE_STATIC), m = b;
  b.block_length = m.block_length = BLOCK;
  m.pipeline = DIMPLE_PIPELINE_MDLM;
  b.steps = 4 * BLOCK;
  kept_blocks_are_exact(blocks, &s);
  kept_blocks_are_exact(blocks, &fast);
  given_blocks_count(blocks);
  results_are_repeatable(blocks, &s, &fast);
  results_are_repeatable(full, &b, &m);
  results_are_repeatable(full, &m, &b);
  algorithms_by_other_names(blocks);
  blocks_are_the_decodings(full, &b);
  first_tokens_come_from_the_block_before(shifted, blocks);
  first_tokens_are_not_drawn(shifted);
  edits_stay_in_their_block(ling);
  dimple_decoding edit = llada2(0, 0, 3), cautious = llada2(0.02f, 0.05f, 2), sub_blocks = fast_dllm(0.1f, 2, 1);
  structures_hold(ling, &edit);
  structures_hold(ling, &cautious);
  structures_hold(shifted, &sub_blocks);
  dimple_decoding steps = decoding_of(DIMPLE_PIPELINE_STABLE_DIFFCODER, DIMPLE_ALGORITHM_LOW_CONFIDENCE_STATIC), sure = steps;
  steps.steps = 4 * BLOCK * BLOCK; /* a step for each token of any block */
  sure.algorithm = DIMPLE_ALGORITHM_LOW_CONFIDENCE_DYNAMIC;
  sure.threshold = 0.05f;
  sure.steps = 1; /* whatever is due, blocks are filled */
  kept_blocks_are_exact(coder, &steps);
  kept_blocks_are_exact(coder, &sure);
  results_are_repeatable(coder, &steps, &sure);
  structures_hold(coder, &steps);
  structures_hold(coder, &sure);
  the_last_block_ends_with_ends(coder, &steps);
  steps_name_their_block(blocks);
  repetition_ends_texts(blocks);
  dimple_decoding repeated = s;
  repeated.tail_repeats = 1;
  structures_hold(blocks, &repeated); /* which say themselves where they end */
  if (backend_under_test() && backend_is_device(backend_under_test())) {
    nothing_is_shared(blocks);
  } else {
    prefixes_are_shared(blocks, &s, DIMPLE_TENSOR_F32);
    prefixes_are_shared(blocks, &s, DIMPLE_TENSOR_F16);
    prefixes_are_shared(full, &b, DIMPLE_TENSOR_F32);
    prefixes_are_shared(shifted, &sub_blocks, DIMPLE_TENSOR_F32);
    prefixes_are_shared(ling, &edit, DIMPLE_TENSOR_F32);
    prefixes_are_shared(coder, &steps, DIMPLE_TENSOR_F32);
    prefixes_are_shared(canvases, &denoise, DIMPLE_TENSOR_F32);
    prefixes_with_pictures_are_shared(seeing, &b);
    shared_rows_are_used(blocks, &s);
    a_decoding_keeps_its_blocks(full);
  }
  dimple_decoding whole = s, two = llada2(0, 0, 0);
  whole.complete = 0;
  two.algorithm = DIMPLE_ALGORITHM_LOW_CONFIDENCE_DYNAMIC;
  two.threshold = 0.03f;
  two.editing_threshold = 0.5f;
  two.max_post_steps = 16;
  two.num_to_transfer = 1;
  a_caller_can_decide(blocks, &s);
  a_caller_can_decide(blocks, &fast);
  a_caller_can_decide(blocks, &whole);
  a_caller_can_decide(full, &b);
  a_caller_can_decide(ling, &two);
  who_decides_alone_says_so(shifted, ling);
  what_is_not_shared(blocks, full);
  what_does_not_go_together(blocks, full);
  dimple_model_free(blocks);
  dimple_model_free(full);
  dimple_model_free(shifted);
  dimple_model_free(ling);
  dimple_model_free(coder);
  dimple_model_free(canvases);
  dimple_model_free(seeing);
  return expect_summary("block_causal");
}
