/* Windows 10 and newer. */
#include "platform/platform.h"

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <inttypes.h>
#include <malloc.h>
#include <process.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

/* What the system says about an error, as one line of UTF-8 that holds until the calling thread's next call. */
static const char *error_text(DWORD error) {
  static _Thread_local char text[512];
  WCHAR wide[256];
  DWORD flags = FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS | FORMAT_MESSAGE_MAX_WIDTH_MASK; /* the mask: no line ends */
  DWORD length = FormatMessageW(flags, NULL, error, 0, wide, sizeof wide / sizeof *wide, NULL);
  while (length > 0 && (wide[length - 1] == L' ' || wide[length - 1] == L'.')) length--;
  int bytes = WideCharToMultiByte(CP_UTF8, 0, wide, (int)length, text, sizeof text - 1, NULL, NULL);
  if (length == 0 || bytes == 0) return "an error of the system that it has no text for";
  text[bytes] = '\0';
  return text;
}

/* ---------------------------------------------------------------------------------------------------------- mapped files */

/* A path as Windows takes it: UTF-16, and more than 260 characters (MAX_PATH) only of a full path with a prefix; a device's or another machine's
 * (which begin with two strokes) stays as it is. Null: the system's last error says why. */
static WCHAR *wide_path(const char *path) {
  static const WCHAR prefix[] = L"\\\\?\\";
  enum { PREFIX = 4, LONGEST = 32767 };
  WCHAR *wide = malloc(sizeof *wide * LONGEST), *full = malloc(sizeof *full * (PREFIX + LONGEST)), *taken = NULL;
  if (!wide || !full) {
    SetLastError(ERROR_NOT_ENOUGH_MEMORY);
  } else if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, LONGEST) > 0) {
    DWORD length = GetFullPathNameW(wide, LONGEST, full + PREFIX, NULL);
    bool local = length > 2 && length < LONGEST && full[PREFIX + 1] == L':';
    if (local) memcpy(full, prefix, PREFIX * sizeof *full);
    taken = local ? full : wide;
  }
  DWORD error = GetLastError();
  if (taken != wide) free(wide);
  if (taken != full) free(full);
  SetLastError(error);
  return taken;
}

static HANDLE create_file(const char *path, DWORD access, DWORD share, DWORD disposition) {
  WCHAR *wide = wide_path(path);
  HANDLE file = wide ? CreateFileW(wide, access, share, NULL, disposition, FILE_FLAG_BACKUP_SEMANTICS, NULL) : INVALID_HANDLE_VALUE;
  DWORD error = GetLastError();
  free(wide);
  SetLastError(error);
  return file;
}

/* Opens a file for reading, a directory as well. */
static HANDLE open_file(const char *path) {
  return create_file(path, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, OPEN_EXISTING);
}

static int64_t joined(DWORD high, DWORD low) { return (int64_t)((uint64_t)high << 32 | low); }

static platform_identity identity_of(HANDLE file, const BY_HANDLE_FILE_INFORMATION *facts) {
  FILE_BASIC_INFO times = {0};
  GetFileInformationByHandleEx(file, FileBasicInfo, &times, sizeof times); /* a file system that does not say leaves zeros */
  return (platform_identity){facts->dwVolumeSerialNumber, (uint64_t)joined(facts->nFileIndexHigh, facts->nFileIndexLow),
                             joined(facts->nFileSizeHigh, facts->nFileSizeLow), times.LastWriteTime.QuadPart, times.ChangeTime.QuadPart};
}

/* Maps an open file that is known to be a regular one and not empty. */
static dimple_status map_open(HANDLE file, const char *path, int64_t size, platform_mapping *out) {
  HANDLE section = CreateFileMappingW(file, NULL, PAGE_READONLY, 0, 0, NULL);
  const void *bytes = section ? MapViewOfFile(section, FILE_MAP_READ, 0, 0, 0) : NULL;
  DWORD error = GetLastError();
  if (section) CloseHandle(section); /* the view holds it */
  if (!bytes) return dimple_fail(DIMPLE_ERROR_IO, "%s: cannot map %" PRId64 " bytes: %s", path, size, error_text(error));
  *out = (platform_mapping){.bytes = bytes, .size = size};
  return DIMPLE_OK;
}

