# Runs the C core's tests, as many at a time as the machine has cores; called by Maven after build-core.cmake.
#   cmake -DBUILD=folder of the built core -P test-core.cmake
cmake_minimum_required(VERSION 3.20)
cmake_host_system_information(RESULT cores QUERY NUMBER_OF_LOGICAL_CORES)
execute_process(COMMAND ${CMAKE_CTEST_COMMAND} --test-dir ${BUILD} --parallel ${cores} --output-on-failure RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "tests of the core failed (${status})")
endif()
