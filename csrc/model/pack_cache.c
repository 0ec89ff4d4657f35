#include "model/pack_cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocate.h"
#include "digest.h"
#include "draws.h"
#include "error.h"
#include "quant/block_formats.h"

/* Matrices begin where pages do. */
enum { PAGE = 4096 };

typedef struct pack_header {
  char magic[8];
  uint64_t shape, stamp;
  int64_t count;
  uint64_t table;  /* digest of the entries */
  uint64_t header; /* of all before it */
} pack_header;

/* A matrix of the file. */
typedef struct pack_entry {
  int64_t offset, size;
  uint64_t digest, source;
} pack_entry;

static const char pack_magic[] = "DMPLPACK"; /* of it the letters */

/* ------------------------------------------------------------------------------------------------------- what is packed, and how */

static uint64_t joined(uint64_t digest, const void *bytes, int64_t size) {
  uint64_t both[] = {digest, digest_of(bytes, size)};
  return digest_of(both, sizeof both);
}

static int64_t matrices_of(const wanted_tensor *t) { return t->want.matrices ? t->want.matrices : 1; }

static uint64_t stamp_of(const gguf_parts *files, uint64_t stamp) {
  for (int32_t i = 0; i < files->count; i++) {
    platform_identity identity = gguf_identity(files->files[i]);
    stamp = joined(stamp, &identity, sizeof identity);
  }
  return stamp;
}

/* What the backend makes of a pattern: a digest that changes whenever layouts do. It is finite in every type: no half's or float's exponent has its
 * highest bit. */
static dimple_status pattern_digest(const pack_lists *l, int32_t type, uint64_t *out) {
  enum { ROWS = 33, COLUMNS = 512 };
  const block_format *f = block_format_of(type);
  int64_t size = ROWS * block_format_row_size(f, COLUMNS);
  uint8_t *bytes;
  weight *w = NULL;
  packed_part part = {0};
  ALLOCATE(bytes, size, "a pattern");
  for (int64_t i = 0; i < size; i++) bytes[i] = (uint8_t)(draw_word((uint64_t)type, (uint32_t)i, 0, 0, 0) >> 24 & 0xbf);
  tensor_source source = {.name = "a pattern", .type = type, .rows = ROWS, .columns = COLUMNS, .data = bytes};
  dimple_status status = l->ops->weight_upload(l->context, &source, WEIGHT_LINEAR, &w);
  if (status == DIMPLE_OK && !l->ops->packed_part(l->context, w, &source, 0, &part)) status = dimple_fail_memory((uint64_t)size, "a pattern");
  if (status == DIMPLE_OK) *out = part.digest;
  l->ops->weight_free(w);
  free(bytes);
  return status;
}

enum { MOST_TYPES = 64 };

static dimple_status add_shape(const pack_lists *l, const tensor_list *list, bool seen[MOST_TYPES], uint64_t *shape, int64_t *count) {
  for (int64_t i = 0; i < list->count; i++) {
    const wanted_tensor *t = &list->tensors[i];
    if (!tensor_list_is_packed(t)) continue;
    const tensor_want *w = &t->want;
    int32_t type = t->found->type;
    int64_t facts[] = {type, w->matrices, w->rows, w->columns, w->part_of, w->part_first, w->paired_heads};
    *shape = joined(joined(*shape, t->name, (int64_t)strlen(t->name)), facts, sizeof facts);
    *count += matrices_of(t);
    if (seen[type]) continue;
    uint64_t pattern = 0;
    DIMPLE_TRY(pattern_digest(l, type, &pattern));
    *shape = joined(*shape, &pattern, sizeof pattern);
    seen[type] = true;
  }
  return DIMPLE_OK;
}

static dimple_status describe(pack_cache *p, const pack_lists *l) {
  bool seen[MOST_TYPES] = {false};
  p->shape = digest_of(l->ops->name, (int64_t)strlen(l->ops->name));
  p->stamp = stamp_of(l->mmproj, stamp_of(l->files, 0));
  DIMPLE_TRY(add_shape(l, l->text, seen, &p->shape, &p->count));
  return add_shape(l, l->vision, seen, &p->shape, &p->count);
}

/* ----------------------------------------------------------------------------------------------------------------- what is there */

/* Whether the mapped file is of these matrices; then p->parts says where they lie in it. */
static bool read_parts(pack_cache *p, bool *stamped) {
  pack_header h;
  const uint8_t *bytes = p->mapping.bytes;
  int64_t left = p->mapping.size - (int64_t)sizeof h;
  if (left < 0) return false;
  memcpy(&h, bytes, sizeof h);
  bool known = memcmp(h.magic, pack_magic, sizeof h.magic) == 0 && h.header == digest_of(&h, offsetof(pack_header, header));
  if (!known || h.shape != p->shape || h.count != p->count || p->count > left / (int64_t)sizeof(pack_entry)) return false;
  const uint8_t *table = bytes + sizeof h;
  if (h.table != digest_of(table, p->count * (int64_t)sizeof(pack_entry))) return false;
  for (int64_t i = 0; i < p->count; i++) {
    pack_entry e;
    memcpy(&e, table + i * (int64_t)sizeof e, sizeof e);
    if (e.offset < 0 || e.offset % PAGE != 0 || e.size < 0 || e.offset > p->mapping.size || e.size > p->mapping.size - e.offset) return false;
    p->parts[i] = (packed_part){bytes + e.offset, e.size, e.digest, e.source};
  }
  *stamped = h.stamp == p->stamp;
  return true;
}

