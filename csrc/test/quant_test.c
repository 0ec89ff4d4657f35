/* Block formats: decoding bit for bit, encoding no worse than upstream's, conversions, and every refusal. */
#include "quant/block_formats.h"

#include <float.h>
#include <inttypes.h>
#include <stdlib.h>

#include "expect.h"
#include "files.h"

static const struct { int32_t type; const char *name; int32_t length, size; } types[] = {
    {DIMPLE_TENSOR_F32, "f32", 1, 4},        {DIMPLE_TENSOR_F16, "f16", 1, 2},          {DIMPLE_TENSOR_BF16, "bf16", 1, 2},
    {DIMPLE_TENSOR_Q4_0, "q4_0", 32, 18},    {DIMPLE_TENSOR_Q4_1, "q4_1", 32, 20},      {DIMPLE_TENSOR_Q5_0, "q5_0", 32, 22},
    {DIMPLE_TENSOR_Q5_1, "q5_1", 32, 24},    {DIMPLE_TENSOR_Q8_0, "q8_0", 32, 34},      {DIMPLE_TENSOR_Q2_K, "q2_k", 256, 84},
    {DIMPLE_TENSOR_Q3_K, "q3_k", 256, 110},  {DIMPLE_TENSOR_Q4_K, "q4_k", 256, 144},    {DIMPLE_TENSOR_Q5_K, "q5_k", 256, 176},
    {DIMPLE_TENSOR_Q6_K, "q6_k", 256, 210},  {DIMPLE_TENSOR_IQ4_NL, "iq4_nl", 32, 18},  {DIMPLE_TENSOR_IQ4_XS, "iq4_xs", 256, 136}};
enum { TYPES = sizeof types / sizeof *types, FIRST_BLOCK_TYPE = 3 };

/* What is decoded and multiplied, but not written. */
static const struct { int32_t type; const char *name; int32_t length, size; } read_only[] = {
    {DIMPLE_TENSOR_IQ3_S, "iq3_s", 256, 110},   {DIMPLE_TENSOR_IQ3_XXS, "iq3_xxs", 256, 98}, {DIMPLE_TENSOR_IQ2_S, "iq2_s", 256, 82},
    {DIMPLE_TENSOR_IQ2_XS, "iq2_xs", 256, 74},  {DIMPLE_TENSOR_IQ2_XXS, "iq2_xxs", 256, 66}, {DIMPLE_TENSOR_IQ1_M, "iq1_m", 256, 56},
    {DIMPLE_TENSOR_IQ1_S, "iq1_s", 256, 50},    {DIMPLE_TENSOR_TQ2_0, "tq2_0", 256, 66},     {DIMPLE_TENSOR_TQ1_0, "tq1_0", 256, 54},
    {DIMPLE_TENSOR_MXFP4, "mxfp4", 32, 17},     {DIMPLE_TENSOR_NVFP4, "nvfp4", 64, 36}};
enum { READ_ONLY = sizeof read_only / sizeof *read_only };

enum { ROWS = 16, COLUMNS = 1024, ELEMENTS = ROWS * COLUMNS };
static float values[ELEMENTS], decoded[ELEMENTS], importance[COLUMNS];
static uint8_t encoded[ELEMENTS * 4 + 1], again[ELEMENTS * 4 + 1];

static int64_t encoded_size(int t, int64_t rows) { return rows * COLUMNS / types[t].length * types[t].size; }

/* ------------------------------------------------------------------------------------------------------------ sample data */

/* As in data/make_quant_tables.py: both must draw the same numbers. */
static double uniform(uint64_t seed, uint64_t index) { /* splitmix64, in [0, 1) */
  uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15ull;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ z >> 27) * 0x94d049bb133111ebull;
  return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

enum { NORMAL, HEAVY_TAILED, LAPLACE, STUDENT_T, KINDS };

static double near_normal(uint64_t seed, uint64_t first) {
  double total = 0;
  for (uint64_t j = 0; j < 12; j++) total += uniform(seed, first + j);
  return total - 6;
}

