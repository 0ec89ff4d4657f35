#include "platform/cgroup.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PATH = 4096 };

/* The first line of directory/name, without its end; false if there is none. */
static bool read_line(const char *directory, const char *name, char *line, int capacity) {
  char path[MAX_PATH];
  if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path) return false;
  FILE *file = fopen(path, "r");
  if (!file) return false;
  bool found = fgets(line, capacity, file) != NULL;
  fclose(file);
  return found;
}

/* What a controller leaves to a group: of INT64_MAX, all. */
typedef int64_t (*limit_of)(const char *directory);

/* Quota and period in microseconds to processors, rounded up. A quota below 1 is none. */
static int64_t processors_of(int64_t quota, int64_t period) {
  if (quota < 1 || period < 1 || quota / period >= INT32_MAX) return INT64_MAX;
  return quota / period + (quota % period != 0);
}

/* Version 2: "max 100000" or "250000 100000" in one file. */
static int64_t processors_v2(const char *directory) {
  char line[64];
  int64_t quota, period;
  if (!read_line(directory, "cpu.max", line, sizeof line)) return INT64_MAX;
  return sscanf(line, "%" SCNd64 " %" SCNd64, &quota, &period) == 2 ? processors_of(quota, period) : INT64_MAX;
}

/* Version 1: a file each; a quota of -1 is none. */
static int64_t processors_v1(const char *directory) {
  char quota[64], period[64];
  if (!read_line(directory, "cpu.cfs_quota_us", quota, sizeof quota)) return INT64_MAX;
  if (!read_line(directory, "cpu.cfs_period_us", period, sizeof period)) return INT64_MAX;
  return processors_of(strtoll(quota, NULL, 10), strtoll(period, NULL, 10));
}

/* Bytes of files' pages, which the system drops when the group needs memory. */
static int64_t droppable(const char *directory, const char *inactive, const char *active) {
  char path[MAX_PATH], name[64];
  int64_t bytes = 0, value;
  if (snprintf(path, sizeof path, "%s/memory.stat", directory) >= (int)sizeof path) return 0;
  FILE *file = fopen(path, "r");
  while (file && fscanf(file, "%63s %" SCNd64, name, &value) == 2)
    if (strcmp(name, inactive) == 0 || strcmp(name, active) == 0) bytes += value;
  if (file) fclose(file);
  return bytes;
}

/* "max", which is none, or bytes; what is used may be more than a limit that was lowered. */
static int64_t bytes_left(const char *directory, const char *limit, const char *used, const char *inactive, const char *active) {
  char line[64];
  int64_t most, taken;
  if (!read_line(directory, limit, line, sizeof line) || sscanf(line, "%" SCNd64, &most) != 1) return INT64_MAX;
  if (!read_line(directory, used, line, sizeof line) || sscanf(line, "%" SCNd64, &taken) != 1) return most;
  taken -= droppable(directory, inactive, active);
  if (taken < 0) taken = 0;
  return taken < most ? most - taken : 0;
}

static int64_t bytes_v2(const char *directory) {
  return bytes_left(directory, "memory.max", "memory.current", "inactive_file", "active_file");
}

