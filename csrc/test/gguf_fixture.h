/* What tests of the GGUF reader share: a file that is built in memory, written and opened again and again. */
#ifndef DIMPLE_TEST_GGUF_FIXTURE_H
#define DIMPLE_TEST_GGUF_FIXTURE_H

#include "gguf/gguf.h"
#include "test/expect.h"
#include "test/gguf_writer.h"

extern gguf_bytes image;                /* the file being built */
extern char directory[64], path[80]; /* a temporary directory, and the file in it */

/* Makes and removes the directory and the file; a failure ends the program. */
void gguf_fixture_open(void);
void gguf_fixture_close(void);

/* Empties the image and writes a header into it. */
void start_file(uint32_t version, uint64_t tensors, uint64_t keys);
void put_vector(const char *name, uint64_t length, uint32_t type, uint64_t offset);

/* One key of every type; three tensors, at 0, 32 and 192 of the DATA_SIZE bytes of the data section, the last of a type nobody
 * knows. */
enum { DATA_SIZE = 256 };
#define SAMPLE_TEXT "dimple" /* the value of the first key */
void build_sample(uint32_t version);

/* The file is the first `size` bytes of the image. */
void write_file(size_t size);

/* Writes the image and opens the file. */
dimple_status open_image(gguf_file **file);

/* The file of `image` is refused with a message that names the path and contains `text`. */
#define EXPECT_REFUSED(status, text)                  \
  do {                                                \
    gguf_file *refused = NULL;                        \
    EXPECT_FAILS(open_image(&refused), status, text); \
    EXPECT_FAILS(open_image(&refused), status, path); \
    EXPECT(refused == NULL, "output was set");        \
  } while (0)

#endif
