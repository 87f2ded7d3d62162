#include "bench/bare.h"

#include <cstdlib>
#include <optional>
#include <unordered_map>
#include <vector>

#include "kernels/core/error.h"
#include "kernels/cpu/onednn.h"
#include "kernels/ops/conv2d_product_cpu.h"

namespace hac::bench {
namespace {

using dnnl::memory;

struct Free {
  void operator()(void* p) const { std::free(p); }
};
using Buffer = std::unique_ptr<void, Free>;

Buffer make_buffer(std::size_t bytes) {
  const std::size_t rounded = (bytes + 63) / 64 * 64;
  Buffer buffer(std::aligned_alloc(64, rounded));
  if (!buffer) throw OutOfMemory("benchmark buffer");
  float* x = as<float>(buffer.get());
  for (std::size_t i = 0; i < rounded / 4; ++i) x[i] = 0.01f * static_cast<float>(i % 7);
  return buffer;
}

}  // namespace

struct BareChain::Impl {
  struct Call {
    dnnl::primitive primitive;
    std::unordered_map<int, memory> args;
    std::optional<Conv2dSpec> product;  // in its place, on the same buffers
  };
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  std::vector<Call> calls;
  std::vector<Buffer> owned;  // weights and indices, one set a call
  // Shared: two activation buffers that take turns, and the scratchpad.
  Buffer shared[2], scratchpad;
  std::size_t shared_bytes = 0, scratchpad_bytes = 0;
  bool ready = false;

  void own(Call& call, int arg, const memory::desc& desc) {
    owned.push_back(make_buffer(desc.get_size()));
    call.args.emplace(arg, memory(desc, engine, owned.back().get()));
  }
  void share(Call& call, int arg, const memory::desc& desc) {
    shared_bytes = std::max(shared_bytes, desc.get_size());
    call.args.emplace(arg, memory(desc, engine, nullptr));
  }
  void scratch(Call& call, const memory::desc& desc) {
    scratchpad_bytes = std::max(scratchpad_bytes, desc.get_size());
    call.args.insert_or_assign(DNNL_ARG_SCRATCHPAD, memory(desc, engine, nullptr));
  }
  void push(Call call) {
    calls.push_back(std::move(call));
    ready = false;
  }

  void place_buffers() {
    for (Buffer& b : shared) b = make_buffer(shared_bytes);
    scratchpad = make_buffer(scratchpad_bytes + 1);
    int turn = 0;
    for (Call& call : calls) {
      for (auto& [arg, m] : call.args) {
        const bool source = arg == DNNL_ARG_SRC || arg == DNNL_ARG_DIFF_SRC;
        const bool target = arg == DNNL_ARG_DST || arg == DNNL_ARG_DIFF_DST;
        if (arg == DNNL_ARG_SCRATCHPAD) m.set_data_handle(scratchpad.get());
        if (source) m.set_data_handle(shared[turn].get());
        if (target) m.set_data_handle(shared[1 - turn].get());
      }
      turn = 1 - turn;
    }
    ready = true;
  }

  void run(std::size_t i) {
    Call& call = calls[i];
    if (!call.product) return call.primitive.execute(stream, call.args);
    const auto at = [&](int arg) {
      const auto it = call.args.find(arg);
      return it == call.args.end() ? nullptr : as<float>(it->second.get_data_handle());
    };
    float* work = at(DNNL_ARG_SCRATCHPAD);
    if (call.product->pass == Pass::backward_data) {
      cpu::product_backward_data(*call.product, at(DNNL_ARG_DIFF_DST), at(DNNL_ARG_WEIGHTS),
                                 at(DNNL_ARG_DIFF_SRC), work);
    } else if (call.product->pass == Pass::backward_weights) {
      cpu::product_backward_weights(*call.product, at(DNNL_ARG_SRC), at(DNNL_ARG_DIFF_DST),
                                    at(DNNL_ARG_DIFF_WEIGHTS), at(DNNL_ARG_DIFF_BIAS), work);
    } else {
      cpu::product_forward(*call.product, at(DNNL_ARG_SRC), at(DNNL_ARG_WEIGHTS), at(DNNL_ARG_BIAS),
                           at(DNNL_ARG_DST), work);
    }
  }

