/*
 * dimple-ggml-server DEVICE PORT: lends a device of GGML's to whoever connects to the port of 127.0.0.1, by GGML's own protocol, until standard input
 * ends. libdimple-ggml starts it for a device that is named `child:ggml:DEVICE`, and holds the other end.
 */
#include <ggml-backend.h>
#include <ggml.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include <unistd.h>

/* As GGML offers it under its name. */
using start_server = void (*)(const char *endpoint, const char *cache, size_t threads, size_t device_count, ggml_backend_dev_t *devices);

/* When nobody holds the other end any more, nobody needs this. */
static void end_with_parent() {
  char byte;
  for (;;) {
    ssize_t count = read(STDIN_FILENO, &byte, 1);
    if (count == 0 || (count < 0 && errno != EINTR)) _exit(0);
  }
}

static int fail(const std::string &text) {
  std::fprintf(stderr, "dimple-ggml-server: %s\n", text.c_str());
  return 1;
}

int main(int argc, char **argv) {
  if (argc != 3) return fail("usage: dimple-ggml-server DEVICE PORT"), 2;
  std::thread(end_with_parent).detach();
  ggml_backend_load_all();
  ggml_backend_dev_t device = ggml_backend_dev_by_name(argv[1]);
  if (!device) return fail(std::string("GGML has no device ") + argv[1]);
  ggml_backend_reg_t rpc = ggml_backend_reg_by_name("RPC");
  auto start = rpc ? reinterpret_cast<start_server>(ggml_backend_reg_get_proc_address(rpc, "ggml_backend_rpc_start_server")) : nullptr;
  if (!start) return fail("this GGML has no RPC backend");
  size_t threads = std::thread::hardware_concurrency();
  start((std::string("127.0.0.1:") + argv[2]).c_str(), nullptr, threads ? threads : 1, 1, &device);
  return fail(std::string("port ") + argv[2] + " cannot be listened at");
}
