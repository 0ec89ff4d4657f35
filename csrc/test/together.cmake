# One program of all tests but those that stand apart: each source's `main` gets the test's name, and a generated one calls it.
set(declarations "")
set(entries "")
set(sources "")
foreach(source ${test_sources})
  get_filename_component(name ${source} NAME_WE)
  if(name IN_LIST apart)
    continue()
  endif()
  file(STRINGS ${source} takes_arguments REGEX "^int main\\(int ")
  if(takes_arguments)
    string(APPEND declarations "int ${name}(int, char **);\n")
    string(APPEND entries "    {\"${name}\", ${name}, NULL},\n")
  else()
    string(APPEND declarations "int ${name}(void);\n")
    string(APPEND entries "    {\"${name}\", NULL, ${name}},\n")
  endif()
  set_source_files_properties(${source} PROPERTIES COMPILE_DEFINITIONS main=${name})
  list(APPEND sources ${source})
endforeach()
file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/core_tests.c CONTENT [[
#include <stdio.h>
#include <string.h>

@declarations@
static const struct {
  const char *name;
  int (*with_arguments)(int, char **), (*alone)(void);
} tests[] = {
@entries@};

int main(int argc, char **argv) {
  for (size_t i = 0; argc > 1 && i < sizeof tests / sizeof *tests; i++)
    if (strcmp(argv[1], tests[i].name) == 0) return tests[i].alone ? tests[i].alone() : tests[i].with_arguments(argc - 1, argv + 1);
  fprintf(stderr, "usage: core_tests NAME_test [ARGUMENT...]\n");
  return 2;
}
]] @ONLY)
add_executable(core_tests ${sources} ${CMAKE_CURRENT_BINARY_DIR}/core_tests.c)
target_link_libraries(core_tests PRIVATE dimple_testing ${shared_core})
