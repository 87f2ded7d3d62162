#include "kernels/cpu/onednn.h"

#include <dnnl_debug.h>
#include <fmt/format.h>

#include <cstdio>
#include <mutex>
#include <set>

#include "kernels/core/error.h"

namespace hac::cpu {

namespace {

// A view: the primitive keeps what it describes.
dnnl::primitive_desc_base desc_of(const dnnl::primitive& primitive) {
  dnnl::primitive_desc_base desc;
  desc.reset(const_cast<dnnl_primitive_desc_t>(primitive.get_primitive_desc()), true);
  return desc;
}

}  // namespace

OneDnn& onednn_of(Library& library) {
  if (!library.onednn) library.onednn = std::make_shared<OneDnn>();
  return *library.onednn;
}

std::string onednn_version() {
  const dnnl_version_t* v = dnnl_version();
  return fmt::format("{}.{}.{}", v->major, v->minor, v->patch);
}

InstructionSet instruction_set() {
  const dnnl::cpu_isa isa = dnnl::get_effective_cpu_isa();
  // A set's value has the bits of its subsets' values.
  const auto includes = [&](int set) { return (static_cast<int>(isa) & set) == set; };
  return {.name = std::string(dnnl_cpu_isa2str(static_cast<dnnl_cpu_isa_t>(isa))).substr(8),
          .lanes = includes(dnnl_cpu_isa_avx512_core) ? 16 : 8,
          .bf16 = includes(dnnl_cpu_isa_avx512_core_bf16),
          .enough = isa != dnnl::cpu_isa::avx && isa != dnnl::cpu_isa::sse41};
}

dnnl::memory::desc Primitive::desc(int arg) const {
  return desc_of(primitive_).query_md(dnnl::query::exec_arg_md, arg);
}

std::string Primitive::implementation() const { return desc_of(primitive_).impl_info_str(); }

void Primitive::run(std::initializer_list<std::pair<int, const void*>> args) {
  for (const auto& [arg, data] : args) {
    if (!data) continue;
    auto it = args_.find(arg);
    if (it == args_.end()) {
      it = args_.emplace(arg, dnnl::memory(desc(arg), onednn_->engine, nullptr)).first;
    }
    it->second.set_data_handle(const_cast<void*>(data));
  }
  primitive_.execute(onednn_->stream, args_);
}

dnnl::memory::desc activation_desc(const Shape& shape, Dtype dtype, Layout layout) {
  using tag = dnnl::memory::format_tag;
  const dnnl::memory::dims dims{shape[0], padded_channels(layout, shape[1]), shape[2], shape[3]};
  const tag format = layout == Layout::plain      ? tag::nchw
                     : layout == Layout::blocked4 ? tag::nChw4c
                     : layout == Layout::blocked8 ? tag::nChw8c
                     : layout == Layout::nhwc     ? tag::nhwc
                                                  : tag::nChw16c;
  return {dims, data_type(dtype), format};
}

dnnl::primitive_attr user_scratchpad() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

dnnl::primitive_attr fused_behind(bool add, Activation activation) {
  using dnnl::algorithm;
  dnnl::primitive_attr attr = user_scratchpad();
  dnnl::post_ops ops;
  if (add) ops.append_sum(1.f);
  if (activation == Activation::relu) append_activation(ops, algorithm::eltwise_relu, 0);
  if (activation == Activation::relu6) append_activation(ops, algorithm::eltwise_clip, 0, 6);
  if (activation == Activation::silu) append_activation(ops, algorithm::eltwise_swish, 1);
  attr.set_post_ops(ops);
  return attr;
}

void multiply(char op_a, char op_b, std::int64_t m, std::int64_t n, std::int64_t k, const float* a,
              const float* b, float beta, float* c) {
  const std::int64_t lda = op_a == 'N' ? k : m, ldb = op_b == 'N' ? n : k;
  const auto status = dnnl_sgemm(op_a, op_b, m, n, k, 1.f, a, lda, b, ldb, beta, c, n);
  dnnl::error::wrap_c_api(status, "sgemm");
}

bool is_blocked_code(const std::string& implementation) {
  return implementation.starts_with("jit") || implementation.starts_with("brg");
}

void warn_if_reference(const Primitive& primitive, const std::string& spec) {
  const std::string implementation = primitive.implementation();
  if (implementation.find("ref") == std::string::npos) return;
  static std::mutex mutex;
  static std::set<std::string> said;
  const std::lock_guard lock(mutex);
  if (!said.insert(spec).second) return;
  // As engine/io/print.h does it, which lies above: never throws.
  const std::string text = fmt::format(
      "{}: oneDNN has reference code alone for this ({}); it is slow\n", spec, implementation);
  std::fwrite(text.data(), 1, text.size(), stderr);
}

void rethrow(const std::string& spec) {
  try {
    throw;
  } catch (const dnnl::error& error) {
    if (error.status == dnnl_out_of_memory) {
      throw OutOfMemory(fmt::format("{}: oneDNN ran out of memory", spec));
    }
    throw DeviceError(fmt::format("{}: oneDNN: {}", spec, error.what()));
  }
}

}  // namespace hac::cpu