static void fill_values(int kind) {
  uint64_t seed = 1 + (uint64_t)kind;
  for (uint64_t i = 0; i < ELEMENTS; i++) {
    double x;
    if (kind == LAPLACE) {
      x = log((uniform(seed, 2 * i) + 0x1p-54) / (uniform(seed, 2 * i + 1) + 0x1p-54)) * 0.02;
    } else if (kind == STUDENT_T) { /* 3 degrees of freedom */
      double a = near_normal(seed, 48 * i + 12), b = near_normal(seed, 48 * i + 24), c = near_normal(seed, 48 * i + 36);
      x = near_normal(seed, 48 * i) * 0.02 / sqrt((a * a + b * b + c * c) / 3);
    } else {
      x = near_normal(seed, 13 * i) * 0.02;
      if (kind == HEAVY_TAILED) x /= sqrt(uniform(seed, 13 * i + 12) + 0.002);
    }
    values[i] = (float)x;
  }
}

static void fill_importance(void) {
  for (uint64_t i = 0; i < COLUMNS; i++) importance[i] = (float)(1 / (uniform(9, i) + 0.01));
}

/* sqrt(sum w (x - y)^2 / sum w x^2); w is null or per column. */
static double relative_error(const float *x, const float *y, const float *w) {
  double wrong = 0, all = 0;
  for (int i = 0; i < ELEMENTS; i++) {
    double weight = w ? (double)w[i % COLUMNS] : 1, difference = (double)x[i] - (double)y[i];
    wrong += weight * difference * difference;
    all += weight * (double)x[i] * (double)x[i];
  }
  return sqrt(wrong / all);
}

/* ------------------------------------------------------------------------------------------------------------------ facts */

static void test_info(void) {
  for (int t = 0; t < TYPES; t++) {
    dimple_tensor_type_info info;
    EXPECT_OK(dimple_tensor_type_get_info(types[t].type, &info));
    EXPECT(strcmp(info.name, types[t].name) == 0 && info.block_length == types[t].length && info.block_size == types[t].size &&
               info.can_quantize == 1, "%s: %s, %d elements in %d bytes", types[t].name, info.name, info.block_length, info.block_size);
  }
  for (int t = 0; t < READ_ONLY; t++) {
    dimple_tensor_type_info info;
    EXPECT_OK(dimple_tensor_type_get_info(read_only[t].type, &info));
    EXPECT(strcmp(info.name, read_only[t].name) == 0 && info.block_length == read_only[t].length && info.block_size == read_only[t].size &&
               info.can_quantize == 0, "%s: %s, %d elements in %d bytes", read_only[t].name, info.name, info.block_length, info.block_size);
    EXPECT_FAILS(dimple_quantize_rows(read_only[t].type, values, 1, 256, NULL, encoded, 256 / info.block_length * info.block_size),
                 DIMPLE_ERROR_UNSUPPORTED, "can only be read");
    char *upper = (char[16]){0};
    for (int i = 0; read_only[t].name[i]; i++) upper[i] = (char)(read_only[t].name[i] >= 'a' ? read_only[t].name[i] - 'a' + 'A' : read_only[t].name[i]);
    EXPECT(strcmp(block_format_type_name(read_only[t].type), upper) == 0, "%s is called %s", upper, block_format_type_name(read_only[t].type));
  }
  EXPECT_FAILS(dimple_tensor_type_get_info(42, &(dimple_tensor_type_info){0}), DIMPLE_ERROR_UNSUPPORTED, "tensor type 42 (Q2_0)");
  EXPECT_FAILS(dimple_tensor_type_get_info(43, &(dimple_tensor_type_info){0}), DIMPLE_ERROR_UNSUPPORTED, "tensor type 43 (?)");
  const int32_t unknown[] = {-1, 4, 5, 15, 24, 28, 31, 33, 36, 38, 41, 42, 43, 100, INT32_MIN, INT32_MAX};
  for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
    dimple_tensor_type_info info = {.block_length = -7};
    EXPECT_FAILS(dimple_tensor_type_get_info(unknown[i], &info), DIMPLE_ERROR_UNSUPPORTED, "tensor type");
    EXPECT(info.block_length == -7, "a failure changed the output");
    EXPECT(block_format_of(unknown[i]) == NULL, "type %d", unknown[i]);
  }
  EXPECT_FAILS(dimple_tensor_type_get_info(0, NULL), DIMPLE_ERROR_ARGUMENT, "null");
}