dimple_status platform_map(const char *path, const char *expected, platform_mapping *out) {
  HANDLE file = open_file(path);
  if (file == INVALID_HANDLE_VALUE) return dimple_fail(DIMPLE_ERROR_IO, "%s: cannot open: %s", path, error_text(GetLastError()));
  BY_HANDLE_FILE_INFORMATION facts;
  dimple_status result;
  if (GetFileType(file) != FILE_TYPE_DISK)
    result = dimple_fail(DIMPLE_ERROR_IO, "%s: is not a regular file", path);
  else if (!GetFileInformationByHandle(file, &facts))
    result = dimple_fail(DIMPLE_ERROR_IO, "%s: cannot be examined: %s", path, error_text(GetLastError()));
  else if (facts.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY)
    result = dimple_fail(DIMPLE_ERROR_IO, "%s: is a directory, expected %s", path, expected);
  else if (facts.nFileSizeHigh == 0 && facts.nFileSizeLow == 0)
    result = dimple_fail(DIMPLE_ERROR_FORMAT, "%s: is empty, expected %s", path, expected);
  else
    result = map_open(file, path, joined(facts.nFileSizeHigh, facts.nFileSizeLow), out);
  if (result == DIMPLE_OK) out->identity = identity_of(file, &facts);
  CloseHandle(file);
  return result;
}

void platform_unmap(platform_mapping *mapping) {
  if (mapping->bytes) UnmapViewOfFile(mapping->bytes);
  *mapping = (platform_mapping){0};
}

void platform_read(const platform_mapping *mapping, int64_t offset, int64_t size, void *target) {
  memcpy(target, mapping->bytes + offset, (size_t)size);
}

/* Unlocking pages that are not locked takes them out of the process's working set; that it then fails is documented, too. */
void platform_release(const platform_mapping *mapping, int64_t offset, int64_t size) {
  SYSTEM_INFO system;
  GetSystemInfo(&system);
  int64_t page = system.dwPageSize;
  int64_t start = offset + (page - offset % page) % page, end = offset + size;
  end -= end % page;
  if (start < end) VirtualUnlock((void *)(mapping->bytes + start), (size_t)(end - start));
}

/* ---------------------------------------------------------------------------------------------------------- written files */

struct platform_writer {
  HANDLE file;
  char *path, *partial; /* one allocation */
};

static void writer_free(platform_writer *w) {
  if (w->file != INVALID_HANDLE_VALUE) CloseHandle(w->file);
  free(w->path);
  free(w);
}

const char *platform_write_begin(const char *path, platform_writer **out) {
  static const char suffix[] = ".partial";
  size_t length = strlen(path);
  platform_writer *w = malloc(sizeof *w);
  if (!w) return error_text(ERROR_NOT_ENOUGH_MEMORY);
  *w = (platform_writer){INVALID_HANDLE_VALUE, malloc(2 * length + sizeof suffix + 1), NULL};
  if (w->path) {
    memcpy(w->path, path, length + 1);
    w->partial = w->path + length + 1;
    memcpy(w->partial, path, length);
    memcpy(w->partial + length, suffix, sizeof suffix);
    w->file = create_file(w->partial, GENERIC_WRITE, 0, CREATE_ALWAYS); /* of no other process, and without what a killed one left */
    if (w->file != INVALID_HANDLE_VALUE) {
      *out = w;
      return NULL;
    }
  }
  const char *refusal = error_text(w->path ? GetLastError() : ERROR_NOT_ENOUGH_MEMORY);
  writer_free(w);
  return refusal;
}

const char *platform_write(platform_writer *w, const void *bytes, int64_t size) {
  enum { AT_MOST = 1 << 30 };
  const uint8_t *at = bytes;
  for (DWORD written; size > 0; at += written, size -= written)
    if (!WriteFile(w->file, at, (DWORD)(size < AT_MOST ? size : AT_MOST), &written, NULL)) return error_text(GetLastError());
  return NULL;
}

const char *platform_write_end(platform_writer *w, bool keep) {
  const char *refusal = NULL;
  CloseHandle(w->file);
  w->file = INVALID_HANDLE_VALUE;
  WCHAR *from = wide_path(w->partial), *to = wide_path(w->path);
  if (keep && !(from && to && MoveFileExW(from, to, MOVEFILE_REPLACE_EXISTING))) refusal = error_text(GetLastError());
  if (from && (!keep || refusal)) DeleteFileW(from);
  free(from);
  free(to);
  writer_free(w);
  return refusal;
}

/* ------------------------------------------------------------------------------------------------------------- libraries */

void *platform_library_open(const char *path) {
  wchar_t wide[MAX_PATH];
  if (!MultiByteToWideChar(CP_UTF8, 0, path, -1, wide, MAX_PATH)) return NULL;
  return (void *)LoadLibraryW(wide);
}

void (*platform_library_function(void *library, const char *name))(void) {
  FARPROC address = GetProcAddress((HMODULE)library, name);
  void (*function)(void) = NULL;
  memcpy(&function, &address, sizeof function);
  return function;
}