  // Buffers stay those of the primitive, which are no smaller.
  void take_product_unless_blocked(Call& call, const Conv2dSpec& s, const char* implementation) {
    if (cpu::is_blocked_code(implementation)) return;
    call.product = s;
    const auto bytes = static_cast<memory::dim>(cpu::product_sizes(s).bytes());
    scratch(call, memory::desc({bytes}, memory::data_type::u8, memory::format_tag::x));
  }
};

BareChain::BareChain() : impl_(std::make_unique<Impl>()) {}
BareChain::~BareChain() = default;
std::size_t BareChain::size() const { return impl_->calls.size(); }

void BareChain::run(std::size_t i) {
  if (!impl_->ready) impl_->place_buffers();
  impl_->run(i);
}

void BareChain::run() {
  for (std::size_t i = 0; i < size(); ++i) run(i);
}

void BareChain::add(const Conv2dSpec& s) {
  const auto type = cpu::data_type(s.dtype);
  const auto src = cpu::activation_desc(s.in_shape(), s.dtype);
  const auto dst = cpu::activation_desc(s.out_shape(), s.dtype);
  const auto any = memory::format_tag::any;
  const std::int64_t k = padded_channels(layout_of({}, s.out_shape()), s.k);
  const std::int64_t c = padded_channels(layout_of({}, s.in_shape()), s.c);
  const memory::desc weights =
      s.groups == 1 ? memory::desc({k, c, s.r, s.s}, type, any)
                    : memory::desc({s.groups, k / s.groups, c / s.groups, s.r, s.s}, type, any);
  const memory::desc bias =
      s.bias ? memory::desc({k}, type, memory::format_tag::x) : memory::desc();
  const memory::dims stride{s.stride, s.stride}, pad{s.pad, s.pad};
  const auto algorithm = dnnl::algorithm::convolution_auto;
  const auto kind = s.pass == Pass::inference ? dnnl::prop_kind::forward_inference
                                              : dnnl::prop_kind::forward_training;
  using F = dnnl::convolution_forward;
  const auto forward =
      cpu::primitive_desc<F>(impl_->engine, cpu::fused_behind(s.add, s.activation), kind, algorithm,
                             src, weights, bias, dst, stride, pad, pad);
  Impl::Call call;
  if (s.pass == Pass::backward_data) {
    using D = dnnl::convolution_backward_data;
    const auto pd = cpu::backward_desc<D>(impl_->engine, cpu::user_scratchpad(), forward, algorithm,
                                          src, weights, dst, stride, pad, pad);
    call.primitive = D(pd);
    impl_->share(call, DNNL_ARG_DIFF_SRC, src);
    impl_->share(call, DNNL_ARG_DIFF_DST, dst);
    impl_->own(call, DNNL_ARG_WEIGHTS, pd.weights_desc());
    impl_->scratch(call, pd.scratchpad_desc());
    impl_->take_product_unless_blocked(call, s, pd.impl_info_str());
  } else if (s.pass == Pass::backward_weights) {
    using W = dnnl::convolution_backward_weights;
    const auto pd = cpu::backward_desc<W>(impl_->engine, cpu::user_scratchpad(), forward, algorithm,
                                          src, weights, bias, dst, stride, pad, pad);
    call.primitive = W(pd);
    impl_->share(call, DNNL_ARG_SRC, src);
    impl_->share(call, DNNL_ARG_DIFF_DST, dst);
    impl_->own(call, DNNL_ARG_DIFF_WEIGHTS, pd.diff_weights_desc());
    if (s.bias) impl_->own(call, DNNL_ARG_DIFF_BIAS, bias);
    impl_->scratch(call, pd.scratchpad_desc());
    impl_->take_product_unless_blocked(call, s, pd.impl_info_str());
  } else {
    call.primitive = F(forward);
    impl_->share(call, DNNL_ARG_SRC, src);
    impl_->share(call, DNNL_ARG_DST, dst);
    impl_->own(call, DNNL_ARG_WEIGHTS, forward.weights_desc());
    if (s.bias) impl_->own(call, DNNL_ARG_BIAS, bias);
    impl_->scratch(call, forward.scratchpad_desc());
    impl_->take_product_unless_blocked(call, s, forward.impl_info_str());
  }
  impl_->push(std::move(call));
}

void BareChain::add(const Pool2dSpec& s) {
  const bool global = s.mode == PoolMode::global_avg;
  const auto src = cpu::activation_desc(s.in_shape(), s.dtype);
  const auto dst = cpu::activation_desc(s.out_shape(), s.dtype);
  const memory::dims kernel{global ? s.h : s.kernel, global ? s.w : s.kernel};
  const std::int64_t step = global ? 1 : s.stride, p = global ? 0 : s.pad;
  const memory::dims stride{step, step}, pad{p, p}, dilation{0, 0};
  const auto algorithm = s.mode == PoolMode::max ? dnnl::algorithm::pooling_max
                                                 : dnnl::algorithm::pooling_avg_include_padding;
  const auto pd = cpu::primitive_desc<cpu::Pooling>(impl_->engine, cpu::user_scratchpad(),
                                                    dnnl::prop_kind::forward_inference, algorithm,
                                                    src, dst, stride, kernel, dilation, pad, pad);
  Impl::Call call;
  call.primitive = cpu::Pooling(pd);
  impl_->share(call, DNNL_ARG_SRC, src);
  impl_->share(call, DNNL_ARG_DST, dst);
  impl_->scratch(call, pd.scratchpad_desc());
  impl_->push(std::move(call));
}

}  // namespace hac::bench