/* ------------------------------------------------------------------------------------------------------------ conversions */

static void test_half(void) {
  int wrong_wide = 0, wrong_back = 0, wrong_tie = 0;
  for (uint32_t half = 0; half < 0x10000; half++) {
    uint32_t exponent = half >> 10 & 31, fraction = half & 1023;
    float value = half_to_float((uint16_t)half);
    if (exponent == 31 && fraction != 0) {
      wrong_wide += !isnan(value);
      uint16_t back = float_to_half(value);
      wrong_back += (back & 0x7c00) != 0x7c00 || (back & 0x3ff) == 0 || (back & 0x8000) != (half & 0x8000);
      continue;
    }
    double expected = exponent == 31 ? INFINITY : exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, (int)exponent - 25);
    expected = half & 0x8000 ? -expected : expected;
    wrong_wide += (double)value != expected || !signbit(value) != !signbit(expected);
    wrong_back += float_to_half(value) != half;
    if (exponent == 31) continue;
    /* Halfway to the next half: to the even one; a float32 beside the middle goes to the nearer one. */
    double step = ldexp(1, exponent == 0 ? -24 : (int)exponent - 25), middle = fabs(expected) + step / 2;
    uint16_t sign = half & 0x8000, magnitude = half & 0x7fff;
    float middle_float = (float)(sign ? -middle : middle); /* exact: float32 has 13 more bits */
    wrong_tie += float_to_half(middle_float) != (uint16_t)(sign | (magnitude + (magnitude & 1)));
    wrong_tie += float_to_half(nextafterf(middle_float, sign ? -INFINITY : INFINITY)) != (uint16_t)(sign | (magnitude + 1));
    wrong_tie += float_to_half(nextafterf(middle_float, 0)) != (uint16_t)(sign | magnitude);
  }
  EXPECT(wrong_wide == 0, "%d halves widen wrongly", wrong_wide);
  EXPECT(wrong_back == 0, "%d halves do not come back", wrong_back);
  EXPECT(wrong_tie == 0, "%d wrong roundings", wrong_tie);
  EXPECT(float_to_half(FLT_MAX) == 0x7c00 && float_to_half(-INFINITY) == 0xfc00 && float_to_half(1e-30f) == 0, "ends of the range");
}

static void test_bfloat16(void) {
  int wrong = 0;
  for (uint32_t bits = 0; bits < 0x10000; bits++) {
    float value = bfloat16_to_float((uint16_t)bits);
    if (isnan(value)) {
      wrong += !isnan(bfloat16_to_float(float_to_bfloat16(value)));
      continue;
    }
    wrong += float_to_bfloat16(value) != bits;
    if (isinf(value) || (bits & 0x7fff) == 0x7f7f) continue;
    union { uint32_t u; float f; } middle = {bits << 16 | 0x8000}, above = {bits << 16 | 0x8001}, below = {bits << 16 | 0x7fff};
    wrong += float_to_bfloat16(middle.f) != bits + (bits & 1);
    wrong += float_to_bfloat16(above.f) != bits + 1 || float_to_bfloat16(below.f) != bits;
  }
  EXPECT(wrong == 0, "%d wrong roundings", wrong);
}

/* --------------------------------------------------------------------------------------------------------------- decoding */

static void test_decoding_goldens(void) {
  FILE *file = open_data("quant_rows.bin");
  int32_t header[2]; /* type, bytes */
  int records = 0;
  while (fread(header, sizeof header, 1, file) == 1) {
    static float expected[1024];
    records++;
    if (fread(encoded + 1, (size_t)header[1], 1, file) != 1 || fread(expected, sizeof expected, 1, file) != 1) {
      EXPECT(0, "quant_rows.bin is short");
      break;
    }
    EXPECT_OK(dimple_dequantize_rows(header[0], encoded + 1, header[1], 1, 1024, decoded)); /* unaligned, as in a file */
    for (int i = 0; i < 1024; i++)
      if (memcmp(&decoded[i], &expected[i], 4) != 0) {
        EXPECT(0, "type %d, element %d is %a, expected %a", header[0], i, (double)decoded[i], (double)expected[i]);
        break;
      }
  }
  EXPECT(records == TYPES - FIRST_BLOCK_TYPE + READ_ONLY, "%d records", records);
  fclose(file);
}

