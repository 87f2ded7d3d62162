#pragma once
// What a caller may ask of the vendor's convolutions and matrix products.

#include <compare>
#include <cstdint>

namespace hac::cuda {

struct PlanOptions {
  bool deterministic = true;  // the same bits at any repetition on the same device
  // f32 products on tensor cores: inputs rounded to 10 mantissa bits, relative error about 1e-3.
  bool allow_tf32 = false;
  std::int64_t workspace_limit = std::int64_t{256} << 20;  // bytes

  auto operator<=>(const PlanOptions&) const = default;
};

struct Library;
// Of a context's library: those of the plans that it makes from now on.
PlanOptions& plan_options(Library& library);

}  // namespace hac::cuda
