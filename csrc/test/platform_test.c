/* What the core asks of the system: aligned memory, mapped files, processors, threads, the clock. */
#include "platform/platform.h"

#include <stdlib.h>

#include "test/expect.h"
#include "test/files.h"

static char folder[FILE_PATH];

static void memory_is_aligned(void) {
  const size_t alignments[] = {PLATFORM_CACHE_LINE, PLATFORM_LARGE_PAGE};
  for (size_t i = 0; i < 2; i++) {
    for (size_t count = 0; count < 3; count++) {
      void *memory = platform_allocate(count * alignments[i], alignments[i]);
      EXPECT(memory && (uintptr_t)memory % alignments[i] == 0, "%zu times %zu bytes lie at %p", count, alignments[i], memory);
      memset(memory, 1, count * alignments[i]);
      platform_free(memory);
    }
  }
  platform_free(NULL);
}

/* Sizes that come near to what a number holds, whose sum with an alignment would be a small one, and one that no machine has. */
static void too_much_memory_is_none(void) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  printf("platform_test: left out that too much memory is none: a sanitizer ends the program for it\n");
#else
  const size_t alignments[] = {PLATFORM_CACHE_LINE, PLATFORM_LARGE_PAGE};
  for (size_t i = 0; i < 2; i++) {
    for (size_t lines = 1; lines < 4; lines++) {
      void *memory = platform_allocate(0 - lines * alignments[i], alignments[i]);
      EXPECT(!memory, "%zu units of %zu bytes less than all there are lie at %p", lines, alignments[i], memory);
    }
    void *memory = platform_allocate(SIZE_MAX / 2 + 1, alignments[i]);
    EXPECT(!memory, "half of all addresses lie at %p", memory);
  }
#endif
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/* Pages of this process that are in memory; 0 where the system does not say. */
static long resident_pages(void) {
  FILE *file = fopen("/proc/self/statm", "r");
  long size = 0, resident = 0;
  if (!file) return 0;
  if (fscanf(file, "%ld %ld", &size, &resident) != 2) resident = 0;
  fclose(file);
  return resident;
}
#endif

/* Also from between memory that stays, as that of sessions which are closed in any order does. */
static void freed_memory_goes_back(void) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  printf("platform_test: left out that freed memory goes back: a sanitizer keeps it\n");
#else
  enum { COUNT = 200, SIZE = 256 << 10, ROUNDS = 3, PAGE = 4096 };
  static void *large[COUNT], *small[ROUNDS * COUNT];
  long before = resident_pages();
  for (int round = 0; round < ROUNDS; round++) {
    for (int i = 0; i < COUNT; i++) {
      large[i] = platform_allocate(SIZE, PLATFORM_CACHE_LINE);
      small[round * COUNT + i] = platform_allocate(1024, PLATFORM_CACHE_LINE);
      memset(large[i], 1, SIZE);
    }
    for (int i = 0; i < COUNT; i++) platform_free(large[i]);
  }
  long kept = resident_pages() - before;
  EXPECT(before == 0 || kept < COUNT * (SIZE / PAGE) / 8, "%ld pages stay after %d times %d bytes were freed", kept, COUNT, SIZE);
  for (int i = 0; i < ROUNDS * COUNT; i++) platform_free(small[i]);
#endif
}

static void files_are_mapped_or_refused(void) {
  enum { SIZE = 70000 };
  char *text = malloc(SIZE + 1);
  memset(text, 'a', SIZE);
  text[SIZE] = '\0';
  write_text(path_in(folder, "file"), text);
  write_text(path_in(folder, "empty"), "");
  platform_mapping mapping = {0};
  EXPECT_OK(platform_map(path_in(folder, "file"), "letters", &mapping));
  EXPECT(mapping.size == SIZE && memcmp(mapping.bytes, text, SIZE) == 0, "%lld bytes", (long long)mapping.size);
  static char copy[SIZE];
  platform_read(&mapping, 0, SIZE, copy);
  EXPECT(memcmp(copy, text, SIZE) == 0, "reading gives other bytes");
  platform_mapping without = mapping;
  without.descriptor = -1;
  platform_read(&without, 5, SIZE - 5, copy);
  EXPECT(memcmp(copy, text + 5, SIZE - 5) == 0, "reading without the open file gives other bytes");
  platform_release(&mapping, 1, SIZE - 1);
  platform_release(&mapping, 1, 1);
  EXPECT(memcmp(mapping.bytes, text, SIZE) == 0, "released pages changed");
  platform_unmap(&mapping);
  EXPECT(!mapping.bytes, "still mapped");
  platform_unmap(&mapping);
  EXPECT_FAILS(platform_map(path_in(folder, "none"), "letters", &mapping), DIMPLE_ERROR_IO, "none: cannot open: ");
  EXPECT_FAILS(platform_map(folder, "letters", &mapping), DIMPLE_ERROR_IO, ": is a directory, expected letters");
  if (make_pipe(path_in(folder, "pipe")))
    EXPECT_FAILS(platform_map(path_in(folder, "pipe"), "letters", &mapping), DIMPLE_ERROR_IO, "pipe: is not a regular file");
  EXPECT_FAILS(platform_map(null_device, "letters", &mapping), DIMPLE_ERROR_IO, ": is not a regular file");
  EXPECT_FAILS(platform_map(path_in(folder, "empty"), "letters", &mapping), DIMPLE_ERROR_FORMAT, "empty: is empty, expected letters");
  free(text);
}

