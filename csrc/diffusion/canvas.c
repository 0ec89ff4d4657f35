#include "diffusion/canvas.h"

#include <string.h>

#include "allocate.h"

static void list_masked(canvas *c) {
  c->masked_count = 0;
  for (int32_t i = 0; i < c->used; i++)
    if (c->tokens[i] == c->mask_token) c->masked[c->masked_count++] = i;
}

static dimple_status allocate(int32_t count, canvas *c) {
  ALLOCATE(c->given, count, "the response");
  ALLOCATE(c->initial, count, "the response");
  ALLOCATE(c->tokens, count, "the canvas");
  ALLOCATE(c->masked, count, "the masked positions");
  return DIMPLE_OK;
}

dimple_status canvas_create(const int32_t *tokens, int32_t count, int32_t mask_token, canvas *out) {
  canvas fresh = {.length = count, .given_length = count, .room = count, .mask_token = mask_token};
  dimple_status status = allocate(count, &fresh);
  if (status != DIMPLE_OK) {
    canvas_free(&fresh);
    return status;
  }
  memcpy(fresh.given, tokens, (size_t)count * sizeof *tokens);
  canvas_set_initial(&fresh, NULL);
  *out = fresh;
  return DIMPLE_OK;
}

static dimple_status enlarge(int32_t **tokens, int32_t room) {
  int32_t *larger = realloc(*tokens, (size_t)room * sizeof *larger);
  if (!larger) return dimple_fail_memory((uint64_t)room * sizeof *larger, "the canvas");
  *tokens = larger;
  return DIMPLE_OK;
}

dimple_status canvas_reserve(canvas *c, int32_t room) {
  if (room <= c->room) return DIMPLE_OK;
  DIMPLE_TRY(enlarge(&c->tokens, room));
  DIMPLE_TRY(enlarge(&c->masked, room));
  c->room = room;
  return DIMPLE_OK;
}

void canvas_set_initial(canvas *c, const int32_t *tokens) {
  memcpy(c->initial, tokens ? tokens : c->given, (size_t)c->given_length * sizeof *tokens);
  canvas_reset(c);
  c->initial_masked = c->masked_count;
}

void canvas_free(canvas *c) {
  free(c->given);
  free(c->initial);
  free(c->tokens);
  free(c->masked);
  *c = (canvas){0};
}

int64_t canvas_bytes(const canvas *c) {
  return c->given_length * (int64_t)(sizeof *c->given + sizeof *c->initial) + c->room * (int64_t)(sizeof *c->tokens + sizeof *c->masked);
}

void canvas_reset(canvas *c) { canvas_replace(c, c->initial, c->given_length); }

void canvas_replace(canvas *c, const int32_t *tokens, int32_t length) {
  memcpy(c->tokens, tokens, (size_t)length * sizeof *tokens);
  c->used = c->length = length;
  list_masked(c);
}

void canvas_shorten(canvas *c, int32_t used) {
  c->used = used;
  list_masked(c);
}

void canvas_mask(canvas *c, const int32_t *positions, int32_t count) {
  for (int32_t i = 0; i < count; i++) c->tokens[positions[i]] = c->mask_token;
  list_masked(c);
}

void canvas_reveal(canvas *c, const int32_t *positions, const int32_t *tokens, int32_t count) {
  for (int32_t i = 0; i < count; i++) c->tokens[positions[i]] = tokens[i];
  list_masked(c);
}

void canvas_show(canvas *c, int32_t first, const int32_t *tokens, int32_t count) {
  memcpy(c->tokens + first, tokens, (size_t)count * sizeof *tokens);
}

void canvas_settle(canvas *c, int32_t first, const int32_t *tokens, int32_t count) {
  int32_t settled = 0;
  canvas_show(c, first, tokens, count);
  while (settled < c->masked_count && c->masked[settled] < first + count) settled++;
  c->masked_count -= settled;
  memmove(c->masked, c->masked + settled, (size_t)c->masked_count * sizeof *c->masked);
}
