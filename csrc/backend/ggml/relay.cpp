/* One thread per server. What is read on one side waits in a buffer until the other side takes it. */
#include "relay.h"

#include "guard.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

constexpr int connect_milliseconds = 10000;
constexpr int dead_seconds = 30; /* after which a machine that acknowledges nothing is given up */
constexpr size_t most_bytes = 256 << 10;

long long now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/* A file descriptor. */
struct descriptor {
  int number;
  explicit descriptor(int n = -1) : number(n) {}
  descriptor(descriptor &&other) noexcept : number(other.number) { other.number = -1; }
  descriptor &operator=(descriptor &&other) noexcept {
    std::swap(number, other.number);
    return *this;
  }
  descriptor(const descriptor &) = delete;
  descriptor &operator=(const descriptor &) = delete;
  ~descriptor() {
    if (number >= 0) close(number);
  }
};

/* What was read from one side and not yet taken by the other. */
struct channel {
  std::vector<char> bytes = std::vector<char>(most_bytes);
  size_t first = 0, end = 0;
  bool ended = false; /* nothing more is read */
  bool empty() const { return first == end; }
};

struct connection {
  descriptor near, far;
  channel up, down; /* from GGML to the server, and back */
};

struct relay {
  descriptor listener, waker, woken; /* a byte in the pipe: something is to be looked at */
  descriptor spare;                  /* connected to the server, for GGML's first connection */
  std::string endpoint;
  std::vector<std::unique_ptr<connection>> connections;
  std::atomic<long long> heard{0};
  std::atomic<bool> cut{false};
  std::mutex state; /* of `reason` */
  std::string reason;
};

/* Never destroyed: their threads outlive main. */
std::atomic<relay *> relays[GUARD_SERVERS];

void give_reason(relay &r, const std::string &text) {
  std::lock_guard<std::mutex> lock(r.state);
  if (r.reason.empty()) r.reason = text;
}

void set_option(int socket, int level, int name, int value) { setsockopt(socket, level, name, &value, sizeof value); }

void make_ready(int socket) {
  fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) | O_NONBLOCK);
  fcntl(socket, F_SETFD, FD_CLOEXEC);
  set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);
#if defined(SO_NOSIGPIPE)
  set_option(socket, SOL_SOCKET, SO_NOSIGPIPE, 1);
#endif
}

/* The system gives up on a machine that has gone while we wait for it. (A limit for what is on its way would also end a server's connection that
 * computes and reads nothing meanwhile.) */
void expect_signs_of_life(int socket) {
  set_option(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
#if defined(TCP_KEEPIDLE)
  set_option(socket, IPPROTO_TCP, TCP_KEEPIDLE, dead_seconds / 3);
  set_option(socket, IPPROTO_TCP, TCP_KEEPINTVL, dead_seconds / 6);
  set_option(socket, IPPROTO_TCP, TCP_KEEPCNT, 4);
#endif
}

/* "" where it succeeds. */
std::string connect_to(const addrinfo &address, descriptor &out) {
  descriptor socket(::socket(address.ai_family, SOCK_STREAM, 0));
  if (socket.number < 0) return std::strerror(errno);
  make_ready(socket.number);
  expect_signs_of_life(socket.number);
  if (connect(socket.number, address.ai_addr, address.ai_addrlen) != 0) {
    if (errno != EINPROGRESS) return std::strerror(errno);
    pollfd waited{socket.number, POLLOUT, 0};
    if (poll(&waited, 1, connect_milliseconds) < 1) return "no answer within " + std::to_string(connect_milliseconds / 1000) + " s";
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(socket.number, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) return std::strerror(error);
  }
  out = std::move(socket);
  return "";
}

std::string connect_to(const std::string &endpoint, descriptor &out) {
  size_t colon = endpoint.rfind(':');
  std::string host = endpoint.substr(0, colon), port = endpoint.substr(colon + 1), why = "it has no address";
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  addrinfo wanted{}, *found = nullptr;
  wanted.ai_socktype = SOCK_STREAM;
  if (int error = getaddrinfo(host.c_str(), port.c_str(), &wanted, &found)) return std::string("host ") + host + ": " + gai_strerror(error);
  for (const addrinfo *address = found; address && !why.empty(); address = address->ai_next) why = connect_to(*address, out);
  freeaddrinfo(found);
  return why;
}

/* Reads what is there; false: the connection has ended, and errno says why, 0 that it was closed. */
bool take(int socket, channel &c) {
  if (c.empty()) c.first = c.end = 0;
  if (c.end == c.bytes.size()) return true;
  ssize_t count = recv(socket, c.bytes.data() + c.end, c.bytes.size() - c.end, 0);
  if (count > 0) c.end += static_cast<size_t>(count);
  if (count == 0) errno = 0;
  return count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR));
}

bool give(int socket, channel &c) {
#if defined(MSG_NOSIGNAL)
  constexpr int flags = MSG_NOSIGNAL;
#else
  constexpr int flags = 0;
#endif
  ssize_t count = send(socket, c.bytes.data() + c.first, c.end - c.first, flags);
  if (count > 0) c.first += static_cast<size_t>(count);
  return count >= 0 || errno == EAGAIN || errno == EINTR;
}