/* --------------------------------------------------------------------------------------------------------------- encoding */

static void encode_and_decode(int t, const float *weights) {
  EXPECT_OK(dimple_quantize_rows(types[t].type, values, ROWS, COLUMNS, weights, encoded, encoded_size(t, ROWS)));
  EXPECT_OK(dimple_dequantize_rows(types[t].type, encoded, encoded_size(t, ROWS), ROWS, COLUMNS, decoded));
}

/* The error is at most 1 % above that of upstream's encoder on the same data. */
static void test_errors_against_upstream(void) {
  FILE *file = open_data("quant_errors.txt");
  int type, kind, weighted, records = 0;
  double bound;
  while (fscanf(file, "%d %d %d %lf", &type, &kind, &weighted, &bound) == 4) {
    int t = 0;
    while (t < TYPES - 1 && types[t].type != type) t++;
    fill_values(kind);
    encode_and_decode(t, weighted ? importance : NULL);
    double error = relative_error(values, decoded, weighted ? importance : NULL);
    EXPECT(error <= 1.01 * bound && error > 0.5 * bound, "%s, data %d, importance %d: relative error %f, upstream's %f", types[t].name,
           kind, weighted, error, bound);
    records++;
  }
  EXPECT(records == 2 * KINDS * (TYPES - FIRST_BLOCK_TYPE), "%d records", records);
  fclose(file);
}

/* What was decoded encodes to nearly itself. */
static void test_round_trips(void) {
  for (int t = 0; t < TYPES; t++) {
    fill_values(HEAVY_TAILED);
    encode_and_decode(t, NULL);
    double first = relative_error(values, decoded, NULL);
    memcpy(values, decoded, sizeof values);
    encode_and_decode(t, NULL);
    double second = relative_error(values, decoded, NULL);
    if (types[t].type == DIMPLE_TENSOR_F32) EXPECT(first == 0, "f32 changed values by %g", first);
    if (types[t].length == 1) EXPECT(second == 0, "%s: values it can hold changed by %g", types[t].name, second);
    else EXPECT(second < first / 2, "%s: error %g, encoded once more %g", types[t].name, first, second);
  }
  fill_values(NORMAL);
  encode_and_decode(1, NULL);
  for (int i = 0; i < ELEMENTS; i++) EXPECT(decoded[i] == half_to_float(float_to_half(values[i])), "f16 element %d", i);
}

/* A column that matters a thousand times more than its neighbours is encoded better than without weights. */
static void test_importance(void) {
  fill_values(NORMAL);
  for (int i = 0; i < COLUMNS; i++) importance[i] = i % 8 == 3 ? 1000 : 1;
  for (int t = FIRST_BLOCK_TYPE; t < TYPES; t++) {
    if (types[t].type == DIMPLE_TENSOR_Q8_0) continue; /* ignores it, as upstream does */
    double errors[2];
    for (int weighted = 0; weighted < 2; weighted++) {
      encode_and_decode(t, weighted ? importance : NULL);
      errors[weighted] = relative_error(values, decoded, importance);
    }
    EXPECT(errors[1] < 0.9 * errors[0], "%s: %g, without weights %g", types[t].name, errors[1], errors[0]);
  }
  /* Weights that are all equal, however large or small, are none; all zero ones too. */
  const float equal[] = {0, 1, FLT_MAX, 1e-37f};
  for (int t = FIRST_BLOCK_TYPE; t < TYPES; t++)
    for (size_t i = 0; i < sizeof equal / sizeof *equal; i++) {
      for (int j = 0; j < COLUMNS; j++) importance[j] = equal[i];
      encode_and_decode(t, importance);
      double weighted = relative_error(values, decoded, NULL);
      encode_and_decode(t, NULL);
      EXPECT(fabs(weighted - relative_error(values, decoded, NULL)) < 1e-3 * weighted, "%s with weights %g", types[t].name, (double)equal[i]);
    }
  fill_importance();
}

