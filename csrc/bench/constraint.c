/*
 * dimple-bench-constraint: times what a constraint costs: making the vocabulary, compiling the automaton of a flat JSON object whose fields
 * are a string, an integer, a boolean and one of three words in turn, and what one iteration adds to a pass of the model: scores that the
 * head keeps of classes of tokens, and beside them scores taken from whole logits, as filters need them. Times are of the processor.
 *
 *   dimple-bench-constraint [--tokens 152064] [--fields 20] [--max-length 0] [--rows 64] [--length 256] [--temperature 0] [--allowed 1]
 *                           [--width 3584] [--threads 1] [--repeat 5]
 *
 * The vocabulary is made up: as many tokens as asked for of one to a dozen letters, about as in the vocabularies of multilingual models.
 * `rows` of `length` masked positions have scores, from a head of Q4_0 weights, `width` wide. With a max-length strings have at most that many
 * characters. `allowed` takes confidences among the tokens that fit (dimple_decoding.allowed_confidence).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "diffusion/constrained.h"
#include "draws.h"
#include "quant/block_formats.h"

typedef struct settings {
  int64_t tokens, fields, max_length, rows, length, temperature, allowed, width, threads, repeat;
} settings;

static void check(dimple_status status) {
  if (status == DIMPLE_OK) return;
  fprintf(stderr, "dimple-bench-constraint: %s\n", dimple_last_error());
  exit(1);
}

/* Of the processor, for other programs may take it away. */
static double seconds(void) { return (double)clock() / CLOCKS_PER_SEC; }

static uint32_t counter;

static int32_t below(int32_t limit) { return (int32_t)(((uint64_t)draw_word(1, counter++, 0, 0, 0) * (uint32_t)limit) >> 32); }

/* ------------------------------------------------------------------------------------------------------------ vocabulary */

/* A character of a script: Latin, a capital, Cyrillic, CJK. */
static int32_t put_letter(uint8_t *out, int32_t script) {
  static const char latin[] = "etaoinshrdlucmfwypvbgkjqxz";
  if (script == 0) return out[0] = (uint8_t)latin[below(26) * below(27) / 26], 1;
  if (script == 1) return out[0] = (uint8_t)('A' + below(26)), 1;
  uint32_t code = script == 2 ? 0x430u + (uint32_t)below(32) : 0x4e00u + (uint32_t)below(3000);
  if (code < 0x800) return out[0] = (uint8_t)(0xc0 | code >> 6), out[1] = (uint8_t)(0x80 | (code & 63)), 2;
  out[0] = (uint8_t)(0xe0 | code >> 12);
  out[1] = (uint8_t)(0x80 | (code >> 6 & 63));
  out[2] = (uint8_t)(0x80 | (code & 63));
  return 3;
}

static int32_t put_token(uint8_t *out, int32_t token) {
  static const char marks[] = "\"':;,.{}[]()<>=+-*/\\!?#_ \n\t0123456789";
  int32_t size = 0, kind = below(100);
  if (token < 256) return out[0] = (uint8_t)token, 1;
  if (kind < 8) {
    for (int32_t n = 2 + below(3); size < n;) out[size++] = (uint8_t)marks[below((int32_t)sizeof marks - 1)];
    return size;
  }
  int32_t script = kind < 65 ? 0 : kind < 78 ? 2 : 3, letters = script == 3 ? 1 + below(3) : 2 + below(4) + below(5);
  if (script < 3 && below(2)) out[size++] = ' ';
  if (script == 0 && below(5) == 0) size += put_letter(out + size, 1);
  for (int32_t i = 0; i < letters; i++) size += put_letter(out + size, script);
  return size;
}

static dimple_vocabulary *make_vocabulary(int32_t count) {
  uint8_t *bytes = malloc((size_t)count * 48), *kinds = calloc((size_t)count, 1);
  int64_t *offsets = calloc((size_t)count + 1, sizeof *offsets);
  for (int32_t t = 0; t < count; t++) offsets[t + 1] = offsets[t] + put_token(bytes + offsets[t], t);
  kinds[count - 3] = DIMPLE_TOKEN_END;
  kinds[count - 2] = DIMPLE_TOKEN_FILLER;
  kinds[count - 1] = DIMPLE_TOKEN_EXCLUDED;
  dimple_vocabulary *v;
  double start = seconds();
  check(dimple_vocabulary_create(bytes, offsets, kinds, count, &v));
  printf("vocabulary: %.0f ms, %d nodes\n", 1e3 * (seconds() - start), v->trie.count);
  free(bytes);
  free(kinds);
  free(offsets);
  return v;
}

