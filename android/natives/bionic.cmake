# aarch64 Android without its NDK: clang, lld, and Debian's headers for aarch64 (libc6-dev-arm64-cross). These are glibc's. Of what the core
# uses, the structs of the kernel (stat, timespec, cpu_set_t) are the same in Android's libc, bionic; those of the libraries
# (pthread_mutex_t, pthread_cond_t, pthread_attr_t, sigset_t) are at least as large in glibc, and zero where they are initialised; and
# names and numbers that differ are glibc_names.c's. build-natives says what else.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER ${DIMPLE_CLANG})
set(CMAKE_C_COMPILER_TARGET aarch64-linux-android34)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES DIMPLE_CLANG DIMPLE_STUBS)
# No function that only glibc has behind a name of the standard, no call of the compiler's own library; thread-local storage is the system's
# from API level 29 on.
string(JOIN " " CMAKE_C_FLAGS_INIT --sysroot=/nonexistent -isystem /usr/aarch64-linux-gnu/include -U_FORTIFY_SOURCE -Dsysconf=glibc_sysconf
  -mno-outline-atomics -fno-stack-protector -fno-emulated-tls)
# Pages may have 16 KiB from Android 15 on.
string(JOIN " " CMAKE_SHARED_LINKER_FLAGS_INIT -fuse-ld=lld -nostdlib -L${DIMPLE_STUBS} -Wl,-z,max-page-size=16384
  ${DIMPLE_STUBS}/glibc_names.o -lc)
# Threads are in libc itself.
set(CMAKE_HAVE_LIBC_PTHREAD TRUE)
