/* What Linux and macOS have in common: POSIX. */
#include "platform/platform.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "error.h"

/* ---------------------------------------------------------------------------------------------------------- mapped files */

static int64_t nanoseconds(struct timespec t) { return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec; }

static platform_identity identity_of(const struct stat *s) {
#ifdef __APPLE__
  struct timespec modified = s->st_mtimespec, changed = s->st_ctimespec;
#else
  struct timespec modified = s->st_mtim, changed = s->st_ctim;
#endif
  return (platform_identity){(uint64_t)s->st_dev, (uint64_t)s->st_ino, s->st_size, nanoseconds(modified), nanoseconds(changed)};
}

dimple_status platform_map(const char *path, const char *expected, platform_mapping *out) {
  int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe is refused below, not waited for */
  if (descriptor < 0) return dimple_fail(DIMPLE_ERROR_IO, "%s: cannot open: %s", path, strerror(errno));
  struct stat status;
  dimple_status result = DIMPLE_OK;
  if (fstat(descriptor, &status) != 0)
    result = dimple_fail(DIMPLE_ERROR_IO, "%s: cannot be examined: %s", path, strerror(errno));
  else if (S_ISDIR(status.st_mode))
    result = dimple_fail(DIMPLE_ERROR_IO, "%s: is a directory, expected %s", path, expected);
  else if (!S_ISREG(status.st_mode))
    result = dimple_fail(DIMPLE_ERROR_IO, "%s: is not a regular file", path);
  else if (status.st_size == 0)
    result = dimple_fail(DIMPLE_ERROR_FORMAT, "%s: is empty, expected %s", path, expected);
  else {
    void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (bytes == MAP_FAILED)
      result = dimple_fail(DIMPLE_ERROR_IO, "%s: cannot map %" PRId64 " bytes: %s", path, (int64_t)status.st_size, strerror(errno));
    else
      *out = (platform_mapping){.bytes = bytes, .size = status.st_size, .identity = identity_of(&status), .descriptor = descriptor};
  }
  if (result != DIMPLE_OK) close(descriptor);
  return result;
}

void platform_unmap(platform_mapping *mapping) {
  if (mapping->bytes) {
    munmap((void *)mapping->bytes, (size_t)mapping->size);
    close(mapping->descriptor);
  }
  *mapping = (platform_mapping){0};
}

void platform_read(const platform_mapping *mapping, int64_t offset, int64_t size, void *target) {
  int64_t done = 0;
  for (ssize_t count = 1; count > 0 && done < size; done += count > 0 ? count : 0)
    do count = pread(mapping->descriptor, (char *)target + done, (size_t)(size - done), (off_t)(offset + done));
    while (count < 0 && errno == EINTR);
  memcpy((char *)target + done, mapping->bytes + offset + done, (size_t)(size - done));
}

void platform_release(const platform_mapping *mapping, int64_t offset, int64_t size) {
  int64_t page = sysconf(_SC_PAGESIZE);
  int64_t start = offset + (page - offset % page) % page, end = offset + size;
  end -= end % page;
  if (start < end) madvise((void *)(mapping->bytes + start), (size_t)(end - start), MADV_DONTNEED);
}

/* ---------------------------------------------------------------------------------------------------------- written files */

struct platform_writer {
  int descriptor;
  char *path, *partial; /* one allocation */
};

static void writer_free(platform_writer *w) {
  if (w->descriptor >= 0) close(w->descriptor); /* and unlocks it */
  free(w->path);
  free(w);
}

/* Whether the name is that of the open file: whoever held it before may have given it its final one. */
static bool is_named(const platform_writer *w) {
  struct stat open, named;
  return fstat(w->descriptor, &open) == 0 && stat(w->partial, &named) == 0 && open.st_dev == named.st_dev && open.st_ino == named.st_ino;
}

