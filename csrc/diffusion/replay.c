/* Recorded draws: the conformance hook behind dimple_session_replay_draws. */
#include "diffusion/replay.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

typedef struct record {
  int32_t kind;
  int32_t length;
  int64_t start; /* of its values */
} record;

struct replay {
  int32_t count;
  int32_t next;
  record *records;
  double *values;
};

static const char *const kind_names[] = {"permutation", "uniform", "categorical", "subset"};

enum { KIND_COUNT = sizeof kind_names / sizeof kind_names[0] };

/* Whether value `v` may occur in a record of this kind. */
static bool value_fits(const record *r, double v) {
  if (r->kind == DIMPLE_DRAW_UNIFORM) return v >= 0 && v < 1;
  double limit = r->kind == DIMPLE_DRAW_PERMUTATION ? r->length : (double)INT32_MAX;
  return v >= 0 && v < limit && v == (double)(int32_t)v;
}

static int order_values(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Indices of a permutation or subset occur once each. */
static dimple_status check_distinct(const record *r, int32_t number, const double *values) {
  size_t size = (size_t)r->length * sizeof(double);
  double *sorted = malloc(size);
  if (!sorted) return dimple_fail_memory(size, "checking recorded draws");
  memcpy(sorted, values, size);
  qsort(sorted, (size_t)r->length, sizeof(double), order_values);
  int32_t i = 1;
  while (i < r->length && sorted[i - 1] != sorted[i]) i++;
  double twice = i < r->length ? sorted[i] : -1;
  free(sorted);
  if (twice < 0) return DIMPLE_OK;
  return dimple_fail(DIMPLE_ERROR_ARGUMENT, "recorded draws: record %d, a %s, holds index %.0f twice", number,
                     kind_names[r->kind], twice);
}

static dimple_status check_record(const record *r, int32_t number, const double *values) {
  for (int32_t i = 0; i < r->length; i++) {
    if (value_fits(r, values[i])) continue;
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "recorded draws: record %d, a %s of %d, holds %g at %d; expected %s", number,
                       kind_names[r->kind], r->length, values[i], i,
                       r->kind == DIMPLE_DRAW_UNIFORM       ? "0 <= value < 1"
                       : r->kind == DIMPLE_DRAW_PERMUTATION ? "an index below its length"
                                                            : "a whole number >= 0");
  }
  bool indices = r->kind == DIMPLE_DRAW_PERMUTATION || r->kind == DIMPLE_DRAW_SUBSET;
  return indices && r->length > 1 ? check_distinct(r, number, values) : DIMPLE_OK;
}

static dimple_status read_records(replay *r, const int32_t *kinds, const int32_t *lengths, const double *values,
                                  int64_t value_count) {
  int64_t start = 0;
  for (int32_t i = 0; i < r->count; i++) {
    if (kinds[i] < 0 || kinds[i] >= KIND_COUNT) {
      return dimple_fail(DIMPLE_ERROR_ARGUMENT, "recorded draws: record %d has kind %d, expected 0 .. %d", i, kinds[i],
                         KIND_COUNT - 1);
    }
    if (lengths[i] < 0 || lengths[i] > value_count - start) {
      return dimple_fail(DIMPLE_ERROR_ARGUMENT, "recorded draws: record %d has length %d, expected 0 .. the %lld values left",
                         i, lengths[i], (long long)(value_count - start));
    }
    r->records[i] = (record){kinds[i], lengths[i], start};
    DIMPLE_TRY(check_record(&r->records[i], i, values + start));
    start += lengths[i];
  }
  if (start != value_count) {
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "recorded draws: value_count is %lld, but the records' lengths add up to %lld",
                       (long long)value_count, (long long)start);
  }
  size_t size = (size_t)value_count * sizeof(double);
  r->values = malloc(size + 1);
  if (!r->values) return dimple_fail_memory(size, "recorded draws");
  if (size > 0) memcpy(r->values, values, size);
  return DIMPLE_OK;
}

dimple_status replay_create(const int32_t *kinds, const int32_t *lengths, int32_t record_count, const double *values,
                            int64_t value_count, replay **out) {
  if (record_count < 0 || value_count < 0 || (record_count > 0 && (!kinds || !lengths)) || (value_count > 0 && !values)) {
    return dimple_fail(DIMPLE_ERROR_ARGUMENT,
                       "recorded draws: record_count %d and value_count %lld must be >= 0, and their arrays not null",
                       record_count, (long long)value_count);
  }
  replay *r = calloc(1, sizeof *r);
  if (!r) return dimple_fail_memory(sizeof *r, "recorded draws");
  r->count = record_count;
  r->records = calloc((size_t)record_count + 1, sizeof *r->records);
  dimple_status status = r->records ? read_records(r, kinds, lengths, values, value_count)
                                    : dimple_fail_memory((uint64_t)record_count * sizeof *r->records, "recorded draws");
  if (status != DIMPLE_OK) {
    replay_free(r);
    return status;
  }
  *out = r;
  return DIMPLE_OK;
}

void replay_free(replay *r) {
  if (!r) return;
  free(r->records);
  free(r->values);
  free(r);
}

int64_t replay_bytes(const replay *r) {
  if (!r) return 0;
  int64_t values = r->count > 0 ? r->records[r->count - 1].start + r->records[r->count - 1].length : 0;
  return (int64_t)sizeof *r + (r->count + 1) * (int64_t)sizeof *r->records + values * (int64_t)sizeof *r->values;
}

int32_t replay_position(const replay *r) { return r->next; }

void replay_seek(replay *r, int32_t position) { r->next = position; }

dimple_status replay_next(replay *r, int32_t kind, int32_t length, const double **values) {
  if (r->next == r->count) {
    return dimple_fail(DIMPLE_ERROR_STATE, "recorded draws: all %d records are used, this iteration needs a %s of %d",
                       r->count, kind_names[kind], length);
  }
  const record *found = &r->records[r->next];
  if (found->kind != kind || found->length != length) {
    return dimple_fail(DIMPLE_ERROR_STATE, "recorded draws: record %d is a %s of %d, this iteration needs a %s of %d", r->next,
                       kind_names[found->kind], found->length, kind_names[kind], length);
  }
  r->next++;
  *values = r->values + found->start;
  return DIMPLE_OK;
}

const double *replay_last(const replay *r) { return r->values + r->records[r->next - 1].start; }
