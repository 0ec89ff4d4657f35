/* Linux's control groups: the share of the processors that a container leaves to its processes. */
#ifndef DIMPLE_PLATFORM_CGROUP_H
#define DIMPLE_PLATFORM_CGROUP_H

#include <stdint.h>

/* Processors that the quotas of the process's group and of the groups around it amount to, rounded up; INT32_MAX without a quota, or
 * without control groups. `membership` is /proc/self/cgroup, `mounts` /proc/self/mountinfo, which says where version 2 and version 1's
 * controller "cpu" lie; with both of them (systemd's "hybrid") both count. */
int32_t cgroup_processors(const char *membership, const char *mounts);

#endif
