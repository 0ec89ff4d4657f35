#include "test/files.h"

#include <stdlib.h>

#ifdef _WIN32
#include <windows.h>
#else
#include <sys/stat.h>
#include <unistd.h>
#endif

#include "platform/platform.h"

static void give_up(const char *path) {
  perror(path);
  exit(1);
}

/* A name that no other program is likely to choose; who makes the file sees whether one did. */
static void propose(char path[FILE_PATH]) {
  static uint32_t count;
  const char *folder = getenv("TMPDIR");
  uint64_t moment = (uint64_t)platform_now() * 0x9e3779b97f4a7c15 + count++;
  if (snprintf(path, FILE_PATH, "%s/dimple-test-%016llx", folder ? folder : "/tmp", (unsigned long long)moment) >= FILE_PATH) {
    fprintf(stderr, "TMPDIR=%s is too long a name\n", folder);
    exit(1);
  }
}

enum { ATTEMPTS = 100 };

void new_file(char path[FILE_PATH]) {
  FILE *file = NULL;
  for (int i = 0; i < ATTEMPTS && !file; i++) {
    propose(path);
    file = fopen(path, "wbx");
  }
  if (!file) give_up(path);
  fclose(file);
}

void new_folder(char path[FILE_PATH]) {
  for (int i = 0; i < ATTEMPTS; i++) {
    propose(path);
    if (make_folder(path)) return;
  }
  give_up(path);
}

const char *path_in(const char *folder, const char *name) {
  static char paths[4][256];
  static int next;
  char *path = paths[next++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

void write_text(const char *path, const char *text) {
  FILE *file = fopen(path, "wb");
  if (!file || fputs(text, file) == EOF || fclose(file) != 0) give_up(path);
}

FILE *open_data(const char *name) {
  char path[1024];
  snprintf(path, sizeof path, "%s/%s", DIMPLE_TEST_DATA, name);
  FILE *file = fopen(path, "rb");
  if (!file) give_up(path);
  return file;
}

#ifdef _WIN32
const char null_device[] = "NUL";

/* A full path with the prefix that allows any length. */
typedef struct wide_path {
  WCHAR text[1024];
} wide_path;

static wide_path widen(const char *path) {
  WCHAR given[1000];
  wide_path wide = {L"\\\\?\\"};
  MultiByteToWideChar(CP_UTF8, 0, path, -1, given, 1000);
  GetFullPathNameW(given, 1000, wide.text + 4, NULL);
  return wide;
}

bool make_folder(const char *path) { return CreateDirectoryW(widen(path).text, NULL); }
void remove_folder(const char *path) { RemoveDirectoryW(widen(path).text); }
bool move_file(const char *from, const char *to) { return MoveFileW(widen(from).text, widen(to).text); }
bool make_pipe(const char *path) {
  (void)path;
  return false;
}
void set_environment(const char *name, const char *value) { _putenv_s(name, value ? value : ""); }
#else
const char null_device[] = "/dev/null";

bool make_folder(const char *path) { return mkdir(path, 0700) == 0; }
void remove_folder(const char *path) { rmdir(path); }
bool move_file(const char *from, const char *to) { return rename(from, to) == 0; }
bool make_pipe(const char *path) { return mkfifo(path, 0600) == 0; }
void set_environment(const char *name, const char *value) {
  if (value)
    setenv(name, value, 1);
  else
    unsetenv(name);
}
#endif