static int64_t give(pack_cache *p, tensor_list *list, int64_t at, bool stamped) {
  for (int64_t i = 0; i < list->count; i++) {
    wanted_tensor *t = &list->tensors[i];
    if (!tensor_list_is_packed(t)) continue;
    t->packed = p->mapping.bytes ? p->parts + at : NULL;
    t->packed_unproven = !stamped;
    t->kept = p->kept + at;
    at += matrices_of(t);
  }
  return at;
}

static dimple_status name_file(pack_cache *p, const pack_lists *l) {
  const char *model = gguf_path(l->files->files[0]);
  size_t size = strlen(model) + strlen(l->ops->name) + sizeof "..packed";
  ALLOCATE(p->path, (int64_t)size, "a path");
  snprintf(p->path, size, "%s.%s.packed", model, l->ops->name);
  return DIMPLE_OK;
}

dimple_status pack_cache_open(pack_cache *p, const pack_lists *l) {
  bool stamped = false;
  if (!l->ops->packed_part) return DIMPLE_OK;
  DIMPLE_TRY(name_file(p, l));
  DIMPLE_TRY(describe(p, l));
  ALLOCATE(p->parts, p->count + 1, "packed matrices");
  ALLOCATE(p->kept, p->count + 1, "packed matrices");
  if (platform_map(p->path, "packed weights", &p->mapping) == DIMPLE_OK && !read_parts(p, &stamped)) {
    p->replaced = true;
    platform_unmap(&p->mapping);
  }
  give(p, l->vision, give(p, l->text, 0, stamped), stamped);
  return DIMPLE_OK;
}

/* ---------------------------------------------------------------------------------------------------------------------- writing */

static int64_t next_page(int64_t offset) { return (offset + PAGE - 1) / PAGE * PAGE; }

static const char *write_padded(platform_writer *w, const void *bytes, int64_t size, int64_t *at) {
  static const uint8_t zeros[PAGE];
  int64_t padding = next_page(*at) - *at;
  const char *refusal = platform_write(w, zeros, padding);
  if (!refusal) refusal = platform_write(w, bytes, size);
  *at += padding + size;
  return refusal;
}

static const char *write_parts(const pack_cache *p, platform_writer *w, const pack_header *h, const pack_entry *table) {
  int64_t at = (int64_t)sizeof *h + p->count * (int64_t)sizeof *table;
  const char *refusal = platform_write(w, h, sizeof *h);
  if (!refusal) refusal = platform_write(w, table, p->count * (int64_t)sizeof *table);
  for (int64_t i = 0; i < p->count && !refusal; i++) refusal = write_padded(w, p->kept[i].bytes, p->kept[i].size, &at);
  return refusal;
}

static const char *write_file(const pack_cache *p) {
  pack_header h = {.shape = p->shape, .stamp = p->stamp, .count = p->count};
  pack_entry *table = malloc((size_t)(p->count + 1) * sizeof *table);
  platform_writer *w = NULL;
  if (!table) return "no memory";
  int64_t at = (int64_t)sizeof h + p->count * (int64_t)sizeof *table;
  for (int64_t i = 0; i < p->count; i++) {
    at = next_page(at);
    table[i] = (pack_entry){at, p->kept[i].size, p->kept[i].digest, p->kept[i].source};
    at += p->kept[i].size;
  }
  memcpy(h.magic, pack_magic, sizeof h.magic);
  h.table = digest_of(table, p->count * (int64_t)sizeof *table);
  h.header = digest_of(&h, offsetof(pack_header, header));
  const char *refusal = platform_write_begin(p->path, &w);
  if (!refusal) {
    refusal = write_parts(p, w, &h, table);
    const char *ended = platform_write_end(w, !refusal);
    if (!refusal) refusal = ended;
  }
  free(table);
  return refusal;
}

/* Matrices that are the mapped file's; -1: one could not be kept. */
static int64_t taken(const pack_cache *p) {
  int64_t count = 0;
  const uint8_t *first = p->mapping.bytes;
  for (int64_t i = 0; i < p->count; i++) {
    const uint8_t *bytes = p->kept[i].bytes;
    if (!bytes) return -1;
    count += first && bytes >= first && bytes < first + p->mapping.size;
  }
  return count;
}

int32_t pack_cache_finish(pack_cache *p, const pack_lists *l, char *note, size_t capacity) {
  note[0] = '\0';
  if (!p->path) {
    snprintf(note, capacity, "%s packs nothing that can be kept", l->ops->name);
    return DIMPLE_PACK_CACHE_UNWRITTEN;
  }
  int64_t given = taken(p);
  if (given == p->count) return DIMPLE_PACK_CACHE_USED;
  bool replaced = p->replaced || p->mapping.bytes;
  if (given == 0) platform_unmap(&p->mapping); /* a mapped file takes no other's place everywhere */
  const char *refusal = given < 0 ? "no memory" : write_file(p);
  if (refusal) snprintf(note, capacity, "%s: packed weights cannot be kept: %s", p->path, refusal);
  else if (replaced) snprintf(note, capacity, "%s: was damaged, or of other weights, and is written anew", p->path);
  return refusal ? DIMPLE_PACK_CACHE_UNWRITTEN : DIMPLE_PACK_CACHE_WRITTEN;
}

void pack_cache_close(pack_cache *p) {
  platform_unmap(&p->mapping);
  free(p->parts);
  free(p->kept);
  free(p->path);
  *p = (pack_cache){0};
}