void platform_library_beside(const char *name, char *path, size_t capacity) {
  static const char here;
  HMODULE this_one;
  wchar_t wide[MAX_PATH];
  char file[3 * MAX_PATH] = "";
  if (GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT, (LPCWSTR)(const void *)&here, &this_one)) {
    DWORD length = GetModuleFileNameW(this_one, wide, MAX_PATH);
    if (length > 0 && length < MAX_PATH) WideCharToMultiByte(CP_UTF8, 0, wide, -1, file, sizeof file, NULL, NULL);
  }
  char *end = strrchr(file, '\\');
  snprintf(path, capacity, "%.*s%s.dll", end ? (int)(end - file) + 1 : 0, file, name);
}

/* -------------------------------------------------------------------------------------------------------- aligned memory */

/* Large pages are for those who hold a privilege that users are not given, so none are asked for. Not every C library of Windows (wine's
 * does not) notices that the sum of both sizes overflows. */
void *platform_allocate(size_t bytes, size_t alignment) {
  bytes = bytes ? bytes : alignment;
  return bytes > SIZE_MAX - 2 * (size_t)PLATFORM_LARGE_PAGE ? NULL : _aligned_malloc(bytes, alignment);
}

void platform_free(void *memory) { _aligned_free(memory); }

/* ------------------------------------------------------------------------------------------------- processors and clocks */

int64_t platform_memory_available(void) {
  MEMORYSTATUSEX status = {.dwLength = sizeof status};
  return GlobalMemoryStatusEx(&status) ? (int64_t)status.ullAvailPhys : INT64_MAX;
}

/* The masks are of one group of at most 64 processors, and zero in a process that has threads in several. */
int32_t platform_processor_count(void) {
  DWORD_PTR allowed, all;
  if (GetProcessAffinityMask(GetCurrentProcess(), &allowed, &all) && allowed) return (int32_t)__builtin_popcountll(allowed);
  DWORD active = GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
  return active < 1 ? 1 : (int32_t)active;
}

/* Not asked for: no machine was at hand to try it on. */
bool platform_permit_amx(void) { return false; }

/* There is no build for Windows on ARM. */
uint32_t platform_arm_features(void) { return 0; }

/* The counter runs at 10 MHz on today's systems: seconds and the rest apart, so that the product stays within 64 bits. */
int64_t platform_now(void) {
  LARGE_INTEGER ticks, rate;
  QueryPerformanceFrequency(&rate);
  QueryPerformanceCounter(&ticks);
  return ticks.QuadPart / rate.QuadPart * 1000000000 + ticks.QuadPart % rate.QuadPart * 1000000000 / rate.QuadPart;
}

/* ---------------------------------------------------------------------------------------------------------------- threads */

struct platform_thread {
  HANDLE handle;
  void (*run)(void *);
  void *argument;
};

struct platform_mutex {
  SRWLOCK system;
};

struct platform_condition {
  CONDITION_VARIABLE system;
};

static unsigned __stdcall run_thread(void *thread) {
  platform_thread *t = thread;
  t->run(t->argument);
  return 0;
}

/* There are no signals to keep away. */
const char *platform_thread_start(void (*run)(void *), void *argument, platform_thread **out) {
  platform_thread *thread = malloc(sizeof *thread);
  if (!thread) return error_text(ERROR_NOT_ENOUGH_MEMORY);
  *thread = (platform_thread){.run = run, .argument = argument};
  thread->handle = (HANDLE)_beginthreadex(NULL, 0, run_thread, thread, 0, NULL);
  if (!thread->handle) {
    DWORD error = _doserrno;
    free(thread);
    return error_text(error);
  }
  *out = thread;
  return NULL;
}

void platform_thread_join(platform_thread *thread) {
  WaitForSingleObject(thread->handle, INFINITE);
  CloseHandle(thread->handle);
  free(thread);
}

platform_mutex *platform_mutex_new(void) {
  platform_mutex *mutex = malloc(sizeof *mutex);
  if (mutex) InitializeSRWLock(&mutex->system);
  return mutex;
}

void platform_mutex_free(platform_mutex *mutex) { free(mutex); }

void platform_mutex_lock(platform_mutex *mutex) { AcquireSRWLockExclusive(&mutex->system); }

void platform_mutex_unlock(platform_mutex *mutex) { ReleaseSRWLockExclusive(&mutex->system); }

platform_condition *platform_condition_new(void) {
  platform_condition *condition = malloc(sizeof *condition);
  if (condition) InitializeConditionVariable(&condition->system);
  return condition;
}

void platform_condition_free(platform_condition *condition) { free(condition); }

void platform_condition_wait(platform_condition *condition, platform_mutex *mutex) {
  SleepConditionVariableSRW(&condition->system, &mutex->system, INFINITE, 0);
}

void platform_condition_signal(platform_condition *condition) { WakeConditionVariable(&condition->system); }

void platform_condition_broadcast(platform_condition *condition) { WakeAllConditionVariable(&condition->system); }

void platform_yield(void) { SwitchToThread(); }
