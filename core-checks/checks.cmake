# The C tests once more: on another processor, and under sanitizers. Called by Maven when the core is built and has passed its tests.
#   cmake -DSOURCE=csrc -DCORE=folder of the built core -DBUILD=folder to build in -DSKIP_SANITIZERS=true|false -P checks.cmake
cmake_minimum_required(VERSION 3.20)

function(check script)
  execute_process(COMMAND ${CMAKE_COMMAND} ${ARGN} -P ${script} RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "failed (${status}): ${script}")
  endif()
endfunction()

check(${SOURCE}/natives/verify-aarch64.cmake -DBUILD=${BUILD}/aarch64 -DHOST=${CORE})
if(NOT SKIP_SANITIZERS)
  check(${CMAKE_CURRENT_LIST_DIR}/sanitize-core.cmake -DSOURCE=${SOURCE} -DCORE=${CORE} -DBUILD=${BUILD}/sanitized)
endif()
