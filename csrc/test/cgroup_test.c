/* Quotas on processors and limits of memory, as Linux's control groups of both versions state them. */
#include "platform/cgroup.h"

#include "platform/platform.h"
#include "test/expect.h"
#include "test/files.h"

static char folder[FILE_PATH];

static int32_t processors(const char *membership) {
  write_text(path_in(folder, "membership"), membership);
  return cgroup_processors(path_in(folder, "membership"), path_in(folder, "mounts"));
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
  write_text(path_in(folder, "mounts"), text);
}

/* Groups of both versions: outer/inner beside each other under the root and under root/cpu. */
static void quotas_are_rounded_up_and_the_smallest_counts(void) {
  const char *groups[] = {"outer", "outer/inner", "cpu", "cpu/outer", "cpu/outer/inner"};
  for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) make_folder(path_in(folder, groups[i]));
  write_mounts("/");
  write_text(path_in(folder, "outer/cpu.max"), "250000 100000\n");
  write_text(path_in(folder, "outer/inner/cpu.max"), "max 100000\n");
  write_text(path_in(folder, "cpu/outer/cpu.cfs_quota_us"), "-1\n");
  write_text(path_in(folder, "cpu/outer/cpu.cfs_period_us"), "100000\n");
  write_text(path_in(folder, "cpu/outer/inner/cpu.cfs_quota_us"), "400000\n");
  write_text(path_in(folder, "cpu/outer/inner/cpu.cfs_period_us"), "100000\n");
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
  write_text(path_in(folder, "outer/inner/cpu.max"), "50000 100000\n");
  EXPECT(processors("0::/outer/inner\n") == 1, "half a processor counted as %d", processors("0::/outer/inner\n"));
  write_text(path_in(folder, "cpu.max"), "700000 100000\n"); /* a container's own view: its group's name is not there */
  EXPECT(processors("0::/host/name\n") == 7, "%d", processors("0::/host/name\n"));
  write_mounts("/docker/ab12"); /* a container that is named as the host does, and shown its own groups alone */
  write_text(path_in(folder, "outer/inner/cpu.max"), "500000 100000\n");
  write_text(path_in(folder, "cpu/cpu.cfs_quota_us"), "600000\n");
  write_text(path_in(folder, "cpu/cpu.cfs_period_us"), "100000\n");
  EXPECT(processors("0::/docker/ab12/outer/inner\n") == 3, "%d", processors("0::/docker/ab12/outer/inner\n"));
  EXPECT(processors("0::/docker/ab12\n") == 7, "%d", processors("0::/docker/ab12\n"));
  EXPECT(processors("0::/docker/ab123/outer\n") == 7, "%d", processors("0::/docker/ab123/outer\n"));
  EXPECT(processors("4:cpu,cpuacct:/docker/ab12/outer/inner\n") == 4, "%d", processors("4:cpu,cpuacct:/docker/ab12/outer/inner\n"));
  EXPECT(processors("4:cpu,cpuacct:/docker/ab12\n") == 6, "%d", processors("4:cpu,cpuacct:/docker/ab12\n"));
  EXPECT(cgroup_processors(path_in(folder, "none"), path_in(folder, "mounts")) == INT32_MAX, "groups were found without a list of them");
  EXPECT(cgroup_processors(path_in(folder, "membership"), path_in(folder, "none")) == INT32_MAX, "groups were found without a mount");
  char blank[512]; /* a mount whose name has a blank */
  make_folder(path_in(folder, "with blank"));
  write_text(path_in(folder, "with blank/cpu.max"), "800000 100000\n");
  snprintf(blank, sizeof blank, "30 23 0:26 / %s/with\\040blank rw - cgroup2 cgroup2 rw\n", folder);
  write_text(path_in(folder, "mounts"), blank);
  EXPECT(processors("0::/\n") == 8, "%d", processors("0::/\n"));
}

static int64_t memory(const char *membership) {
  write_text(path_in(folder, "membership"), membership);
  return cgroup_memory(path_in(folder, "membership"), path_in(folder, "mounts"));
}

/* "mem" is version 1's; its controller has a name that begins another's. */
static void memory_is_what_limits_leave(void) {
  write_mounts("/");
  make_folder(path_in(folder, "mem"));
  write_text(path_in(folder, "outer/memory.max"), "max\n");
  write_text(path_in(folder, "outer/memory.current"), "1000\n");
  EXPECT(memory("0::/outer\n") == INT64_MAX, "no limit left %lld", (long long)memory("0::/outer\n"));
  write_text(path_in(folder, "outer/memory.max"), "5000\n");
  write_text(path_in(folder, "outer/memory.stat"), "anon 100\nfile 700\nactive_file 300\ninactive_file 400\nslab 7\n");
  EXPECT(memory("0::/outer\n") == 4700, "%lld", (long long)memory("0::/outer\n"));
  EXPECT(memory("0::/outer/inner\n") == 4700, "the group around counts: %lld", (long long)memory("0::/outer/inner\n"));
  write_text(path_in(folder, "outer/inner/memory.max"), "2000\n");
  write_text(path_in(folder, "outer/inner/memory.current"), "2500\n");
  EXPECT(memory("0::/outer/inner\n") == 0, "more than all is used: %lld", (long long)memory("0::/outer/inner\n"));
  remove(path_in(folder, "outer/inner/memory.current"));
  EXPECT(memory("0::/outer/inner\n") == 2000, "%lld", (long long)memory("0::/outer/inner\n"));
  write_text(path_in(folder, "mem/memory.limit_in_bytes"), "9000\n");
  write_text(path_in(folder, "mem/memory.usage_in_bytes"), "8000\n");
  write_text(path_in(folder, "mem/memory.stat"), "total_inactive_file 10\ntotal_active_file 20\n");
  EXPECT(memory("4:memory:/\n") == 1030, "%lld", (long long)memory("4:memory:/\n"));
  EXPECT(memory("4:cpu:/\n") == INT64_MAX, "another controller's group counts");
  EXPECT(cgroup_memory(path_in(folder, "none"), path_in(folder, "mounts")) == INT64_MAX, "groups were found without a list of them");
  EXPECT(platform_memory_available() > 0, "%lld bytes are available", (long long)platform_memory_available());
}

static void remove_files(void) {
  const char *files[] = {"outer/memory.max", "outer/memory.current", "outer/memory.stat", "outer/inner/memory.max", "mem/memory.limit_in_bytes",
                         "mem/memory.usage_in_bytes", "mem/memory.stat", "outer/inner/cpu.max", "outer/cpu.max", "cpu.max", "with blank/cpu.max", "cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us",
                         "cpu/outer/inner/cpu.cfs_quota_us", "cpu/outer/inner/cpu.cfs_period_us", "cpu/outer/cpu.cfs_quota_us",
                         "cpu/outer/cpu.cfs_period_us", "membership", "mounts"};
  const char *folders[] = {"outer/inner", "outer", "cpu/outer/inner", "cpu/outer", "cpu", "mem", "with blank", ""};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) remove(path_in(folder, files[i]));
  for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) remove_folder(path_in(folder, folders[i]));
}

int main(void) {
  new_folder(folder);
  quotas_are_rounded_up_and_the_smallest_counts();
  memory_is_what_limits_leave();
  remove_files();
  return expect_summary("cgroup");
}
