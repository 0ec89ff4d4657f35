#include "platform/platform.h"

/* Tasks are short, and nothing but their end is waited for. */
void platform_run_once(platform_once *once, void (*task)(void)) {
  enum { NOT_BEGUN, RUNNING, DONE };
  if (atomic_load(&once->state) == DONE) return;
  int expected = NOT_BEGUN;
  if (atomic_compare_exchange_strong(&once->state, &expected, RUNNING)) {
    task();
    atomic_store(&once->state, DONE);
  }
  while (atomic_load(&once->state) != DONE) platform_yield();
}
