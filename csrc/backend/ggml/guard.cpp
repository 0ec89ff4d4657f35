/* The one file that is no C: exceptions are what GGML's frames can be left by. */
#include "guard.h"

#include "relay.h"

#include <ggml.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <exception>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#include <pthread.h>
#include <unistd.h>

namespace {

/* What abort becomes. */
struct given_up {};

thread_local int depth;
thread_local char reason[256];

void copy_line(char *target, size_t capacity, const char *text) {
  std::snprintf(target, capacity, "%s", text);
  for (char *c = target; *c; c++)
    if (*c == '\r' || *c == '\n') *c = ' ';
}

struct inside {
  inside() { depth++; }
  ~inside() { depth--; }
};

guard_end run(void (*body)(void *), void *argument) {
  inside here;
  try {
    body(argument);
    return GUARD_RETURNED;
  } catch (const std::bad_alloc &) {
    return GUARD_MEMORY;
  } catch (const given_up &) {
    return GUARD_FAILED;
  } catch (const std::exception &e) {
    copy_line(reason, sizeof reason, e.what());
    return GUARD_FAILED;
  }
}

/* ------------------------------------------------------------------------------------------------------------- servers */

/* A server's thread and the call that it is at. */
struct server {
  std::mutex calls; /* held by who calls */
  std::mutex state; /* of what follows */
  std::condition_variable changed;
  bool started = false, busy = false, lost = false;
  void (*body)(void *) = nullptr;
  void *argument = nullptr;
  guard_end end = GUARD_RETURNED;
  char why[sizeof reason] = "";
  std::thread::native_handle_type thread{};
};

/* Never destroyed: threads that were left behind outlive main. */
server *servers;

const char thread_name[] = "ggml-server-%d";

/* The threads that GGML starts for a connection have the name of the thread that made it, where names are inherited (Linux). */
void take_name(int index) {
#if defined(__linux__)
  char name[16];
  std::snprintf(name, sizeof name, thread_name, index);
  pthread_setname_np(pthread_self(), name);
#else
  (void)index;
#endif
}

/* Which server's connection the calling thread serves; GUARD_NO_SERVER: it is not known. */
int server_by_name() {
#if defined(__linux__)
  char name[16];
  int index = GUARD_NO_SERVER;
  if (pthread_getname_np(pthread_self(), name, sizeof name) == 0 && std::sscanf(name, thread_name, &index) == 1 && index >= 0 && index < GUARD_SERVERS)
    return index;
#endif
  return GUARD_NO_SERVER;
}

/* False: it was not at a call, and its name does not say that it is the one. */
bool lose(int index, bool named, const char *message) {
  server &s = servers[index];
  std::lock_guard<std::mutex> lock(s.state);
  if (!named && !s.busy) return false;
  if (!s.lost) copy_line(s.why, sizeof s.why, message);
  s.lost = true;
  s.changed.notify_all();
  return true;
}

/* ggml_abort is C, and compiled with tables to unwind it by where GGML is built as it is by default. */
void instead_of_abort(const char *message) {
  if (depth > 0) {
    copy_line(reason, sizeof reason, message);
    throw given_up();
  }
  int named = server_by_name();
  bool known = false;
  for (int i = 0; i < GUARD_SERVERS; i++)
    if (named == GUARD_NO_SERVER ? std::strstr(message, "rpc") != nullptr : named == i) known |= lose(i, named == i, message);
  while (known) pause();
  std::fprintf(stderr, "%s\n", message); /* another thread: the process ends */
}

/* No handlers of the process on this thread and those it starts, nor the signal of a broken connection. */
void take_no_signals() {
  sigset_t all;
  sigfillset(&all);
  for (int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) sigdelset(&all, number);
  pthread_sigmask(SIG_SETMASK, &all, nullptr);
}

void serve(int index) {
  server &s = servers[index];
  take_no_signals();
  take_name(index);
  std::unique_lock<std::mutex> lock(s.state);
  for (;;) {
    s.changed.wait(lock, [&] { return s.busy; });
    lock.unlock();
    guard_end end = run(s.body, s.argument);
    lock.lock();
    s.end = end;
    if (end == GUARD_FAILED) copy_line(s.why, sizeof s.why, reason);
    s.busy = false;
    s.changed.notify_all();
  }
}

/* Processor time of the server's thread; -1: the system does not say. */
long long time_of(server &s) {
#if defined(__linux__)
  clockid_t clock;
  timespec spent;
  if (pthread_getcpuclockid(s.thread, &clock) == 0 && clock_gettime(clock, &spent) == 0) return spent.tv_sec * 1000000000LL + spent.tv_nsec;
#else
  (void)s;
#endif
  return -1;
}

/* Waits for the end of a call whose connection has aborted: it returns, or it has come to wait for what will not come. That is so when it has used no
 * processor time for two seconds; where that is not known, or it waits by looking again and again, after ten. */
bool comes_back(server &s, std::unique_lock<std::mutex> &lock) {
  using clock = std::chrono::steady_clock;
  clock::time_point end = clock::now() + std::chrono::seconds(10), still = clock::now() + std::chrono::seconds(2);
  long long spent = time_of(s);
  while (s.busy && clock::now() < end) {
    s.changed.wait_for(lock, std::chrono::milliseconds(100));
    long long now = time_of(s);
    if (now < 0 || now != spent) still = clock::now() + std::chrono::seconds(2);
    spent = now;
    if (clock::now() >= still) break;
  }
  return !s.busy;
}

/* Waits for the end of the call, or that its connection aborts: a server that has been quiet for too long is cut off, and the connection aborts then. */
void watch(int index, server &s, std::unique_lock<std::mutex> &lock) {
  using clock = std::chrono::steady_clock;
  long long limit = relay_limit();
  clock::time_point start = clock::now();
  bool cut = false;
  auto is_over = [&] { return !s.busy || s.lost; };
  while (!s.changed.wait_for(lock, std::chrono::milliseconds(200), is_over)) {
    long long called = std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - start).count();
    if (cut || limit <= 0 || std::min(called, relay_quiet(index)) < limit) continue;
    char text[96];
    std::snprintf(text, sizeof text, "the server has given no answer for %lld s (DIMPLE_RPC_TIMEOUT)", limit / 1000);
    relay_cut(index, text);
    cut = true;
  }
}

