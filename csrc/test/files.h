/* Temporary files, the environment, and what else the tests ask of the system that neither C nor platform/ has. */
#ifndef DIMPLE_TEST_FILES_H
#define DIMPLE_TEST_FILES_H

#include <stdbool.h>
#include <stdio.h>

enum { FILE_PATH = 64 };

/* A new, empty file or folder of its own in TMPDIR, or /tmp without one; the program ends when there can be none. */
void new_file(char path[FILE_PATH]);
void new_folder(char path[FILE_PATH]);

/* The path of a file in a folder, until four more are asked for. */
const char *path_in(const char *folder, const char *name);

/* A file of that text; the program ends when there can be none. */
void write_text(const char *path, const char *text);

/* A file of test/data, to be read; the program ends when there is none. */
FILE *open_data(const char *name);

/* Names are UTF-8, of any length, in the next three. */

/* Makes a folder within one of those; false: it cannot be made. */
bool make_folder(const char *path);
void remove_folder(const char *path); /* an empty one; files are removed by C's remove() */

/* Gives a file another name; false: it cannot be done. */
bool move_file(const char *from, const char *to);

/* A pipe with a name; false where the system has none in folders. */
bool make_pipe(const char *path);

/* The file that is always empty. */
extern const char null_device[];

/* Null takes the variable away. */
void set_environment(const char *name, const char *value);

#endif