static uint64_t hash(const uint8_t *bytes, int64_t size) { /* FNV-1a */
  uint64_t h = 0xcbf29ce484222325ull;
  for (int64_t i = 0; i < size; i++) h = (h ^ bytes[i]) * 0x100000001b3ull;
  return h;
}

/* The same rows give the same bytes, in one call or row by row, at any address, with every compiler and on every machine. The
 * hashes change when an encoder does; then they are replaced by what the failure prints. */
static void test_determinism(void) {
  static const uint64_t hashes[TYPES] = {
      0xa86ba33a1a61a6f2, 0xc19a29ff7ccbaa4d, 0x9937885de36635ed, 0xd4e7e2b380f2a7e9, 0x7cd5c59a56b0e9d8,
      0xfba7fea190f5e93b, 0x28811065aa0a1b8c, 0x929e8fd7d9ef6a34, 0xe1408b480e6f12fe, 0x447046e548422e9e,
      0x7e0c08ecc84562e0, 0xb446d07016bfec4b, 0x1294ef200804239b, 0xf13388694a21f7b9, 0x4b15ddbefc7cd800};
  fill_values(HEAVY_TAILED);
  for (int t = 0; t < TYPES; t++) {
    int64_t size = encoded_size(t, ROWS), row_size = encoded_size(t, 1);
    EXPECT_OK(dimple_quantize_rows(types[t].type, values, ROWS, COLUMNS, importance, encoded, size));
    for (int row = 0; row < ROWS; row++)
      EXPECT_OK(dimple_quantize_rows(types[t].type, values + row * COLUMNS, 1, COLUMNS, importance, again + 1 + row * row_size, row_size));
    EXPECT(memcmp(encoded, again + 1, (size_t)size) == 0, "%s: row by row differs", types[t].name);
    EXPECT(hash(encoded, size) == hashes[t], "%s: the bytes hash to 0x%016" PRIx64, types[t].name, hash(encoded, size));
  }
}

/* Blocks of all kinds of extremes decode to finite values near what was encoded. */
static void test_extremes(void) {
  const float extremes[] = {0, -0.0f, 1, -1, 65504, -65504, 1e-3f, 6e-8f, -6e-8f, 1e-20f, 1e-38f, 1e-45f, FLT_MIN};
  enum { EXTREMES = sizeof extremes / sizeof *extremes };
  for (int t = 0; t < TYPES; t++) {
    double coarse = types[t].type == DIMPLE_TENSOR_Q2_K ? 0.4 : 0.2;
    for (int a = 0; a < EXTREMES; a++) {
      /* Every element `a`; a and b in turn; a single a among b. */
      for (int b = 0; b < EXTREMES; b++)
        for (int pattern = 0; pattern < 2; pattern++) {
          for (int i = 0; i < 256; i++) values[i] = extremes[(pattern ? i == 77 : i % 2) ? a : b];
          double largest = fmax(fabs(extremes[a]), fabs(extremes[b]));
          int64_t size = 256 / types[t].length * types[t].size;
          EXPECT_OK(dimple_quantize_rows(types[t].type, values, 1, 256, NULL, encoded, size));
          EXPECT_OK(dimple_dequantize_rows(types[t].type, encoded, size, 1, 256, decoded));
          double worst = 0;
          for (int i = 0; i < 256; i++) worst = fmax(worst, isfinite(decoded[i]) ? fabs((double)decoded[i] - (double)values[i]) : INFINITY);
          /* A half float has no scale below 6e-8: values near that are lost, as in upstream's encoders. */
          EXPECT(worst <= coarse * largest + 1e-5, "%s: %g and %g, pattern %d: off by %g", types[t].name, (double)extremes[a],
                 (double)extremes[b], pattern, worst);
        }
    }
  }
}

/* --------------------------------------------------------------------------------------------------------------- refusals */

