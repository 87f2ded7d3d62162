#pragma once
// What differs between the APIs of oneDNN 2 and 3; no other file asks for the version.

#include <dnnl.hpp>

namespace hac::cpu {

// primitive_desc<dnnl::convolution_forward>(engine, attributes, propagation, algorithm, ...): the
// arguments are those of version 2's operation descriptor. An empty bias: none.
#if DNNL_VERSION_MAJOR >= 3
template <class Operation, class... Args>
auto primitive_desc(const dnnl::engine& engine, const dnnl::primitive_attr& attributes,
                    const Args&... args) {
  return typename Operation::primitive_desc(engine, args..., attributes);
}

// Of a backward operation, which takes its algorithm's hints from the forward one.
template <class Operation, class Forward, class... Args>
auto backward_desc(const dnnl::engine& engine, const dnnl::primitive_attr& attributes,
                   const Forward& forward, const Args&... args) {
  return typename Operation::primitive_desc(engine, args..., forward, attributes);
}

using Pooling = dnnl::pooling_forward;
using PoolingBackward = dnnl::pooling_backward;

inline void append_activation(dnnl::post_ops& ops, dnnl::algorithm algorithm, float alpha,
                              float beta = 0) {
  ops.append_eltwise(algorithm, alpha, beta);
}
#else
template <class Operation, class... Args>
auto primitive_desc(const dnnl::engine& engine, const dnnl::primitive_attr& attributes,
                    const Args&... args) {
  return typename Operation::primitive_desc(typename Operation::desc(args...), attributes, engine);
}

template <class Operation, class Forward, class... Args>
auto backward_desc(const dnnl::engine& engine, const dnnl::primitive_attr& attributes,
                   const Forward& forward, const Args&... args) {
  return typename Operation::primitive_desc(typename Operation::desc(args...), attributes, engine,
                                            forward);
}

using Pooling = dnnl::pooling_v2_forward;
using PoolingBackward = dnnl::pooling_v2_backward;

inline void append_activation(dnnl::post_ops& ops, dnnl::algorithm algorithm, float alpha,
                              float beta = 0) {
  ops.append_eltwise(1.f, algorithm, alpha, beta);
}
#endif

}  // namespace hac::cpu
