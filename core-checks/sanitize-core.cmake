# Builds the C tests with sanitizers and runs them, behind whatever else runs; called by Maven after bindings/build-core.cmake, whose compiler it takes.
#   cmake -DSOURCE=csrc -DCORE=folder of the built core -DBUILD=folder to build in -P sanitize-core.cmake
# What the machine does not allow is left out, and a line says so: a compiler without the runtime, a system without what that asks for.
# Kernels of levels that this machine does not run are not built: they take a third of the time, and no test would come to them.
cmake_minimum_required(VERSION 3.20)
include(ProcessorCount)

load_cache(${CORE} READ_WITH_PREFIX core_ CMAKE_C_COMPILER)
set(ENV{CC} ${core_CMAKE_C_COMPILER})
ProcessorCount(cores)
set(build_core ${CMAKE_CURRENT_LIST_DIR}/../bindings/build-core.cmake)
find_program(nice nice)
if(nice)
  set(behind_others ${nice} -n 10)
endif()
set(probe ${CMAKE_CURRENT_LIST_DIR}/sanitize-probe.c)
file(MAKE_DIRECTORY ${BUILD})

# try(RESULT SANITIZERS FAULT...): whether a program under these sanitizers ends well, and does not with any of the faults. Otherwise
# RESULT is what stands against it.
function(try result sanitizers)
  string(MAKE_C_IDENTIFIER ${sanitizers} name)
  set(program ${BUILD}/probe-${name})
  execute_process(COMMAND ${core_CMAKE_C_COMPILER} -std=c11 -O1 -fsanitize=${sanitizers} -fno-sanitize-recover=all -pthread ${probe} -o ${program}
                  RESULT_VARIABLE status OUTPUT_VARIABLE said ERROR_VARIABLE said)
  if(NOT status EQUAL 0)
    set(${result} "${core_CMAKE_C_COMPILER} cannot build with them" PARENT_SCOPE)
    return()
  endif()
  execute_process(COMMAND ${program} none RESULT_VARIABLE status OUTPUT_VARIABLE said ERROR_VARIABLE said)
  if(NOT status EQUAL 0)
    string(STRIP "${said}" said)
    string(REGEX REPLACE "\n.*" "" said "${said}")
    set(${result} "a program without faults does not run (${status}): ${said}" PARENT_SCOPE)
    return()
  endif()
  foreach(fault ${ARGN})
    execute_process(COMMAND ${program} ${fault} RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET)
    if(status EQUAL 0)
      set(${result} "they do not notice a fault (${fault})" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  set(${result} "" PARENT_SCOPE)
endfunction()

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    list(JOIN ARGN " " line)
    message(FATAL_ERROR "failed (${status}): ${line}")
  endif()
endfunction()

# test(SANITIZERS TARGET LEVELS SELECTION...): builds the target, with kernels of the levels, and runs the tests of ctest's selection.
function(test sanitizers target levels)
  string(MAKE_C_IDENTIFIER ${sanitizers} name)
  set(settings "-DDIMPLE_SANITIZE=${sanitizers} -DDIMPLE_CPU_LEVELS=${levels}")
  if(target STREQUAL "all")
    string(APPEND settings " -DDIMPLE_TESTS_TOGETHER=ON")
  endif()
  run(${behind_others} ${CMAKE_COMMAND} -DSOURCE=${SOURCE} -DBUILD=${BUILD}/${name} -DTARGET=${target} "-DSETTINGS=${settings}" -P ${build_core})
  run(${behind_others} ${CMAKE_CTEST_COMMAND} --test-dir ${BUILD}/${name} --parallel ${cores} --output-on-failure ${ARGN})
endfunction()

execute_process(COMMAND ${CORE}/test/levels RESULT_VARIABLE status OUTPUT_VARIABLE levels OUTPUT_STRIP_TRAILING_WHITESPACE)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "${CORE}/test/levels failed (${status})")
endif()

string(REPLACE "," ";" all "${levels}")
list(GET all 0 best)
# What avx_vnni's kernels consist of is in those of the two others, at one width or the other.
if("avx512_vnni" IN_LIST all AND "avx2" IN_LIST all)
  list(REMOVE_ITEM all avx_vnni)
endif()
list(JOIN all "," levels)

# Freed memory comes back to use once this much more has been freed, dozens of models of the tests, and not 256 MiB: pages that nobody touched before take
# 6 to 9 hundredths of the time.
set(quarantine quarantine_size_mb=32)
if(NOT DEFINED ENV{ASAN_OPTIONS})
  set(ENV{ASAN_OPTIONS} ${quarantine})
endif()
set(sanitizers address,undefined)
try(against ${sanitizers} overflow overshift leak)
if(against AND "$ENV{ASAN_OPTIONS}" STREQUAL quarantine)
  # The search for lost memory stops the process as a debugger does, which not every container allows.
  set(ENV{ASAN_OPTIONS} ${quarantine}:detect_leaks=0)
  try(against_the_rest ${sanitizers} overflow overshift)
  if(NOT against_the_rest)
    message("Sanitizers: lost memory is not looked for: ${against}")
    set(against "")
  endif()
endif()
if(against)
  message("Sanitizers: ${sanitizers} left out: ${against}")
else()
  test(${sanitizers} all "${levels}" --label-exclude repeat)
endif()

set(sanitizers thread) # whose threads divide their work in the same way at every level
try(against ${sanitizers} race)
if(against)
  message("Sanitizers: ${sanitizers} left out: ${against}")
else()
  test(${sanitizers} thread_tests "${best}" --label-regex "^threads$")
endif()