static void test_refusals(void) {
  fill_values(NORMAL);
  fill_importance();
  for (int t = 0; t < TYPES; t++) {
    int32_t type = types[t].type;
    int64_t size = encoded_size(t, 2);
    memset(encoded, 0xab, sizeof encoded);
    EXPECT_FAILS(dimple_quantize_rows(type, NULL, 2, COLUMNS, NULL, encoded, size), DIMPLE_ERROR_ARGUMENT, "source is null");
    EXPECT_FAILS(dimple_quantize_rows(type, values, 2, COLUMNS, NULL, NULL, size), DIMPLE_ERROR_ARGUMENT, "target is null");
    EXPECT_FAILS(dimple_quantize_rows(type, values, 0, COLUMNS, NULL, encoded, 0), DIMPLE_ERROR_ARGUMENT, "at least 1");
    EXPECT_FAILS(dimple_quantize_rows(type, values, -1, COLUMNS, NULL, encoded, -size), DIMPLE_ERROR_ARGUMENT, "at least 1");
    EXPECT_FAILS(dimple_quantize_rows(type, values, 2, 0, NULL, encoded, 0), DIMPLE_ERROR_ARGUMENT, "at least 1");
    EXPECT_FAILS(dimple_quantize_rows(type, values, 2, COLUMNS, NULL, encoded, size - 1), DIMPLE_ERROR_ARGUMENT, "bytes as");
    EXPECT_FAILS(dimple_quantize_rows(type, values, 2, COLUMNS, NULL, encoded, size + 1), DIMPLE_ERROR_ARGUMENT, "bytes as");
    EXPECT_FAILS(dimple_quantize_rows(type, values, INT64_MAX / 2, INT64_MAX / 512 * 256, NULL, encoded, size), DIMPLE_ERROR_ARGUMENT, "memory");
    EXPECT_FAILS(dimple_quantize_rows(type, values, INT64_MAX, 256, NULL, encoded, size), DIMPLE_ERROR_ARGUMENT, "memory");
    EXPECT_FAILS(dimple_dequantize_rows(type, NULL, size, 2, COLUMNS, decoded), DIMPLE_ERROR_ARGUMENT, "source is null");
    EXPECT_FAILS(dimple_dequantize_rows(type, encoded, size, 2, COLUMNS, NULL), DIMPLE_ERROR_ARGUMENT, "target is null");
    EXPECT_FAILS(dimple_dequantize_rows(type, encoded, size - 1, 2, COLUMNS, decoded), DIMPLE_ERROR_ARGUMENT, "bytes as");
    EXPECT_FAILS(dimple_dequantize_rows(type, encoded, 0, 1ll << 62, 256, decoded), DIMPLE_ERROR_ARGUMENT, "memory");
    EXPECT_FAILS(dimple_dequantize_rows(type, encoded, size, -2, -COLUMNS, decoded), DIMPLE_ERROR_ARGUMENT, "at least 1");
    if (types[t].length > 1) {
      EXPECT_FAILS(dimple_quantize_rows(type, values, 2, COLUMNS - 1, NULL, encoded, size), DIMPLE_ERROR_ARGUMENT, "1023 columns");
      EXPECT_FAILS(dimple_dequantize_rows(type, encoded, size, 2, types[t].length / 2, decoded), DIMPLE_ERROR_ARGUMENT, "not a multiple");
    }
    const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
      float kept = values[COLUMNS + 517];
      values[COLUMNS + 517] = bad[i];
      EXPECT_FAILS(dimple_quantize_rows(type, values, 2, COLUMNS, NULL, encoded, size), DIMPLE_ERROR_ARGUMENT, "row 1, column 517 is");
      values[COLUMNS + 517] = kept;
    }
    if (types[t].length > 1 || type == DIMPLE_TENSOR_F16) {
      float kept = values[3];
      values[3] = 65536;
      EXPECT_FAILS(dimple_quantize_rows(type, values, 2, COLUMNS, NULL, encoded, size), DIMPLE_ERROR_ARGUMENT, "row 0, column 3 is 65536");
      values[3] = kept;
    }
    const float bad_weights[] = {NAN, INFINITY, -1};
    for (size_t i = 0; i < sizeof bad_weights / sizeof *bad_weights; i++) {
      float kept = importance[COLUMNS - 1];
      importance[COLUMNS - 1] = bad_weights[i];
      EXPECT_FAILS(dimple_quantize_rows(type, values, 2, COLUMNS, importance, encoded, size), DIMPLE_ERROR_ARGUMENT, "importance of column 1023");
      importance[COLUMNS - 1] = kept;
    }
    int changed = 0;
    for (size_t i = 0; i < sizeof encoded; i++) changed += encoded[i] != 0xab;
    EXPECT(changed == 0, "%s: a refusal wrote %d bytes", types[t].name, changed);
  }
  EXPECT_FAILS(dimple_quantize_rows(4, values, 1, COLUMNS, NULL, encoded, COLUMNS), DIMPLE_ERROR_UNSUPPORTED, "tensor type 4");
  EXPECT_FAILS(dimple_dequantize_rows(-1, encoded, COLUMNS, 1, COLUMNS, decoded), DIMPLE_ERROR_UNSUPPORTED, "tensor type -1");
}

