# Linux on aarch64, with Debian's cross compiler (gcc-aarch64-linux-gnu); tests run under qemu-user (qemu-user-static), where that is
# installed. QEMU_CPU in the environment names the processor it plays: max, neoverse-n1, cortex-a53, ...
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
find_program(qemu_aarch64 NAMES qemu-aarch64-static qemu-aarch64)
if(qemu_aarch64)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${qemu_aarch64} -L /usr/aarch64-linux-gnu)
endif()