/* ------------------------------------------------------------------------------------------------------------- automaton */

enum { BYTES = 256, MOST_STATES = 65536 };

static int32_t next[MOST_STATES * BYTES];
static int32_t states;

static int32_t new_state(void) {
  if (states == MOST_STATES) {
    fprintf(stderr, "dimple-bench-constraint: more than %d states\n", MOST_STATES);
    exit(2);
  }
  for (int32_t b = 0; b < BYTES; b++) next[states * BYTES + b] = -1;
  return states++;
}

static void lead(int32_t from, int32_t low, int32_t high, int32_t to) {
  for (int32_t b = low; b <= high; b++) next[from * BYTES + b] = to;
}

static int32_t add_text(int32_t from, const char *text) {
  for (; *text; text++) {
    int32_t to = new_state();
    lead(from, (uint8_t)*text, (uint8_t)*text, to);
    from = to;
  }
  return from;
}

/* One character of a JSON string that is neither quote nor backslash, or an escape of one letter: well-formed UTF-8. */
static void add_character(int32_t from, int32_t to) {
  int32_t last = new_state(), two = new_state(), three = new_state(), escape = new_state();
  int32_t e0 = new_state(), ed = new_state(), f0 = new_state(), f4 = new_state();
  lead(from, 0x20, 0x7f, to);
  lead(from, '"', '"', -1);
  lead(from, '\\', '\\', escape);
  for (const char *c = "\"\\/bfnrt"; *c; c++) lead(escape, *c, *c, to);
  lead(from, 0xc2, 0xdf, last);
  lead(from, 0xe0, 0xe0, e0);
  lead(from, 0xe1, 0xef, two);
  lead(from, 0xed, 0xed, ed);
  lead(from, 0xf0, 0xf0, f0);
  lead(from, 0xf1, 0xf3, three);
  lead(from, 0xf4, 0xf4, f4);
  lead(last, 0x80, 0xbf, to);
  lead(two, 0x80, 0xbf, last);
  lead(three, 0x80, 0xbf, two);
  lead(e0, 0xa0, 0xbf, last);
  lead(ed, 0x80, 0x9f, last);
  lead(f0, 0x90, 0xbf, two);
  lead(f4, 0x80, 0x8f, two);
}

static int32_t add_string(int32_t from, int64_t max_length) {
  int32_t content = add_text(from, "\""), end = new_state();
  for (int64_t i = 0; i < max_length; i++) {
    int32_t to = new_state();
    add_character(content, to);
    lead(content, '"', '"', end);
    content = to;
  }
  if (max_length == 0) add_character(content, content);
  lead(content, '"', '"', end);
  return end;
}

static int32_t add_integer(int32_t from) {
  int32_t zero = new_state(), digits = new_state(), end = new_state();
  int32_t minus = add_text(from, "-");
  lead(from, '0', '0', zero);
  lead(from, '1', '9', digits);
  lead(minus, '1', '9', digits);
  lead(digits, '0', '9', digits);
  lead(digits, ' ', ' ', end); /* a blank ends it: one way on keeps this small */
  lead(zero, ' ', ' ', end);
  return end;
}

static int32_t add_choice(int32_t from, const char *const *words, int32_t count) {
  int32_t end = new_state();
  for (int32_t i = 0; i < count; i++) { /* their first letters differ */
    size_t size = strlen(words[i]);
    char head[32] = {0};
    memcpy(head, words[i], size - 1);
    int32_t at = add_text(from, head);
    lead(at, (uint8_t)words[i][size - 1], (uint8_t)words[i][size - 1], end);
  }
  return end;
}

static int32_t add_value(int32_t from, int32_t kind, int64_t max_length) {
  static const char *const booleans[] = {"true", "false"}, *const colors[] = {"red\"", "green\"", "blue\""};
  if (kind == 0) return add_string(from, max_length);
  if (kind == 1) return add_integer(from);
  return kind == 2 ? add_choice(from, booleans, 2) : add_choice(add_text(from, "\""), colors, 3);
}

