/* A program that is without faults (argument `none`) or has one that a sanitizer must notice. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static int shared;

static void *count(void *argument) {
  (void)argument;
  shared++;
  return NULL;
}

int main(int count_of_arguments, char **arguments) {
  if (count_of_arguments != 2) return 2;
  const char *fault = arguments[1];
  volatile int size = 32;
  char *volatile memory = calloc((size_t)size, 1);
  pthread_t thread;
  if (!memory || pthread_create(&thread, NULL, count, NULL)) return 2;
  if (!strcmp(fault, "race")) shared++;
  pthread_join(thread, NULL);
  if (!strcmp(fault, "overflow")) memory[size] = 1;
  if (!strcmp(fault, "overshift")) shared = 1 << size;
  if (strcmp(fault, "leak")) free(memory);
  memory = NULL;
  return 0;
}
