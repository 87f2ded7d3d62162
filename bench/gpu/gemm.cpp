// The rate of a large square matrix product, by element type, on random data.

#include <cublasLt.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "bench/gpu/peaks.h"

namespace hac::peaks {
namespace {

void check_lt(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw std::runtime_error(std::string(call) + ": " + cublasLtGetStatusName(status));
}

template <class T, cublasStatus_t (*destroy)(T)>
struct Handle {
  T value = nullptr;
  Handle() = default;
  ~Handle() { destroy(value); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
};

using Library = Handle<cublasLtHandle_t, cublasLtDestroy>;
using Operation = Handle<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Handle<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Handle<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

struct Kind {
  const char* name;
  Element element;
  cudaDataType_t type;
  cublasComputeType_t compute;
  double tolerance;  // of ||out - reference|| / ||reference||
};

template <class T>
std::vector<double> column_of(const Buffer& matrix, int n, int which) {
  std::vector<T> values(n);
  const T* from = static_cast<const T*>(matrix.get()) + static_cast<std::int64_t>(which) * n;
  check(cudaMemcpy(values.data(), from, n * sizeof(T), cudaMemcpyDeviceToHost), "copy to host");
  std::vector<double> wide;
  for (const T value : values) wide.push_back(static_cast<float>(value));
  return wide;
}

std::vector<double> column(const Buffer& matrix, Element type, int n, int which) {
  return type == Element::f32    ? column_of<float>(matrix, n, which)
         : type == Element::bf16 ? column_of<__nv_bfloat16>(matrix, n, which)
                                 : column_of<__half>(matrix, n, which);
}

// Some elements of the last column of c against loops in double.
void verify(const Kind& kind, int n, const Buffer& a, const Buffer& b, const Buffer& c) {
  const std::vector<double> y = column(b, kind.element, n, n - 1);
  const std::vector<double> z = column(c, kind.element, n, n - 1);
  double wrong = 0, all = 0;
  for (int i = 0; i < n; i += n / 16) {
    const std::vector<double> x = column(a, kind.element, n, i);
    double sum = 0;
    for (int k = 0; k < n; ++k) sum += x[k] * y[k];
    wrong += (z[i] - sum) * (z[i] - sum);
    all += sum * sum;
  }
  const double error = std::sqrt(wrong / all);
  if (error <= kind.tolerance) return;  // not so for NaN
  throw std::runtime_error(std::string("gemm ") + kind.name + ": relative error " +
                           std::to_string(error));
}

constexpr std::size_t kWorkspace = std::size_t{64} << 20;

// c = a^T b, n by n each; TFLOP/s of the fastest of the first few algorithms.
double measure(const Kind& kind, int n, const Buffer& a, const Buffer& b, const Buffer& c,
               const Buffer& workspace) {
  const auto count = static_cast<std::int64_t>(n) * n;
  fill_random(a.get(), kind.element, count, 1, nullptr);
  fill_random(b.get(), kind.element, count, 2, nullptr);
  Library library;
  Operation operation;
  Layout layout;
  Preference preference;
  check_lt(cublasLtCreate(&library.value), "cublasLtCreate");
  check_lt(cublasLtMatmulDescCreate(&operation.value, kind.compute, CUDA_R_32F), "matmul");
  const cublasOperation_t transposed = CUBLAS_OP_T;
  check_lt(cublasLtMatmulDescSetAttribute(operation.value, CUBLASLT_MATMUL_DESC_TRANSA, &transposed,
                                          sizeof transposed),
           "transpose");
  check_lt(cublasLtMatrixLayoutCreate(&layout.value, kind.type, n, n, n), "layout");
  check_lt(cublasLtMatmulPreferenceCreate(&preference.value), "preference");
  check_lt(cublasLtMatmulPreferenceSetAttribute(preference.value,
                                                CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                &kWorkspace, sizeof kWorkspace),
           "workspace");
  cublasLtMatmulHeuristicResult_t found[4];
  int results = 0;
  check_lt(cublasLtMatmulAlgoGetHeuristic(library.value, operation.value, layout.value,
                                          layout.value, layout.value, layout.value,
                                          preference.value, 4, found, &results),
           "heuristic");
  const float one = 1, zero = 0;
  double best = 0;
  for (int i = 0; i < results; ++i) {
    const double ms = median_ms(nullptr, 10, [&](cudaStream_t stream) {
      check_lt(cublasLtMatmul(library.value, operation.value, &one, a.get(), layout.value, b.get(),
                              layout.value, &zero, c.get(), layout.value, c.get(), layout.value,
                              &found[i].algo, workspace.get(), kWorkspace, stream),
               "cublasLtMatmul");
    });
    verify(kind, n, a, b, c);
    const std::size_t element = kind.element == Element::f32 ? 4 : 2;
    check(cudaMemset(c.get(), 0xFF, count * element), "cudaMemset");
    best = std::max(best, 2e-9 * n * static_cast<double>(count) / ms);
  }
  return best;
}

}  // namespace

Json gemm_part() {
  const Kind kinds[] = {{"bf16", Element::bf16, CUDA_R_16BF, CUBLAS_COMPUTE_32F, 1e-2},
                        {"f16", Element::f16, CUDA_R_16F, CUBLAS_COMPUTE_32F, 2e-3},
                        {"tf32", Element::f32, CUDA_R_32F, CUBLAS_COMPUTE_32F_FAST_TF32, 2e-3},
                        {"f32", Element::f32, CUDA_R_32F, CUBLAS_COMPUTE_32F, 1e-5}};
  const int sizes[] = {2048, 4096, 8192};
  const std::size_t bytes = std::size_t{8192} * 8192 * 4;
  const Buffer a(bytes), b(bytes), c(bytes), workspace(kWorkspace);
  Json json;
  std::printf("%6s", "n");
  for (const Kind& kind : kinds) std::printf("  %8s", kind.name);
  std::printf("  TFLOP/s\n");
  for (const int n : sizes) {
    Json row;
    std::printf("%6d", n);
    for (const Kind& kind : kinds) {
      const double rate = measure(kind, n, a, b, c, workspace);
      row.number(kind.name, rate);
      std::printf("  %8.1f", rate);
    }
    std::printf("\n");
    json.raw(("tflops_" + std::to_string(n)).c_str(), row.str());
  }
  return json;
}

}  // namespace hac::peaks
