#include "error.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_SIZE = 1024 };

static _Thread_local char message[MESSAGE_SIZE];

dimple_status dimple_fail(dimple_status status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  dimple_fail_with(status, format, arguments);
  va_end(arguments);
  return status;
}

/* Bytes of the character of UTF-8 that `c` begins with; 0: with none. Surrogates, longer forms than needed and what is behind U+10FFFF are none. */
static size_t character_size(const unsigned char *c) {
  size_t size = c[0] < 0x80 ? 1 : c[0] < 0xc2 ? 0 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : c[0] < 0xf5 ? 4 : 0;
  for (size_t i = 1; i < size; i++)
    if ((c[i] & 0xc0) != 0x80) return 0;
  bool other = (c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] > 0x9f) || (c[0] == 0xf0 && c[1] < 0x90) || (c[0] == 0xf4 && c[1] > 0x8f);
  return other ? 0 : size;
}

static uint32_t character_of(const unsigned char *c, size_t size) {
  uint32_t character = size == 1 ? c[0] : c[0] & (0xffu >> (size + 1));
  for (size_t i = 1; i < size; i++) character = character << 6 | (c[i] & 0x3f);
  return character;
}

/* Whether a terminal takes it for a command: it controls, separates lines, or says in which direction text runs (Unicode's Bidi_Control). */
static bool is_command(uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
         (c >= 0x2066 && c <= 0x2069);
}

void dimple_make_line(char *text) {
  for (unsigned char *c = (unsigned char *)text; *c;) {
    size_t size = character_size(c);
    if (size == 0 || is_command(character_of(c, size))) {
      if (size == 0) size = 1;
      memset(c, '?', size);
    }
    c += size;
  }
}

dimple_status dimple_fail_with(dimple_status status, const char *format, va_list arguments) {
  vsnprintf(message, sizeof message, format, arguments);
  dimple_make_line(message);
  return status;
}

dimple_status dimple_fail_memory(uint64_t bytes, const char *purpose) {
  return dimple_fail(DIMPLE_ERROR_MEMORY, "cannot allocate %" PRIu64 " bytes for %s", bytes, purpose);
}

const char *dimple_last_error(void) { return message; }

int32_t dimple_api_version(void) { return DIMPLE_API_VERSION; }