/* What a format says of its codes is what kernels count on. */
static void check_code_ranges(void) {
  uint64_t state = 7;
  for (int32_t type = 0; type < 64; type++) {
    const block_format *f = block_format_of(type);
    if (!f || !f->unpack) continue;
    const code_layout *l = &f->codes;
    int32_t lowest = l->positive ? 0 : -l->largest, outside = 0, inexact = 0;
    for (int block = 0; block < 1000; block++) {
      uint8_t bytes[512];
      unpacked_block unpacked = {0};
      for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)((state = state * 6364136223846793005u + 1442695040888963407u) >> 56);
      f->unpack(bytes, &unpacked);
      for (int i = 0; i < f->block_length; i++) {
        int8_t code = l->bits == 4 ? l->table[unpacked.codes[i]] : (int8_t)unpacked.codes[i];
        outside += code < lowest || code > l->largest;
      }
      for (int j = 0; j < f->block_length / 32 * l->halves; j++) {
        const float scale = l->float_scales ? unpacked.scale[j] : half_to_float(unpacked.d) * (float)(l->unit_blocks > 1 ? unpacked.factor[j] : 1);
        const double lifted = 0x1.8p23 * (double)scale;
        inexact += fabs(lifted) < FLT_MAX && (double)(float)lifted != lifted;
      }
    }
    EXPECT(outside == 0, "%s: %d codes are not within %d and %d", f->name, outside, lowest, l->largest);
    EXPECT(inexact == 0, "%s: %d scales times 1.5 * 2^23 are no floats (code_tile_vnni.h)", f->name, inexact);
  }
}

/* A block whose scale is no number decodes to none; one of floats is its element. */
static void finds_not_finite(void) {
  uint64_t state = 11;
  for (int32_t type = 0; type < 64; type++) {
    const block_format *f = block_format_of(type);
    int found = 0, wrong = 0;
    for (int block = 0; f && block < 4000; block++) {
      uint8_t bytes[2 * 512] = {0}; /* the first block is one of zeros */
      for (int32_t i = f->block_size; i < 2 * f->block_size; i++) bytes[i] = (uint8_t)((state = state * 6364136223846793005u + 1442695040888963407u) >> 56);
      float numbers[256];
      bool finite = true;
      f->dequantize(bytes + f->block_size, numbers, 1);
      for (int i = 0; i < f->block_length; i++) finite &= isfinite(numbers[i]) != 0;
      int64_t at = block_format_find_not_finite(f, bytes, 2);
      found += at == f->block_length;
      wrong += at != (finite ? -1 : f->block_length);
    }
    EXPECT(wrong == 0, "%s: %d of 4000 wrong", f->name, wrong);
    EXPECT(!f || found > 0 || f->codes.float_scales, "%s: none of 4000 was found", f->name);
  }
}

int main(void) {
  fill_importance();
  test_info();
  test_half();
  test_bfloat16();
  test_decoding_goldens();
  test_errors_against_upstream();
  test_round_trips();
  test_importance();
  test_determinism();
  test_extremes();
  test_refusals();
  check_code_ranges();
  finds_not_finite();
  return expect_summary("quant");
}