/* False: it is over. */
bool pass_on(relay &r, connection &c, short near_events, short far_events) {
  constexpr short readable = POLLIN | POLLHUP | POLLERR;
  if (far_events & readable) {
    r.heard = now();
    if (!take(c.far.number, c.down)) {
      give_reason(r, errno ? std::string("the connection broke: ") + std::strerror(errno) : std::string("the server closed the connection"));
      c.down.ended = true;
    }
  }
  if ((near_events & readable) && !take(c.near.number, c.up)) return false;
  if (!c.up.empty() && (far_events & POLLOUT)) {
    r.heard = now();
    if (!give(c.far.number, c.up)) {
      give_reason(r, std::string("the connection broke: ") + std::strerror(errno));
      return false;
    }
  }
  if (!c.down.empty() && !give(c.near.number, c.down)) return false;
  return !c.down.ended || !c.down.empty();
}

void accept_one(relay &r) {
  descriptor near(accept(r.listener.number, nullptr, nullptr));
  if (near.number < 0) return;
  auto c = std::make_unique<connection>();
  make_ready(near.number);
  c->near = std::move(near);
  if (r.spare.number >= 0) {
    c->far = std::move(r.spare);
  } else if (std::string why = connect_to(r.endpoint, c->far); !why.empty()) {
    give_reason(r, why);
    return;
  }
  r.heard = now();
  r.connections.push_back(std::move(c));
}

/* Until the relay is cut. */
void pass_all(relay &r) {
  while (!r.cut) {
    std::vector<pollfd> waited{{r.listener.number, POLLIN, 0}, {r.woken.number, POLLIN, 0}};
    for (const auto &c : r.connections) {
      auto reads = [](const channel &from) { return static_cast<short>(from.empty() || from.end < from.bytes.size() ? POLLIN : 0); };
      auto events = [&](const channel &from, const channel &to) { return static_cast<short>(reads(from) | (to.empty() ? 0 : POLLOUT)); };
      waited.push_back({c->near.number, events(c->up, c->down), 0});
      waited.push_back({c->down.ended ? -1 : c->far.number, events(c->down, c->up), 0});
    }
    if (poll(waited.data(), waited.size(), -1) < 0 && errno != EINTR) break;
    size_t count = r.connections.size(), kept = 0;
    for (size_t i = 0; i < count; i++) {
      if (pass_on(r, *r.connections[i], waited[2 + 2 * i].revents, waited[3 + 2 * i].revents)) std::swap(r.connections[kept++], r.connections[i]);
    }
    r.connections.resize(kept);
    if (waited[0].revents & POLLIN) accept_one(r);
  }
}

void run(relay &r) {
  sigset_t all;
  sigfillset(&all);
  for (int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) sigdelset(&all, number);
  pthread_sigmask(SIG_SETMASK, &all, nullptr);
  try {
    pass_all(r);
  } catch (const std::exception &e) { /* no memory */
    give_reason(r, e.what());
  }
  r.connections.clear();
  r.listener = descriptor();
  r.spare = descriptor();
}

/* A port of this machine alone. -1: errno says why not. */
int listen_here(descriptor &out) {
  descriptor socket(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  socklen_t size = sizeof address;
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (socket.number < 0 || bind(socket.number, reinterpret_cast<sockaddr *>(&address), size) != 0 || listen(socket.number, 8) != 0 ||
      getsockname(socket.number, reinterpret_cast<sockaddr *>(&address), &size) != 0)
    return -1;
  make_ready(socket.number);
  out = std::move(socket);
  return ntohs(address.sin_port);
}

int open_relay(int server, const char *endpoint, std::string &why) {
  auto r = std::make_unique<relay>();
  int ends[2];
  r->endpoint = endpoint;
  why = connect_to(r->endpoint, r->spare);
  if (!why.empty()) return -1;
  int port = listen_here(r->listener);
  if (port < 0 || pipe(ends) != 0) {
    why = std::string("no connection within this machine: ") + std::strerror(errno);
    return -1;
  }
  r->woken = descriptor(ends[0]);
  r->waker = descriptor(ends[1]);
  for (int end : ends) fcntl(end, F_SETFD, FD_CLOEXEC);
  r->heard = now();
  std::thread(run, std::ref(*r)).detach();
  relays[server] = r.release();
  return port;
}

}  // namespace

int relay_open(int server, const char *endpoint, char *why, size_t capacity) {
  std::string text;
  int port = -1;
  try {
    port = open_relay(server, endpoint, text);
  } catch (const std::exception &e) { /* no memory, no thread */
    text = e.what();
  }
  if (port < 0) std::snprintf(why, capacity, "%s", text.c_str());
  return port;
}

long long relay_quiet(int server) {
  const relay *r = relays[server];
  return r ? now() - r->heard : 0;
}

void relay_cut(int server, const char *reason) {
  relay *r = relays[server];
  if (!r) return;
  give_reason(*r, reason);
  r->cut = true;
  if (write(r->waker.number, "", 1) < 0) std::perror("relay");
}

void relay_reason(int server, char *reason, size_t capacity) {
  relay *r = server >= 0 ? relays[server].load() : nullptr;
  if (capacity) *reason = '\0';
  if (!r) return;
  std::lock_guard<std::mutex> lock(r->state);
  std::snprintf(reason, capacity, "%s", r->reason.c_str());
}

long long relay_limit() {
  const char *text = std::getenv("DIMPLE_RPC_TIMEOUT");
  char *end;
  if (!text || !*text) return 600 * 1000;
  errno = 0;
  long seconds = std::strtol(text, &end, 10);
  return errno || *end || seconds < 0 || seconds > 1000000 ? -1 : seconds * 1000LL;
}