static dimple_constraint *make_constraint(dimple_vocabulary *v, const settings *s) {
  static uint8_t accepting[MOST_STATES], byte_class[BYTES];
  int32_t start = new_state(), at = add_text(start, "{");
  for (int64_t i = 0; i < s->fields; i++) {
    char key[48];
    snprintf(key, sizeof key, "%s\"%c%c%cfield_%d\": ", i ? ", " : "", 'a' + (int)(i * 7 % 26), 'a' + (int)(i * 11 % 26),
             'a' + (int)(i % 26), (int)i);
    at = add_value(add_text(at, key), (int32_t)(i % 4), s->max_length);
  }
  accepting[add_text(at, "}")] = 1;
  for (int32_t b = 0; b < BYTES; b++) byte_class[b] = (uint8_t)b;
  dimple_automaton a = {.state_count = states, .class_count = BYTES, .byte_class = byte_class, .next = next, .accepting = accepting,
                        .start = start};
  dimple_constraint *c;
  dimple_constraint_info info;
  double begin = seconds();
  check(dimple_constraint_create(v, &a, &c));
  double elapsed = seconds() - begin;
  check(dimple_constraint_get_info(c, &info));
  printf("constraint: %.0f ms, %d states, %d classes, %d labels, %lld edges, shortest %d tokens, %.1f MiB\n", 1e3 * elapsed, info.states,
         info.classes, info.labels, (long long)info.edges, info.shortest, (double)info.bytes / 0x1p20);
  return c;
}

/* ------------------------------------------------------------------------------------------------------------- iteration */

/* A head over random states. */
typedef struct head {
  const backend_operations *ops;
  context *context;
  weight *weights; /* [tokens x width], Q4_0; a few random rows, over and over */
  view states;     /* [rows x width] */
} head;

static float noise(void) { return (float)below(2000) / 1000 - 1; }

static head make_head(const settings *s) {
  enum { DIFFERENT = 509 };
  const block_format *format = block_format_of(DIMPLE_TENSOR_Q4_0);
  int64_t row_size = block_format_row_size(format, s->width);
  float *values = malloc((size_t)(DIFFERENT * s->width) * sizeof *values), *states = malloc((size_t)(s->rows * s->width) * sizeof *states);
  uint8_t *data = malloc((size_t)(s->tokens * row_size));
  head h;
  buffer *memory;
  for (int64_t i = 0; i < DIFFERENT * s->width; i++) values[i] = noise() * 0.1f;
  for (int64_t i = 0; i < s->rows * s->width; i++) states[i] = noise();
  for (int64_t r = 0; r < s->tokens; r += DIFFERENT)
    format->quantize(values, NULL, data + r * row_size, (s->tokens - r < DIFFERENT ? s->tokens - r : DIFFERENT) * s->width / format->block_length);
  check(backend_select("auto", &h.ops));
  check(h.ops->context_open(h.ops, (int32_t)s->threads, &h.context));
  tensor_source source = {.name = "bench", .type = DIMPLE_TENSOR_Q4_0, .rows = s->tokens, .columns = s->width, .data = data};
  check(h.ops->weight_upload(h.context, &source, WEIGHT_LINEAR, &h.weights));
  check(h.ops->buffer_alloc(h.context, s->rows * s->width, &memory));
  h.states = view_of(memory, s->rows, s->width);
  check(h.ops->pass_begin(h.context, NULL));
  check(h.ops->pass_end(h.context, h.ops->copy_in(h.context, h.states, states)));
  free(values);
  free(states);
  free(data);
  return h;
}

/* Milliseconds of a call. */
static double run_head(const head *h, head_call call) {
  call.x = h->states;
  call.w = h->weights;
  double start = seconds();
  check(h->ops->pass_begin(h->context, NULL));
  check(h->ops->pass_end(h->context, h->ops->head(h->context, &call)));
  return 1e3 * (seconds() - start);
}

static void free_head(head *h) {
  h->ops->buffer_free(h->context, h->states.memory);
  h->ops->weight_free(h->weights);
  h->ops->context_close(h->context);
}

