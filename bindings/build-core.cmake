# Configures and builds the C core; called by Maven and quick when nothing has changed.
#   cmake -DSOURCE=csrc -DBUILD=folder -DTARGET=dimple|all ["-DSETTINGS=-DNAME=VALUE ..."] -P build-core.cmake
cmake_minimum_required(VERSION 3.20)

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    list(JOIN ARGN " " line)
    message(FATAL_ERROR "failed (${status}): ${line}")
  endif()
endfunction()

if(NOT SETTINGS)
  set(SETTINGS "-DCMAKE_BUILD_TYPE=Release -DDIMPLE_TESTS_TOGETHER=ON")
endif()
separate_arguments(SETTINGS)

# A configured folder keeps its generator; the build itself configures again when a CMakeLists.txt has changed.
if(NOT EXISTS ${BUILD}/build.ninja AND NOT EXISTS ${BUILD}/Makefile)
  find_program(ninja NAMES ninja ninja-build)
  if(ninja)
    set(generator Ninja)
  else()
    set(generator "Unix Makefiles")
  endif()
  run(${CMAKE_COMMAND} -S ${SOURCE} -B ${BUILD} -G ${generator} ${SETTINGS})
endif()

cmake_host_system_information(RESULT cores QUERY NUMBER_OF_LOGICAL_CORES)
run(${CMAKE_COMMAND} --build ${BUILD} --target ${TARGET} --parallel ${cores})