/* Windows by itself takes the bytes for its code page's, and no more than 260 characters. */
static void names_are_utf8_and_may_be_long(void) {
  enum { FOLDERS = 6 };
  static char folders[FOLDERS][FILE_PATH + 61 * FOLDERS], path[sizeof folders[0] + 32];
  platform_mapping mapping = {0};
  for (int i = 0; i < FOLDERS; i++) {
    int length = snprintf(folders[i], sizeof folders[i], "%s/%060d", i == 0 ? folder : folders[i - 1], i);
    EXPECT(length < (int)sizeof folders[i], "folder %d's name has %d bytes", i, length);
    EXPECT(make_folder(folders[i]), "no folder %s", folders[i]);
  }
  snprintf(path, sizeof path, "%s/\xe2\x98\x83 \xf0\x9f\x98\x80 \xc3\xa4", folders[FOLDERS - 1]);
  write_text(path_in(folder, "file"), "snow");
  EXPECT(move_file(path_in(folder, "file"), path), "no file %s", path);
  EXPECT_OK(platform_map(path, "letters", &mapping));
  EXPECT(mapping.size == 4 && memcmp(mapping.bytes, "snow", 4) == 0, "%lld other bytes", (long long)mapping.size);
  platform_unmap(&mapping);
  move_file(path, path_in(folder, "file"));
  for (int i = FOLDERS - 1; i >= 0; i--) remove_folder(folders[i]);
  EXPECT_FAILS(platform_map(path, "letters", &mapping), DIMPLE_ERROR_IO, "\xe2\x98\x83 \xf0\x9f\x98\x80 \xc3\xa4: cannot open: ");
}

static void processors_are_counted(void) {
  EXPECT(platform_processor_count() >= 1, "%d processors", platform_processor_count());
}

enum { THREADS = 8, ROUNDS = 2000 };

static int tasks_run;
static void count_task(void) { tasks_run++; }

typedef struct tally {
  platform_once once;
  platform_mutex *mutex;
  platform_condition *changed;
  int count, seen_unfinished;
} tally;

static void add_rounds(void *argument) {
  tally *t = argument;
  platform_run_once(&t->once, count_task);
  if (tasks_run != 1) t->seen_unfinished++;
  for (int i = 0; i < ROUNDS; i++) {
    platform_mutex_lock(t->mutex);
    t->count++;
    platform_condition_signal(t->changed);
    platform_mutex_unlock(t->mutex);
  }
}

static void threads_exclude_each_other(void) {
  tally t = {.mutex = platform_mutex_new(), .changed = platform_condition_new()};
  platform_thread *threads[THREADS];
  for (int i = 0; i < THREADS; i++) {
    const char *refusal = platform_thread_start(add_rounds, &t, &threads[i]);
    EXPECT(!refusal, "no thread %d: %s", i, refusal);
  }
  platform_mutex_lock(t.mutex);
  while (t.count < THREADS * ROUNDS) platform_condition_wait(t.changed, t.mutex);
  platform_mutex_unlock(t.mutex);
  for (int i = 0; i < THREADS; i++) platform_thread_join(threads[i]);
  EXPECT(t.count == THREADS * ROUNDS, "%d additions", t.count);
  EXPECT(tasks_run == 1 && t.seen_unfinished == 0, "the task ran %d times; %d threads went on before its end", tasks_run, t.seen_unfinished);
  platform_condition_free(t.changed);
  platform_mutex_free(t.mutex);
  platform_condition_free(NULL);
  platform_mutex_free(NULL);
}

static void clock_goes_forward(void) {
  int64_t start = platform_now(), last = start, steps_back = 0;
  while (last - start < 1000000) {
    int64_t now = platform_now();
    steps_back += now < last;
    last = now;
  }
  EXPECT(steps_back == 0, "it went back %lld times", (long long)steps_back);
}

int main(void) {
  new_folder(folder);
  memory_is_aligned();
  too_much_memory_is_none();
  freed_memory_goes_back();
  files_are_mapped_or_refused();
  names_are_utf8_and_may_be_long();
  processors_are_counted();
  threads_exclude_each_other();
  clock_goes_forward();
  const char *names[] = {"file", "empty", "pipe"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) remove(path_in(folder, names[i]));
  remove_folder(folder);
  return expect_summary("platform");
}