static void time_iterations(dimple_constraint *c, const settings *s) {
  int32_t length = (int32_t)s->length, rows = (int32_t)s->rows, tokens = (int32_t)s->tokens, mask = tokens - 1;
  int32_t *response = malloc((size_t)length * sizeof *response), *initial = malloc((size_t)length * sizeof *initial);
  float *logits = malloc((size_t)rows * (size_t)tokens * sizeof *logits);
  head_row *summaries = malloc((size_t)rows * sizeof *summaries);
  candidate *candidates = malloc((size_t)rows * sizeof *candidates);
  head h = make_head(s);
  constrained *g;
  canvas k;
  dimple_decoding d;
  for (int32_t i = 0; i < length; i++) response[i] = mask;
  check(canvas_create(response, length, mask, &k));
  check(constrained_create(c, response, length, NULL, mask, tokens, initial, &g));
  dimple_decoding_defaults(&d);
  d.temperature = (float)s->temperature;
  d.allowed_confidence = (int32_t)s->allowed;
  for (int32_t n = 0; n < s->repeat; n++) {
    sampler_step step = {.decoding = &d, .iteration = n, .masked = rows, .positions = k.masked};
    head_call plain = {.temperature = d.temperature, .iteration = n, .positions = k.masked, .results = summaries}, asked = plain, whole = plain;
    head_classes classes;
    double start = seconds();
    check(constrained_look(g, &k));
    double looked = seconds();
    check(constrained_ask(g, k.masked, rows, &classes, NULL));
    double wanted = seconds();
    asked.classes = &classes;
    whole.logits = logits;
    double alone = run_head(&h, plain), with_classes = run_head(&h, asked), with_logits = run_head(&h, whole);
    double kept = seconds();
    constrained_take(g, &step, summaries, summaries, k.masked, rows);
    double taken = seconds();
    constrained_candidates(g, &step, k.masked, rows, candidates);
    double found = seconds();
    check(constrained_rows(g, &step, summaries, logits, rows, k.masked));
    double scored = seconds();
    double around = 1e3 * (looked - start), path = 1e3 * (found - taken), host = 1e3 * (wanted - looked + taken - kept);
    printf("iteration: head alone %.1f ms; what may stand where %.1f, path %.1f; scores in the head %.1f + %.1f, all %.1f ms; "
           "of logits %.1f + %.1f, all %.1f ms\n", alone, around, path, with_classes - alone, host, around + path + host + with_classes - alone,
           with_logits - alone, 1e3 * (scored - found), around + path + 1e3 * (scored - found) + with_logits - alone);
  }
  printf("memory: constraint and lattice of %d positions %.1f MiB; a block of logits would take %.1f MiB\n", length,
         (double)constrained_bytes(g) / 0x1p20, (double)rows * tokens * sizeof *logits / 0x1p20);
  constrained_free(g);
  canvas_free(&k);
  free_head(&h);
  free(candidates);
  free(summaries);
  free(logits);
  free(initial);
  free(response);
}

int main(int count, char **arguments) {
  settings s = {.tokens = 152064, .fields = 20, .rows = 64, .length = 256, .allowed = 1, .width = 3584, .threads = 1, .repeat = 5};
  const struct {
    const char *name;
    int64_t *value, low, high;
  } options[] = {{"--tokens", &s.tokens, 300, 1 << 22}, {"--fields", &s.fields, 1, 1000},     {"--max-length", &s.max_length, 0, 1000},
                 {"--rows", &s.rows, 1, 4096},          {"--length", &s.length, 1, 4096},     {"--temperature", &s.temperature, 0, 100},
                 {"--allowed", &s.allowed, 0, 1},       {"--width", &s.width, 32, 1 << 16},  {"--threads", &s.threads, 1, 1024},
                 {"--repeat", &s.repeat, 1, 1000}};
  for (int i = 1; i < count; i++) {
    size_t k = 0, known = sizeof options / sizeof *options;
    while (k < known && strcmp(arguments[i], options[k].name) != 0) k++;
    char *end = NULL;
    int64_t value = k < known && i + 1 < count ? strtoll(arguments[++i], &end, 10) : 0;
    if (k == known || !end || *end || value < options[k].low || value > options[k].high) {
      fprintf(stderr, "dimple-bench-constraint: %s: no such option, or no number of its range\n", arguments[i]);
      return 2;
    }
    *options[k].value = value;
  }
  if (s.rows > s.length) s.rows = s.length;
  dimple_vocabulary *v = make_vocabulary((int32_t)s.tokens);
  dimple_constraint *c = make_constraint(v, &s);
  time_iterations(c, &s);
  dimple_constraint_free(c);
  dimple_vocabulary_free(v);
  return 0;
}
