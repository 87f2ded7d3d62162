#pragma once
// The one answer to "which instruction set?": what the processor has, lowered by DNNL_MAX_CPU_ISA,
// as oneDNN itself decides it. Layouts, own loops, the measured peak and `doctor` all follow it.
//
// On x86 the floor is x86-64-v3 (AVX2, FMA, BMI, F16C), for which everything is compiled; a
// processor without it ends the program at start with one line and exit code 3.
//
// oneDNN is asked by its adapter, so the functions are defined there (kernels/cpu/isa.cpp).

#include <string>

namespace hac::cpu {

// Floats in a vector register of the instruction set in use: 16 with AVX-512, 8 with AVX2, 4 with
// NEON. Also the channels of a block (layout_of).
int vector_lanes();

// Whether it multiplies bf16 (AVX512_BF16, AMX). Elsewhere oneDNN has none or emulates it.
bool has_bf16();

// What oneDNN dispatches to: "avx2", "avx512_core", "avx512_core_bf16", ...; "neon" on aarch64.
std::string isa_name();

// Throws DeviceError if DNNL_MAX_CPU_ISA asks for less than the floor.
void require_isa();

}  // namespace hac::cpu
