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

/* Quota and period in microseconds to processors, rounded up. A quota below 1 is none. */
static int32_t processors_of(int64_t quota, int64_t period) {
  if (quota < 1 || period < 1 || quota / period >= INT32_MAX) return INT32_MAX;
  return (int32_t)(quota / period + (quota % period != 0));
}

/* Version 2: "max 100000" or "250000 100000" in one file. */
static int32_t limit_v2(const char *directory) {
  char line[64];
  int64_t quota, period;
  if (!read_line(directory, "cpu.max", line, sizeof line)) return INT32_MAX;
  return sscanf(line, "%" SCNd64 " %" SCNd64, &quota, &period) == 2 ? processors_of(quota, period) : INT32_MAX;
}

/* Version 1: a file each; a quota of -1 is none. */
static int32_t limit_v1(const char *directory) {
  char quota[64], period[64];
  if (!read_line(directory, "cpu.cfs_quota_us", quota, sizeof quota)) return INT32_MAX;
  if (!read_line(directory, "cpu.cfs_period_us", period, sizeof period)) return INT32_MAX;
  return processors_of(strtoll(quota, NULL, 10), strtoll(period, NULL, 10));
}

/* The smallest limit of the groups from mount/group up to the mount itself. A container may see its own group as the mount's root while
 * /proc names it as the host does: groups that are not there are passed over. */
static int32_t smallest(const char *mount, const char *group, int32_t (*limit)(const char *)) {
  char directory[MAX_PATH];
  if (snprintf(directory, sizeof directory, "%s%s", mount, group) >= (int)sizeof directory) return limit(mount);
  int32_t least = INT32_MAX;
  for (size_t root = strlen(mount);;) {
    int32_t here = limit(directory);
    if (here < least) least = here;
    char *slash = strrchr(directory, '/');
    if (!slash || slash < directory + root) return least;
    *slash = '\0';
  }
}

/* Whether a comma-separated list names the controller "cpu". */
static bool names_cpu(const char *controllers) {
  for (const char *at = controllers; at; at = strchr(at, ',')) {
    at += *at == ',';
    if (strncmp(at, "cpu", 3) == 0 && (at[3] == ',' || at[3] == '\0')) return true;
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
static void read_mount(char *line, hierarchy *v1, hierarchy *v2) {
  char type[16], controllers[MAX_PATH], root[MAX_PATH], mount[MAX_PATH];
  const char *tail = strstr(line, " - ");
  if (!tail || sscanf(tail, " - %15s %*s %4095s", type, controllers) != 2) return;
  hierarchy *h = strcmp(type, "cgroup2") == 0 ? v2 : strcmp(type, "cgroup") == 0 && names_cpu(controllers) ? v1 : NULL;
  if (!h || h->found || sscanf(line, "%*s %*s %*s %4095s %4095s", root, mount) != 2) return;
  unescape(root);
  unescape(mount);
  strcpy(h->root, strcmp(root, "/") == 0 ? "" : root);
  strcpy(h->mount, mount);
  h->found = true;
}

static void read_mounts(const char *mounts, hierarchy *v1, hierarchy *v2) {
  v1->found = v2->found = false;
  FILE *file = fopen(mounts, "r");
  if (!file) return;
  char line[3 * MAX_PATH];
  while (fgets(line, sizeof line, file)) read_mount(line, v1, v2);
  fclose(file);
}

/* The group's path below the mount: a container without a name space of its own is named as the host does. */
static const char *below(const hierarchy *h, const char *group) {
  size_t length = strlen(h->root);
  bool inside = strncmp(group, h->root, length) == 0 && (group[length] == '/' || group[length] == '\0');
  return inside ? group + length : group;
}

int32_t cgroup_processors(const char *membership, const char *mounts) {
  hierarchy v1, v2;
  read_mounts(mounts, &v1, &v2);
  FILE *file = fopen(membership, "r");
  if (!file) return INT32_MAX;
  char line[MAX_PATH];
  int32_t least = INT32_MAX;
  while (fgets(line, sizeof line, file)) { /* "number:controllers:group"; version 2 has number 0 and no controllers */
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group) continue;
    *controllers++ = *group++ = '\0';
    int32_t here = INT32_MAX;
    if (*controllers == '\0' && v2.found)
      here = smallest(v2.mount, below(&v2, group), limit_v2);
    else if (v1.found && names_cpu(controllers))
      here = smallest(v1.mount, below(&v1, group), limit_v1);
    if (here < least) least = here;
  }
  fclose(file);
  return least;
}
