#pragma once
// The adapter to oneDNN 2 and 3: the only folder that sees its headers. Primitives are made once
// per (spec, threads) and kept; their memory objects are re-pointed at each call.

#include <initializer_list>
#include <string>
#include <unordered_map>
#include <utility>

#include "kernels/core/activation.h"
#include "kernels/core/types.h"
#include "kernels/cpu/library.h"
#include "kernels/cpu/onednn_api.h"

namespace hac::cpu {

struct OneDnn {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
};
OneDnn& onednn_of(Library& library);

// A primitive with its memory objects, executed by pointing each argument at a buffer. Its scratch
// memory is the caller's (user_scratchpad).
class Primitive {
 public:
  Primitive() = default;
  Primitive(Library& library, const dnnl::primitive& primitive)
      : onednn_(&onednn_of(library)), primitive_(primitive) {}
  explicit operator bool() const { return static_cast<bool>(primitive_); }

  dnnl::memory::desc desc(int arg) const;  // empty where it has no such argument
  std::size_t scratchpad_bytes() const { return desc(DNNL_ARG_SCRATCHPAD).get_size(); }
  std::string implementation() const;  // as oneDNN calls it
  // DNNL_ARG_SRC and so on with their buffers; null: none.
  void run(std::initializer_list<std::pair<int, const void*>> args);

 private:
  OneDnn* onednn_ = nullptr;
  dnnl::primitive primitive_;
  std::unordered_map<int, dnnl::memory> args_;
};

inline dnnl::memory::data_type data_type(Dtype dtype) {
  using type = dnnl::memory::data_type;
  constexpr type types[] = {type::f32, type::bf16, type::f16, type::u8, type::s32};
  return types[static_cast<int>(dtype)];
}

// An activation of this shape in this layout. Channels that the block adds are passed as real ones:
// they hold zero, and oneDNN keeps to its fast implementations.
dnnl::memory::desc activation_desc(const Shape& shape, Dtype dtype, Layout layout);
inline dnnl::memory::desc activation_desc(const Shape& shape, Dtype dtype) {
  return activation_desc(shape, dtype, layout_of({}, shape));
}

// Whether a convolution's implementation is oneDNN's code for blocked tensors, which its name calls
// jit or brgemm; else it is its product of plain ones, image by image, or its reference code.
bool is_blocked_code(const std::string& implementation);
// Says once for each spec, on stderr, that oneDNN computes it by reference code, if it does.
void warn_if_reference(const Primitive& primitive, const std::string& spec);

// Attributes with scratch memory supplied by the caller.
dnnl::primitive_attr user_scratchpad();
// The same, and what follows: the sum with y, the activation.
dnnl::primitive_attr fused_behind(bool add, Activation activation);

}  // namespace hac::cpu
