/* What the core asks of the system: quotas on processors, aligned memory, mapped files, threads, the clock. */
#include "platform/platform.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/cgroup.h"
#include "test/expect.h"

static char folder[] = "/tmp/dimple-platform-XXXXXX";

static const char *in_folder(const char *name) {
  static char paths[4][256];
  static int next;
  char *path = paths[next++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

static void write_file(const char *name, const char *text) {
  FILE *file = fopen(in_folder(name), "w");
  if (!file || fputs(text, file) == EOF || fclose(file) != 0) {
    printf("cannot write %s\n", in_folder(name));
    exit(1);
  }
}

static int32_t processors(const char *membership) {
  write_file("membership", membership);
  return cgroup_processors(in_folder("membership"), in_folder("mounts"));
}

/* Version 2 at the folder itself and version 1 at its folder "cpu", each showing the group `root` and what is below. */
static void write_mounts(const char *root) {
  char text[1024];
  snprintf(text, sizeof text,
           "24 30 0:22 / /proc rw,nosuid - proc proc rw\n"
           "30 23 0:26 %s %s rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
           "33 25 0:29 %s %s/mem rw - cgroup cgroup rw,memory\n"
           "34 25 0:30 %s %s/cpu rw shared:9 master:2 - cgroup cgroup rw,cpu,cpuacct\n",
           root, folder, root, folder, root, folder);
  write_file("mounts", text);
}

/* Groups of both versions: outer/inner beside each other under the root and under root/cpu. */
static void quotas_are_rounded_up_and_the_smallest_counts(void) {
  const char *groups[] = {"outer", "outer/inner", "cpu", "cpu/outer", "cpu/outer/inner"};
  for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) mkdir(in_folder(groups[i]), 0700);
  write_mounts("/");
  write_file("outer/cpu.max", "250000 100000\n");
  write_file("outer/inner/cpu.max", "max 100000\n");
  write_file("cpu/outer/cpu.cfs_quota_us", "-1\n");
  write_file("cpu/outer/cpu.cfs_period_us", "100000\n");
  write_file("cpu/outer/inner/cpu.cfs_quota_us", "400000\n");
  write_file("cpu/outer/inner/cpu.cfs_period_us", "100000\n");
  const struct {
    const char *membership;
    int32_t expected;
  } cases[] = {
      {"0::/outer/inner\n", 3},
      {"0::/outer\n", 3},
      {"0::/\n", INT32_MAX},
      {"0::/outer/gone\n", 3},
      {"4:memory:/outer\n3:cpuset:/outer/inner\n", INT32_MAX},
      {"5:cpuacct,cpu:/outer/inner\n", 4},
      {"5:cpu,cpuacct:/outer\n", INT32_MAX},
      {"5:cpu:/outer/inner\n0::/outer\n", 3},
      {"nonsense\n", INT32_MAX},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    EXPECT(processors(cases[i].membership) == cases[i].expected, "\"%s\" gave %d", cases[i].membership, processors(cases[i].membership));
  write_file("outer/inner/cpu.max", "50000 100000\n");
  EXPECT(processors("0::/outer/inner\n") == 1, "half a processor counted as %d", processors("0::/outer/inner\n"));
  write_file("cpu.max", "700000 100000\n"); /* a container's own view: its group's name is not there */
  EXPECT(processors("0::/host/name\n") == 7, "%d", processors("0::/host/name\n"));
  write_mounts("/docker/ab12"); /* a container that is named as the host does, and shown its own groups alone */
  write_file("outer/inner/cpu.max", "500000 100000\n");
  write_file("cpu/cpu.cfs_quota_us", "600000\n");
  write_file("cpu/cpu.cfs_period_us", "100000\n");
  EXPECT(processors("0::/docker/ab12/outer/inner\n") == 3, "%d", processors("0::/docker/ab12/outer/inner\n"));
  EXPECT(processors("0::/docker/ab12\n") == 7, "%d", processors("0::/docker/ab12\n"));
  EXPECT(processors("0::/docker/ab123/outer\n") == 7, "%d", processors("0::/docker/ab123/outer\n"));
  EXPECT(processors("4:cpu,cpuacct:/docker/ab12/outer/inner\n") == 4, "%d", processors("4:cpu,cpuacct:/docker/ab12/outer/inner\n"));
  EXPECT(processors("4:cpu,cpuacct:/docker/ab12\n") == 6, "%d", processors("4:cpu,cpuacct:/docker/ab12\n"));
  EXPECT(cgroup_processors(in_folder("none"), in_folder("mounts")) == INT32_MAX, "groups were found without a list of them");
  EXPECT(cgroup_processors(in_folder("membership"), in_folder("none")) == INT32_MAX, "groups were found without a mount");
  char blank[512]; /* a mount whose name has a blank */
  mkdir(in_folder("with blank"), 0700);
  write_file("with blank/cpu.max", "800000 100000\n");
  snprintf(blank, sizeof blank, "30 23 0:26 / %s/with\\040blank rw - cgroup2 cgroup2 rw\n", folder);
  write_file("mounts", blank);
  EXPECT(processors("0::/\n") == 8, "%d", processors("0::/\n"));
  EXPECT(platform_processor_count() >= 1, "%d processors", platform_processor_count());
}

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

static void files_are_mapped_or_refused(void) {
  enum { SIZE = 70000 };
  char *text = malloc(SIZE + 1);
  memset(text, 'a', SIZE);
  text[SIZE] = '\0';
  write_file("file", text);
  write_file("empty", "");
  mkfifo(in_folder("pipe"), 0600);
  platform_mapping mapping = {0};
  EXPECT_OK(platform_map(in_folder("file"), "letters", &mapping));
  EXPECT(mapping.size == SIZE && memcmp(mapping.bytes, text, SIZE) == 0, "%lld bytes", (long long)mapping.size);
  platform_release(&mapping, 1, SIZE - 1);
  platform_release(&mapping, 1, 1);
  EXPECT(memcmp(mapping.bytes, text, SIZE) == 0, "released pages changed");
  platform_unmap(&mapping);
  EXPECT(!mapping.bytes, "still mapped");
  platform_unmap(&mapping);
  EXPECT_FAILS(platform_map(in_folder("none"), "letters", &mapping), DIMPLE_ERROR_IO, "none: cannot open: ");
  EXPECT_FAILS(platform_map(folder, "letters", &mapping), DIMPLE_ERROR_IO, ": is a directory, expected letters");
  EXPECT_FAILS(platform_map(in_folder("pipe"), "letters", &mapping), DIMPLE_ERROR_IO, "pipe: is not a regular file");
  EXPECT_FAILS(platform_map(in_folder("empty"), "letters", &mapping), DIMPLE_ERROR_FORMAT, "empty: is empty, expected letters");
  free(text);
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

static void remove_folder(void) {
  const char *names[] = {"outer/inner/cpu.max", "outer/cpu.max", "cpu.max", "cpu/outer/inner/cpu.cfs_quota_us", "cpu/outer/inner/cpu.cfs_period_us",
                         "cpu/outer/cpu.cfs_quota_us", "cpu/outer/cpu.cfs_period_us", "membership", "file", "empty", "pipe",
                         "outer/inner", "outer", "cpu/outer/inner", "cpu/outer", "cpu", ""};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) remove(in_folder(names[i]));
}

int main(void) {
  if (!mkdtemp(folder)) return 1;
  quotas_are_rounded_up_and_the_smallest_counts();
  memory_is_aligned();
  files_are_mapped_or_refused();
  threads_exclude_each_other();
  clock_goes_forward();
  remove_folder();
  return expect_summary("platform");
}
