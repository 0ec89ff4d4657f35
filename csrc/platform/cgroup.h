/* Linux's control groups: the share of the processors that a container leaves to its processes. */
#ifndef DIMPLE_PLATFORM_CGROUP_H
#define DIMPLE_PLATFORM_CGROUP_H

#include <stdint.h>

/* Processors that the quotas of the process's group and of the groups around it amount to, rounded up; INT32_MAX without a quota, or
 * without control groups. `membership` is /proc/self/cgroup, `root` /sys/fs/cgroup, where version 2 lies or, in "cpu", version 1. */
int32_t cgroup_processors(const char *membership, const char *root);

#endif
