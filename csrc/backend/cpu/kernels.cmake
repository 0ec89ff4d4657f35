# The CPU backends: portable code, and one translation unit per level of levels.cmake with its own compile flags. Nothing else may
# be compiled with such flags, and what is compiled so is called only after a run-time check (features.h of the family).
target_sources(dimple_core PRIVATE
  backend/cpu/pool.c
  backend/cpu/weight_memory.c
  backend/cpu/weights.c
  backend/cpu/code_panels.c
  backend/cpu/context.c
  backend/cpu/rows.c
  backend/cpu/linear.c
  backend/cpu/attention.c
  backend/cpu/route.c
  backend/cpu/experts.c
  backend/cpu/head.c
  backend/cpu/head_bias.c
  backend/cpu/head_classes.c
  backend/cpu/head_comparison.c
  backend/cpu/head_expected.c
  backend/cpu/head_list.c
  backend/cpu/operations.c
  backend/cpu/peaks.c
)

include(CheckCCompilerFlag)

# The family of the processor to build for, and what its levels share.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(cpu_family x86)
  target_sources(dimple_core PRIVATE
    backend/cpu/x86/features.c
    backend/cpu/x86/fixed_panels.c
  )
  if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    set(keep_order -fno-tree-ter -fno-tree-reassoc) # gcc would load and multiply so far ahead that sums leave their registers
  endif()
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64|ARM64)$")
  set(cpu_family arm)
  # How the compiler is told of extensions: gcc wants an architecture that they belong to, zig's clang takes processors alone.
  check_c_compiler_flag(-march=armv8.2-a DIMPLE_COMPILER_KNOWS_ARMV8)
  set(armv8 -mcpu=generic)
  if(DIMPLE_COMPILER_KNOWS_ARMV8)
    set(armv8 -march=armv8.2-a)
  endif()
  if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    set(keep_sums -fno-schedule-insns) # gcc would load so far ahead that sums leave their registers
  endif()
endif()

set(DIMPLE_CPU_LEVELS ALL CACHE STRING "Levels of backend/cpu/levels.cmake to build beside plain: ALL, or names with commas between them")
string(REPLACE "," ";" wanted_levels "${DIMPLE_CPU_LEVELS}")

# A line of levels.cmake: builds the kernels and adds LEVEL(name, shown name, whether the machine has it) to cpu_levels.
macro(cpu_level name family)
  cmake_parse_arguments(level "" "" "NEEDS;FLAGS" ${ARGN})
  string(REPLACE ";" " " flags "${level_FLAGS}")
  string(REPLACE ";" " | " needs "${level_NEEDS}")
  string(REPLACE "_" "-" shown_name ${name})
  string(TOUPPER ${name} macro)
  if(${family} STREQUAL ".")
    set(level_usable true)
    set(DIMPLE_COMPILER_KNOWS_${macro} TRUE)
    list(APPEND level_FLAGS ${DIMPLE_PLAIN_FLAGS}) # for counting: -march=armv8-a+nosimd leaves portable C no vectors
  elseif(${family} STREQUAL "${cpu_family}" AND (DIMPLE_CPU_LEVELS STREQUAL "ALL" OR ${name} IN_LIST wanted_levels))
    set(level_usable "${family}_has(${needs})")
    check_c_compiler_flag("${flags}" DIMPLE_COMPILER_KNOWS_${macro})
  else()
    set(DIMPLE_COMPILER_KNOWS_${macro} FALSE)
  endif()
  if(DIMPLE_COMPILER_KNOWS_${macro})
    target_sources(dimple_core PRIVATE backend/cpu/${family}/kernels_${name}.c)
    set_source_files_properties(backend/cpu/${family}/kernels_${name}.c PROPERTIES COMPILE_OPTIONS "${level_FLAGS};${fewer_checks}")
    string(APPEND cpu_levels " \\\n  LEVEL(${name}, \"cpu-${shown_name}\", ${level_usable})")
  endif()
endmacro()

# Two checks whose faults AddressSanitizer finds where they are used: in kernels, which are all addresses, they take half of the compiler's time.
if(DIMPLE_SANITIZE MATCHES "address" AND DIMPLE_SANITIZE MATCHES "undefined")
  set(fewer_checks -fno-sanitize=object-size,pointer-overflow)
endif()

include(backend/cpu/levels.cmake)

# What is built, for the C code.
if(cpu_family)
  set(cpu_features "#include \"backend/cpu/${cpu_family}/features.h\"\n\n")
endif()
file(CONFIGURE OUTPUT generated/cpu_levels.h CONTENT [[
/* Made from backend/cpu/levels.cmake: LEVEL(name, name of the backend, whether this machine has it), best first. */
@cpu_features@#define CPU_LEVELS(LEVEL)@cpu_levels@
]] @ONLY)
target_include_directories(dimple_core PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/generated)
