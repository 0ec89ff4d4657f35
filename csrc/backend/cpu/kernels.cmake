# The CPU backends: portable code, and one translation unit per instruction set with its own compile flags. Nothing else may
# be compiled with such flags, and what is compiled so is called only after a run-time check (features.c). A set that the
# compiler does not know is left out.
target_sources(dimple_core PRIVATE
  backend/cpu/features.c
  backend/cpu/pool.c
  backend/cpu/unpack.c
  backend/cpu/weights.c
  backend/cpu/code_panels.c
  backend/cpu/fixed_panels.c
  backend/cpu/operations.c
  backend/cpu/kernels_plain.c
)

include(CheckCCompilerFlag)

# dimple_kernels(NAME FLAG...): backend/cpu/kernels_NAME.c, compiled with the flags; DIMPLE_KERNELS_NAME tells the C code of it.
function(dimple_kernels name)
  string(TOUPPER ${name} macro)
  string(REPLACE ";" " " flags "${ARGN}")
  check_c_compiler_flag("${flags}" DIMPLE_COMPILER_KNOWS_${macro})
  if(DIMPLE_COMPILER_KNOWS_${macro})
    target_sources(dimple_core PRIVATE backend/cpu/kernels_${name}.c)
    set_source_files_properties(backend/cpu/kernels_${name}.c PROPERTIES COMPILE_OPTIONS "${ARGN}")
    target_compile_definitions(dimple_core PRIVATE DIMPLE_KERNELS_${macro})
  endif()
endfunction()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(avx2 -mavx2 -mfma -mf16c)
  set(avx512_vnni ${avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mprefer-vector-width=512)
  dimple_kernels(avx2 ${avx2})
  dimple_kernels(avx_vnni ${avx2} -mavxvnni)
  dimple_kernels(avx512_vnni ${avx512_vnni})
  dimple_kernels(amx ${avx512_vnni} -mamx-tile -mamx-int8 -mamx-bf16)
endif()
