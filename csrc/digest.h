/* A digest of bytes, which tells damaged or changed ones from those that were; it is no protection from who forges them. A change within one stretch
 * of eight bytes always changes it, others but for one in 2^64. */
#ifndef DIMPLE_DIGEST_H
#define DIMPLE_DIGEST_H

#include <stdint.h>

uint64_t digest_of(const void *bytes, int64_t size);

#endif
