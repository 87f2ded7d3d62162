#pragma once
// What kernels are written in. One source, two compilers: nvcc makes GPU code of a .cu file, and
// the host compiler makes the same file into code for the executor in kernels/simt. A kernel uses
// CUDA's own words (__global__, threadIdx, __syncthreads, __shfl_xor_sync with the full mask), and
// besides them only what this header names:
//
//   load(p), store(p, v)       every access to global memory (simt counts and checks them)
//   wait_for_previous()        first of all in every kernel: it may be started before the one
//   before
//                              it has ended (programmatic launch)
//   HAC_UNROLL                 before a loop whose arrays are to lie in registers
//   HAC_SHARED(T, name, n)     T name[n] in shared memory; name[i] alone (simt checks each access)
//   launch(ctx, how, kernel, args...)   the only place where a kernel is started
//   HAC_GPU                    the namespace of the device: hac::HAC_GPU is hac::cuda or hac::simt
//   HAC_GPU_TABLE(x)           the name of the op table: x_cuda or x_simt
//
// Headers *.cuh keep to C++17, so that older toolkits can follow.

#include <cmath>

#include "kernels/core/context.h"
#include "kernels/core/half.h"
#include "kernels/core/launch.h"

#ifdef __CUDACC__
#include "kernels/cuda/launch.cuh"
#define HAC_GPU cuda
#define HAC_GPU_TABLE(name) name##_cuda
#else
#include "kernels/simt/launch.h"
#define HAC_GPU simt
#define HAC_GPU_TABLE(name) name##_simt
#endif
