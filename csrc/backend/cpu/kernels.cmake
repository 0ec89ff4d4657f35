# The CPU backends: portable code, and one translation unit per instruction set with its own compile flags. Nothing else may
# be compiled with such flags, and what is compiled so is called only after a run-time check (features.c).
target_sources(dimple_core PRIVATE
  backend/cpu/features.c
  backend/cpu/pool.c
  backend/cpu/unpack.c
  backend/cpu/weights.c
  backend/cpu/operations.c
  backend/cpu/kernels_plain.c
)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(dimple_avx2 -mavx2 -mfma -mf16c)
  set(dimple_avx512 ${dimple_avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mprefer-vector-width=512)
  function(dimple_kernels source)
    target_sources(dimple_core PRIVATE ${source})
    set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${ARGN}")
  endfunction()
  dimple_kernels(backend/cpu/kernels_avx2.c ${dimple_avx2})
  dimple_kernels(backend/cpu/kernels_avx_vnni.c ${dimple_avx2} -mavxvnni)
  dimple_kernels(backend/cpu/kernels_avx512_vnni.c ${dimple_avx512})
endif()
