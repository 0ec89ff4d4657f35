# The levels of instruction sets that there are kernels for, best first: build, choice at run time and DIMPLE_CPU follow from this
# table. cpu_level(NAME FAMILY NEEDS ... FLAGS ...):
#   NAME    the kernels are in FAMILY/kernels_NAME.c and define cpu_kernels_NAME; the backend is cpu-NAME, with hyphens
#   FAMILY  the folder, see kernels.cmake for when it is built; "." for portable C
#   NEEDS   what the machine must have, in the words of FAMILY/features.h; nothing: any will do
#   FLAGS   the compiler's; a compiler that does not know them builds without the level
cpu_level(neon_i8mm    arm NEEDS ARM_I8MM    FLAGS ${armv8}+i8mm)
cpu_level(neon_dotprod arm NEEDS ARM_DOTPROD FLAGS ${armv8}+dotprod ${keep_sums})
cpu_level(neon         arm NEEDS ARM_NEON    FLAGS ${keep_sums})

set(avx2_needs X86_AVX2 X86_FMA X86_F16C)
set(avx2_flags -mavx2 -mfma -mf16c)
set(avx512_needs ${avx2_needs} X86_AVX512F X86_AVX512BW X86_AVX512DQ X86_AVX512VL X86_AVX512_VNNI)
set(avx512_flags ${avx2_flags} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mprefer-vector-width=512)

cpu_level(amx         x86 NEEDS ${avx512_needs} X86_AMX_TILE X86_AMX_INT8 X86_AMX_BF16 FLAGS ${avx512_flags} -mamx-tile -mamx-int8 -mamx-bf16)
cpu_level(avx512_vnni x86 NEEDS ${avx512_needs}           FLAGS ${avx512_flags})
cpu_level(avx_vnni    x86 NEEDS ${avx2_needs} X86_AVX_VNNI FLAGS ${avx2_flags} -mavxvnni)
cpu_level(avx2        x86 NEEDS ${avx2_needs}             FLAGS ${avx2_flags} ${keep_order})
cpu_level(plain       .)