/* Without a limit, a number that no machine has. */
static int64_t bytes_v1(const char *directory) {
  return bytes_left(directory, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file", "total_active_file");
}

/* The smallest limit of the groups from mount/group up to the mount itself. A container may see its own group as the mount's root while
 * /proc names it as the host does: groups that are not there are passed over. */
static int64_t smallest(const char *mount, const char *group, limit_of limit) {
  char directory[MAX_PATH];
  if (snprintf(directory, sizeof directory, "%s%s", mount, group) >= (int)sizeof directory) return limit(mount);
  int64_t least = INT64_MAX;
  for (size_t root = strlen(mount);;) {
    int64_t here = limit(directory);
    if (here < least) least = here;
    char *slash = strrchr(directory, '/');
    if (!slash || slash < directory + root) return least;
    *slash = '\0';
  }
}

/* Whether a comma-separated list names a controller. */
static bool names(const char *controllers, const char *controller) {
  size_t length = strlen(controller);
  for (const char *at = controllers; at; at = strchr(at, ',')) {
    at += *at == ',';
    if (strncmp(at, controller, length) == 0 && (at[length] == ',' || at[length] == '\0')) return true;
  }
  return false;
}

/* Takes the escapes of proc_pid_mountinfo(5) back: \040 for a blank, and the like. */
static void unescape(char *text) {
  char *to = text;
  for (const char *from = text; *from; to++) {
    bool escape = from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' && from[2] <= '7' && from[3] >= '0' && from[3] <= '7';
    *to = escape ? (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0')) : *from;
    from += escape ? 4 : 1;
  }
  *to = '\0';
}

/* A hierarchy of groups that the process sees. */
typedef struct hierarchy {
  char mount[MAX_PATH]; /* where */
  char root[MAX_PATH];  /* which group lies there: a container's own, where it is not shown the others */
  bool found;
} hierarchy;

/* One line: "36 35 98:0 /root /mount options optional... - type source options-of-the-file-system". */
static void read_mount(char *line, const char *controller, hierarchy *v1, hierarchy *v2) {
  char type[16], controllers[MAX_PATH], root[MAX_PATH], mount[MAX_PATH];
  const char *tail = strstr(line, " - ");
  if (!tail || sscanf(tail, " - %15s %*s %4095s", type, controllers) != 2) return;
  hierarchy *h = strcmp(type, "cgroup2") == 0 ? v2 : strcmp(type, "cgroup") == 0 && names(controllers, controller) ? v1 : NULL;
  if (!h || h->found || sscanf(line, "%*s %*s %*s %4095s %4095s", root, mount) != 2) return;
  unescape(root);
  unescape(mount);
  strcpy(h->root, strcmp(root, "/") == 0 ? "" : root);
  strcpy(h->mount, mount);
  h->found = true;
}

static void read_mounts(const char *mounts, const char *controller, hierarchy *v1, hierarchy *v2) {
  v1->found = v2->found = false;
  FILE *file = fopen(mounts, "r");
  if (!file) return;
  char line[3 * MAX_PATH];
  while (fgets(line, sizeof line, file)) read_mount(line, controller, v1, v2);
  fclose(file);
}

/* The group's path below the mount: a container without a name space of its own is named as the host does. */
static const char *below(const hierarchy *h, const char *group) {
  size_t length = strlen(h->root);
  bool inside = strncmp(group, h->root, length) == 0 && (group[length] == '/' || group[length] == '\0');
  return inside ? group + length : group;
}

/* The least that the process's groups are left by a controller. */
static int64_t least_of(const char *membership, const char *mounts, const char *controller, limit_of in_v1, limit_of in_v2) {
  hierarchy v1, v2;
  read_mounts(mounts, controller, &v1, &v2);
  FILE *file = fopen(membership, "r");
  if (!file) return INT64_MAX;
  char line[MAX_PATH];
  int64_t least = INT64_MAX;
  while (fgets(line, sizeof line, file)) { /* "number:controllers:group"; version 2 has number 0 and no controllers */
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group) continue;
    *controllers++ = *group++ = '\0';
    int64_t here = INT64_MAX;
    if (*controllers == '\0' && v2.found)
      here = smallest(v2.mount, below(&v2, group), in_v2);
    else if (v1.found && names(controllers, controller))
      here = smallest(v1.mount, below(&v1, group), in_v1);
    if (here < least) least = here;
  }
  fclose(file);
  return least;
}

int32_t cgroup_processors(const char *membership, const char *mounts) {
  int64_t least = least_of(membership, mounts, "cpu", processors_v1, processors_v2);
  return least < INT32_MAX ? (int32_t)least : INT32_MAX;
}

int64_t cgroup_memory(const char *membership, const char *mounts) { return least_of(membership, mounts, "memory", bytes_v1, bytes_v2); }
