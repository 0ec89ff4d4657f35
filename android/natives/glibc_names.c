/* What glibc's headers make of names that Android's libc has otherwise. Linked into each library, seen by it alone. */
#include <stdarg.h>

#define OURS __attribute__((visibility("hidden")))

int *__errno(void);
int vsscanf(const char *text, const char *format, va_list values);
long sysconf(int name);

OURS int *__errno_location(void) { return __errno(); }

OURS int __isoc99_sscanf(const char *text, const char *format, ...) {
  va_list values;
  va_start(values, format);
  int count = vsscanf(text, format, values);
  va_end(values);
  return count;
}

/* sysconf, as the core is compiled to call it: glibc's numbers in, bionic's out. */
OURS long glibc_sysconf(int name) {
  enum { GLIBC_PAGESIZE = 30, GLIBC_NPROCESSORS_ONLN = 84, BIONIC_PAGESIZE = 0x27, BIONIC_NPROCESSORS_ONLN = 0x61 };
  switch (name) {
    case GLIBC_PAGESIZE: return sysconf(BIONIC_PAGESIZE);
    case GLIBC_NPROCESSORS_ONLN: return sysconf(BIONIC_NPROCESSORS_ONLN);
    default: return -1;
  }
}