static const char *open_partial(platform_writer *w) {
  w->descriptor = open(w->partial, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
  if (w->descriptor < 0) return strerror(errno);
  if (flock(w->descriptor, LOCK_EX | LOCK_NB) != 0 || !is_named(w)) return "another process writes it";
  return ftruncate(w->descriptor, 0) == 0 ? NULL : strerror(errno); /* what a process left that was killed */
}

const char *platform_write_begin(const char *path, platform_writer **out) {
  static const char suffix[] = ".partial";
  size_t length = strlen(path);
  platform_writer *w = malloc(sizeof *w);
  if (!w) return strerror(ENOMEM);
  *w = (platform_writer){-1, malloc(2 * length + sizeof suffix + 1), NULL};
  if (!w->path) {
    writer_free(w);
    return strerror(ENOMEM);
  }
  memcpy(w->path, path, length + 1);
  w->partial = w->path + length + 1;
  memcpy(w->partial, path, length);
  memcpy(w->partial + length, suffix, sizeof suffix);
  const char *refusal = open_partial(w);
  if (refusal) {
    writer_free(w);
    return refusal;
  }
  *out = w;
  return NULL;
}

const char *platform_write(platform_writer *w, const void *bytes, int64_t size) {
  enum { AT_MOST = 1 << 30 }; /* a call takes no more than 2 GiB */
  const uint8_t *at = bytes;
  while (size > 0) {
    ssize_t written = write(w->descriptor, at, size < AT_MOST ? (size_t)size : AT_MOST);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return strerror(errno);
    at += written;
    size -= written;
  }
  return NULL;
}

const char *platform_write_end(platform_writer *w, bool keep) {
  const char *refusal = keep && rename(w->partial, w->path) != 0 ? strerror(errno) : NULL;
  if (!keep || refusal) unlink(w->partial);
  writer_free(w);
  return refusal;
}

/* ------------------------------------------------------------------------------------------------------------- libraries */

void *platform_library_open(const char *path) { return dlopen(path, RTLD_NOW | RTLD_LOCAL); }

void (*platform_library_function(void *library, const char *name))(void) {
  void *address = dlsym(library, name);
  void (*function)(void) = NULL;
  memcpy(&function, &address, sizeof function); /* POSIX has them alike, C does not */
  return function;
}

void platform_library_beside(const char *name, char *path, size_t capacity) {
#ifdef __APPLE__
  const char *suffix = "dylib";
#else
  const char *suffix = "so";
#endif
  static const char here;
  Dl_info of_this;
  const char *end = dladdr(&here, &of_this) && of_this.dli_fname ? strrchr(of_this.dli_fname, '/') : NULL;
  int folder = end ? (int)(end - of_this.dli_fname) + 1 : 0;
  snprintf(path, capacity, "%.*slib%s.%s", folder, folder ? of_this.dli_fname : "", name, suffix);
}

/* ------------------------------------------------------------------------------------------------------------------ clock */

int64_t platform_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return nanoseconds(t);
}

/* ---------------------------------------------------------------------------------------------------------------- threads */

struct platform_thread {
  pthread_t id;
  void (*run)(void *);
  void *argument;
};

struct platform_mutex {
  pthread_mutex_t system;
};

struct platform_condition {
  pthread_cond_t system;
};

static void *run_thread(void *thread) {
  platform_thread *t = thread;
  t->run(t->argument);
  return NULL;
}

const char *platform_thread_start(void (*run)(void *), void *argument, platform_thread **out) {
  platform_thread *thread = malloc(sizeof *thread);
  if (!thread) return strerror(ENOMEM);
  *thread = (platform_thread){.run = run, .argument = argument};
  sigset_t all, before; /* a thread begins with its maker's mask */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&thread->id, NULL, run_thread, thread);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error != 0) {
    free(thread);
    return strerror(error);
  }
  *out = thread;
  return NULL;
}

void platform_thread_join(platform_thread *thread) {
  pthread_join(thread->id, NULL);
  free(thread);
}

platform_mutex *platform_mutex_new(void) {
  platform_mutex *mutex = malloc(sizeof *mutex);
  if (mutex) pthread_mutex_init(&mutex->system, NULL);
  return mutex;
}

void platform_mutex_free(platform_mutex *mutex) {
  if (!mutex) return;
  pthread_mutex_destroy(&mutex->system);
  free(mutex);
}

void platform_mutex_lock(platform_mutex *mutex) { pthread_mutex_lock(&mutex->system); }

void platform_mutex_unlock(platform_mutex *mutex) { pthread_mutex_unlock(&mutex->system); }

platform_condition *platform_condition_new(void) {
  platform_condition *condition = malloc(sizeof *condition);
  if (condition) pthread_cond_init(&condition->system, NULL);
  return condition;
}

void platform_condition_free(platform_condition *condition) {
  if (!condition) return;
  pthread_cond_destroy(&condition->system);
  free(condition);
}

void platform_condition_wait(platform_condition *condition, platform_mutex *mutex) {
  pthread_cond_wait(&condition->system, &mutex->system);
}

void platform_condition_signal(platform_condition *condition) { pthread_cond_signal(&condition->system); }

void platform_condition_broadcast(platform_condition *condition) { pthread_cond_broadcast(&condition->system); }

void platform_yield(void) { sched_yield(); }
