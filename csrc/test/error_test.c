/* The error message: one line, cut to its buffer, one a thread; and the version. */
#include "error.h"

#include "platform/platform.h"
#include "test/expect.h"

static void look_and_fail(void *found) {
  strcpy(found, dimple_last_error());
  dimple_fail(DIMPLE_ERROR_IO, "of the other thread");
}

static void a_message_is_the_threads_own(void) {
  char found[64] = "unread";
  platform_thread *thread;
  EXPECT(dimple_fail(DIMPLE_ERROR_LIMIT, "%s is %d", "x", 7) == DIMPLE_ERROR_LIMIT, "the status is handed on");
  EXPECT(!platform_thread_start(look_and_fail, found, &thread), "no thread");
  platform_thread_join(thread);
  EXPECT(found[0] == '\0', "a new thread has the message \"%s\"", found);
  EXPECT(strcmp(dimple_last_error(), "x is 7") == 0, "%s", dimple_last_error());
}

static void a_message_is_one_line(void) {
  dimple_fail(DIMPLE_ERROR_IO, "%s", "a\nb\tc\x7f\x01 \xc3\xa9");
  EXPECT(strcmp(dimple_last_error(), "a?b?c?? \xc3\xa9") == 0, "%s", dimple_last_error());
}

/* Names in files may be written for the terminal that shows them: ESC, C1's CSI, separators of lines, marks and overrides of direction. */
static void a_message_commands_no_terminal(void) {
  dimple_fail(DIMPLE_ERROR_IO, "%s", "\x1b[1m|\xc2\x9b|\xd8\x9c|\xe2\x80\x8e|\xe2\x80\xa8|\xe2\x80\xae|\xe2\x81\xa6|\xc2\xa0\xe2\x80\x8d\xe2\x81\xa0");
  EXPECT(strcmp(dimple_last_error(), "?[1m|\?\?|\?\?|\?\?\?|\?\?\?|\?\?\?|\?\?\?|\xc2\xa0\xe2\x80\x8d\xe2\x81\xa0") == 0, "%s", dimple_last_error());
}

/* What a file holds is any bytes: ends of characters without a beginning, surrogates, longer forms than needed. */
static void a_message_is_utf_8(void) {
  dimple_fail(DIMPLE_ERROR_IO, "%s", "\xff\xfe a\x80 \xed\xa0\x80 \xc0\xaf \xf4\x90\x80\x80 \xf0\x9f\x98\x80 \xe2\x82");
  EXPECT(strcmp(dimple_last_error(), "?? a? ??? ?? ???? \xf0\x9f\x98\x80 ??") == 0, "%s", dimple_last_error());
}

static void long_messages_are_cut(void) {
  static char text[5000];
  memset(text, 'x', sizeof text - 1);
  dimple_fail(DIMPLE_ERROR_IO, "%s", text);
  size_t length = strlen(dimple_last_error());
  EXPECT(length > 500 && length < sizeof text - 1 && strncmp(dimple_last_error(), text, length) == 0, "%zu characters", length);
}

static void memory_is_named(void) {
  EXPECT_FAILS(dimple_fail_memory(12345678901, "a test"), DIMPLE_ERROR_MEMORY, "cannot allocate 12345678901 bytes for a test");
}

int main(void) {
  EXPECT(dimple_last_error()[0] == '\0', "a message before any failure: %s", dimple_last_error());
  a_message_is_the_threads_own();
  a_message_is_one_line();
  a_message_commands_no_terminal();
  a_message_is_utf_8();
  long_messages_are_cut();
  memory_is_named();
  EXPECT(dimple_api_version() == DIMPLE_API_VERSION, "version %d", dimple_api_version());
  return expect_summary("error");
}
