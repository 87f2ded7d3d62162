// Fully connected layer on cuBLASLt, bias added in its epilogue. cuBLAS counts columns first, so a
// plain (rows, columns) matrix is its (columns, rows) one and every product is written transposed:
//   y^T  (out, n)   = w (in, out)^T  x^T (in, n)
//   dx^T (in, n)    = w (in, out)    dy^T (out, n)
//   dw^T (in, out)  = x^T (in, n)    dy^T (out, n)^T     in f32 also from 16-bit operands

#include "kernels/ops/linear.h"

#include <fmt/format.h>

#include <tuple>

#include "kernels/core/error.h"
#include "kernels/cuda/library.h"
#include "kernels/ops/bias_gradient.h"

namespace hac {
namespace {

enum class Product : std::uint8_t { forward, backward_data, backward_weights };

constexpr std::int64_t kAlignment = 16;
constexpr std::int64_t kWorkspace = std::int64_t{32} << 20;  // enough for Hopper, as NVIDIA advises

// The three kinds of cuBLASLt's descriptors have destructors that differ in nothing but the name.
template <class Handle, cublasStatus_t (*destroy)(Handle)>
struct Destroy {
  using pointer = Handle;
  void operator()(Handle h) const { destroy(h); }
};
template <class Handle, cublasStatus_t (*destroy)(Handle)>
using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, Destroy<Handle, destroy>>;
using Operation = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Matrix = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

struct Plan {
  Operation operation;
  Matrix a, b, d;  // d = op(a) op(b) [+ bias]
  cublasLtMatmulAlgo_t algorithm{};
  std::int64_t workspace_bytes = 0;
};

cudaDataType_t data_type(const LinearSpec& s) {
  constexpr cudaDataType_t types[] = {CUDA_R_32F, CUDA_R_16BF, CUDA_R_16F};
  if (s.dtype <= Dtype::f16) return types[static_cast<int>(s.dtype)];
  throw ShapeError(fmt::format("{}: expected f32, bf16 or f16", s.str()));
}

Matrix matrix(cudaDataType_t type, std::int64_t rows, std::int64_t columns, const char* what) {
  cublasLtMatrixLayout_t layout = nullptr;
  cuda::check(cublasLtMatrixLayoutCreate(&layout, type, static_cast<std::uint64_t>(rows),
                                         static_cast<std::uint64_t>(columns), rows),
              "cublasLtMatrixLayoutCreate", what);
  return Matrix(layout);
}

template <class T>
void set(const Operation& operation, cublasLtMatmulDescAttributes_t name, const T& value,
         const char* what) {
  cuda::check(cublasLtMatmulDescSetAttribute(operation.get(), name, &value, sizeof value),
              "cublasLtMatmulDescSetAttribute", what);
}

template <class T>
void set(const Preference& preference, cublasLtMatmulPreferenceAttributes_t name, const T& value,
         const char* what) {
  cuda::check(cublasLtMatmulPreferenceSetAttribute(preference.get(), name, &value, sizeof value),
              "cublasLtMatmulPreferenceSetAttribute", what);
}

Preference preference(const cuda::PlanOptions& options, const char* what) {
  cublasLtMatmulPreference_t raw = nullptr;
  cuda::check(cublasLtMatmulPreferenceCreate(&raw), "cublasLtMatmulPreferenceCreate", what);
  Preference p(raw);
  const std::int64_t workspace = std::min(kWorkspace, options.workspace_limit);
  set(p, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<std::uint64_t>(workspace), what);
  // A split sum is added up in f32, in a fixed order.
  set(p, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE), what);
  for (const auto name :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    set(p, name, static_cast<std::uint32_t>(kAlignment), what);
  }
  return p;
}

Plan make_plan(cuda::Library& lib, const LinearSpec& s, Product product) {
  const std::string text = s.str();
  const char* what = text.c_str();
  const cudaDataType_t type = data_type(s);
  const bool forward = product == Product::forward;
  const bool tf32 = s.dtype == Dtype::f32 && lib.options.allow_tf32;
  Plan plan;
  cublasLtMatmulDesc_t raw = nullptr;
  cuda::check(cublasLtMatmulDescCreate(
                  &raw, tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F),
              "cublasLtMatmulDescCreate", what);
  plan.operation.reset(raw);
  if (forward) set(plan.operation, CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T, what);
  if (product == Product::backward_weights) {
    set(plan.operation, CUBLASLT_MATMUL_DESC_TRANSB, CUBLAS_OP_T, what);
    plan.a = matrix(type, s.in, s.n, what);
    plan.d = matrix(CUDA_R_32F, s.in, s.out, what);
  } else {
    plan.a = matrix(type, s.in, s.out, what);
    plan.d = matrix(type, forward ? s.out : s.in, s.n, what);
  }
  plan.b = matrix(type, forward ? s.in : s.out, s.n, what);
  if (forward && s.bias) {
    set(plan.operation, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS, what);
  }
  const Preference wanted = preference(lib.options, what);
  cublasLtMatmulHeuristicResult_t best{};
  int found = 0;
  cuda::check(
      cublasLtMatmulAlgoGetHeuristic(lib.cublas(), plan.operation.get(), plan.a.get(), plan.b.get(),
                                     plan.d.get(), plan.d.get(), wanted.get(), 1, &best, &found),
      "cublasLtMatmulAlgoGetHeuristic", what);
  if (found == 0) {
    throw DeviceError(fmt::format("{}: expected a cuBLASLt algorithm, got none", text));
  }
  plan.algorithm = best.algo;
  plan.workspace_bytes = static_cast<std::int64_t>(best.workspaceSize);
  return plan;
}

Plan& plan_for(Context& ctx, const LinearSpec& spec, Product product) {
  cuda::Library& lib = ctx.cuda();
  LinearSpec s = spec;
  s.bias = spec.bias && product == Product::forward;
  return lib.plans.get<Plan>(std::tuple(s, product, lib.options),
                             [&] { return make_plan(lib, s, product); });
}

void run(Context& ctx, const LinearSpec& s, const Plan& plan, const void* a, const void* b,
         void* d) {
  const auto workspace_bytes = static_cast<std::size_t>(plan.workspace_bytes);
  Scratch scratch(ctx, {workspace_bytes});
  for (const void* p : {a, b, static_cast<const void*>(d)}) {
    if (p == nullptr || reinterpret_cast<std::uintptr_t>(p) % kAlignment != 0) {
      throw DeviceError(
          fmt::format("{}: expected operands aligned to {} bytes, got {}", s.str(), kAlignment, p));
    }
  }
  const float one = 1.0f, zero = 0.0f;
  cuda::check(cublasLtMatmul(ctx.cuda().cublas(), plan.operation.get(), &one, a, plan.a.get(), b,
                             plan.b.get(), &zero, d, plan.d.get(), d, plan.d.get(), &plan.algorithm,
                             scratch.take(workspace_bytes), workspace_bytes, ctx.cuda().stream),
              "cublasLtMatmul", s.str());
}

void forward(Context& ctx, const LinearSpec& s, const void* x, const void* w, const void* bias,
             void* y) {
  Plan& plan = plan_for(ctx, s, Product::forward);
  if (s.bias)
    set(plan.operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias, "bias of a linear layer");
  run(ctx, s, plan, w, x, y);
}

void backward_data(Context& ctx, const LinearSpec& s, const void* dy, const void* w, void* dx) {
  run(ctx, s, plan_for(ctx, s, Product::backward_data), w, dy, dx);
}

void backward_weights(Context& ctx, const LinearSpec& s, const void* x, const void* dy, void* dw,
                      void* db) {
  run(ctx, s, plan_for(ctx, s, Product::backward_weights), x, dy, dw);
  // cuBLASLt has this sum as an epilogue too, but does not promise its order.
  if (db) bias_gradient_cuda.apply(ctx, s.dtype, s.n, s.out, dy, db);
}

}  // namespace

const LinearKernels linear_cuda{
    .forward = forward, .backward_data = backward_data, .backward_weights = backward_weights};

}  // namespace hac
