/* Linux's control groups: the share of processors and memory that a container leaves to its processes. */
#ifndef DIMPLE_PLATFORM_CGROUP_H
#define DIMPLE_PLATFORM_CGROUP_H

#include <stdint.h>

/* Processors that the quotas of the process's group and of the groups around it amount to, rounded up; INT32_MAX without a quota, or
 * without control groups. `membership` is /proc/self/cgroup, `mounts` /proc/self/mountinfo, which says where version 2 and version 1's
 * controller "cpu" lie; with both of them (systemd's "hybrid") both count. */
int32_t cgroup_processors(const char *membership, const char *mounts);

/* Bytes that these groups may still fill: the least of limit minus use, in which pages of files that would be dropped do not count. INT64_MAX without a
 * limit. The arguments as above, but for the controller "memory". */
int64_t cgroup_memory(const char *membership, const char *mounts);

#endif