guard_end run_there(int index, void (*body)(void *), void *argument, char *why, size_t capacity) {
  server &s = servers[index];
  std::lock_guard<std::mutex> alone(s.calls);
  std::unique_lock<std::mutex> lock(s.state);
  guard_end end = GUARD_FAILED;
  if (!s.lost) {
    if (!s.started) {
      std::thread thread(serve, index);
      s.thread = thread.native_handle();
      thread.detach();
      s.started = true;
    }
    s.body = body;
    s.argument = argument;
    s.busy = true;
    s.changed.notify_all();
    watch(index, s, lock);
    end = !s.lost ? s.end : comes_back(s, lock) ? GUARD_FAILED : GUARD_LEFT;
  }
  if (end == GUARD_FAILED || end == GUARD_LEFT) {
    relay_reason(index, why, capacity); /* says more than where GGML aborted */
    if (!*why) std::snprintf(why, capacity, "%s", s.why);
    relay_cut(index, "it is lost");
  }
  return end;
}

}  // namespace

void guard_install() {
  servers = new server[GUARD_SERVERS];
  ggml_set_abort_callback(instead_of_abort);
}

guard_end guard_run(int server, void (*body)(void *), void *argument, char *why, size_t capacity) {
  if (server == GUARD_NO_SERVER) {
    guard_end end = run(body, argument);
    if (end == GUARD_FAILED) std::snprintf(why, capacity, "%s", reason);
    return end;
  }
  try {
    return run_there(server, body, argument, why, capacity);
  } catch (const std::system_error &) { /* no thread */
    return GUARD_MEMORY;
  }
}

void guard_rest() { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }
