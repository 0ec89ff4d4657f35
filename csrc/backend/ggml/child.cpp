/* A process that lends a device. Its standard input is a pipe of ours, which it reads to the end: that comes when this process ends, however it does. */
#include "child.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <system_error>
#include <thread>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct child {
  pid_t process = -1;
  int input = -1; /* of the child, the end that is written to */
};

namespace {

constexpr int start_seconds = 60; /* drivers take their time */
constexpr int tries = 5;          /* of ports: another process may take one before the child does */

std::string program() {
  const char *named = std::getenv("DIMPLE_GGML_SERVER");
  if (named && *named) return named;
  Dl_info here;
  std::string path = dladdr(reinterpret_cast<const void *>(&child_start), &here) && here.dli_fname ? here.dli_fname : "";
  size_t end = path.rfind('/');
  return path.substr(0, end == std::string::npos ? 0 : end + 1) + "dimple-ggml-server";
}

sockaddr_in local(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

/* One that is free now. -1: errno says why there is none. */
int free_port() {
  int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  if (socket < 0) return -1;
  sockaddr_in address = local(0);
  socklen_t size = sizeof address;
  bool found = bind(socket, reinterpret_cast<sockaddr *>(&address), size) == 0 && getsockname(socket, reinterpret_cast<sockaddr *>(&address), &size) == 0;
  close(socket);
  return found ? ntohs(address.sin_port) : -1;
}

bool answers(int port) {
  int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = local(port);
  bool connected = socket >= 0 && connect(socket, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0;
  if (socket >= 0) close(socket);
  return connected;
}

/* Starts the program with no signal blocked or ignored, and nothing of ours but the pipe. "": it runs. */
std::string start(child &c, const std::string &path, const std::string &device, int port) {
  int ends[2];
  if (pipe(ends) != 0) return std::string("no pipe: ") + std::strerror(errno);
  for (int end : ends) fcntl(end, F_SETFD, FD_CLOEXEC);
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  sigset_t none, all;
  std::string number = std::to_string(port);
  char *arguments[] = {const_cast<char *>(path.c_str()), const_cast<char *>(device.c_str()), const_cast<char *>(number.c_str()), nullptr};
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_adddup2(&files, ends[0], 0);
  posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  int error = posix_spawn(&c.process, path.c_str(), &files, &attributes, arguments, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  close(ends[0]);
  c.input = ends[1];
  if (error) c.process = -1;
  return error ? path + " cannot be started: " + std::strerror(error) : "";
}

std::string told(int status) {
  if (WIFSIGNALED(status)) return std::string("its process was ended by signal ") + std::to_string(WTERMSIG(status)) + " (" + strsignal(WTERMSIG(status)) + ")";
  return "its process ended with status " + std::to_string(WEXITSTATUS(status));
}

/* "": it still runs. */
std::string ended(child &c, int options) {
  int status;
  if (c.process < 0) return "";
  pid_t found;
  while ((found = waitpid(c.process, &status, options)) < 0 && errno == EINTR) continue;
  if (found == 0) return "";
  c.process = -1;
  return found < 0 ? "its process is not there any more" : told(status);
}

/* "": it answers. */
std::string await(child &c, int port) {
  using clock = std::chrono::steady_clock;
  for (clock::time_point end = clock::now() + std::chrono::seconds(start_seconds); clock::now() < end;) {
    if (std::string how = ended(c, WNOHANG); !how.empty()) return how;
    if (answers(port)) return ended(c, WNOHANG); /* and not another process at its port */
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return "its process gave no answer within " + std::to_string(start_seconds) + " s";
}

void finish(child &c, std::string &how) {
  if (c.process >= 0) kill(c.process, SIGKILL);
  if (std::string end = ended(c, 0); how.empty()) how = end;
  if (c.input >= 0) close(c.input);
  c.input = -1;
}

std::unique_ptr<child> try_ports(const std::string &device, int &port, std::string &how) {
  std::string path = program();
  for (int i = 0; i < tries; i++) {
    auto c = std::make_unique<child>();
    port = free_port();
    if (port < 0) {
      how = std::string("no port is free: ") + std::strerror(errno);
      return nullptr;
    }
    how = start(*c, path, device, port);
    if (how.empty()) how = await(*c, port);
    if (how.empty()) return c;
    bool hangs = c->process >= 0; /* another port would not help */
    finish(*c, how);
    if (hangs) break;
  }
  return nullptr;
}

}  // namespace

child *child_start(const char *name, int *port, char *why, size_t capacity) {
  std::string how;
  try {
    if (std::unique_ptr<child> c = try_ports(name, *port, how)) return c.release();
  } catch (const std::exception &e) { /* no memory */
    how = e.what();
  }
  std::snprintf(why, capacity, "%s", how.c_str());
  return nullptr;
}

void child_end(child *c, char *why, size_t capacity) {
  try {
    /* One that is about to end by itself, because of what broke the connection, gets the time to say how. */
    std::string how = ended(*c, WNOHANG);
    for (int i = 0; i < 200 && how.empty(); i++) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      how = ended(*c, WNOHANG);
    }
    bool itself = !how.empty();
    finish(*c, how);
    std::string text = itself ? how + "; " + why : std::string(why);
    std::snprintf(why, capacity, "%s", text.c_str());
  } catch (const std::exception &) { /* no memory: `why` stays as it is */
  }
  delete c;
}
