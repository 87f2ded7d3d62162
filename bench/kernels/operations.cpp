// How each pass of each operation is called.

#include <utility>

#include "bench/kernels/kernels.h"
#include "engine/tensor/random.h"
#include "kernels/ops/conv2d_channels.h"
#include "kernels/ops/conv2d_cpu.h"
#include "kernels/ops/conv2d_depthwise_cpu.h"
#include "kernels/ops/conv2d_winograd_cpu.h"
#include "kernels/ops/sgd.h"
#include "scaling/measure/utilization.h"

namespace hac::bench {
namespace {

void* data_or_null(const Tensor& t) { return t.defined() ? t.data() : nullptr; }

// dw and db of a pass that computes them. What inference packs is f32, and so is db.
struct ConvOperands {
  ConvOperands(const Conv2dSpec& s, Operands& o)
      : x(s.pass == Pass::backward_data
              ? o.activation(s.in_shape(), s.dtype)
              : o.random(s.in_shape(), s.dtype, input_layout(o.device(), s))),
        y(o.activation(s.out_shape(), s.dtype)) {
    const Dtype weights = s.pass == Pass::inference ? Dtype::f32 : s.dtype;
    w = o.random(s.weight_shape(), weights, weight_layout(o.device()));
    const bool wants_bias = s.bias && s.pass != Pass::backward_data;
    if (wants_bias) bias = o.random({s.k}, s.pass == Pass::forward ? s.dtype : Dtype::f32);
  }
  Tensor x, y, w, bias;
};

// By the algorithm that the engine chooses.
Work conv2d(const Conv2dSpec& s, Operands& o) {
  const Device device = o.device();
  const ConvImplementation by = conv2d_kernels.run(&Conv2dKernels::implementation, device, s);
  Work work{.macs = s.cost().macs, .multiplications = by.multiplications, .label = by.name};
  const ConvOperands a(s, o);
  switch (s.pass) {
    case Pass::forward:
      work.run = [=] {
        conv2d_kernels.run(&Conv2dKernels::forward, device, s, a.x.data(), a.w.data(),
                           data_or_null(a.bias), a.y.data());
      };
      break;
    case Pass::backward_data:
      work.run = [=] {
        conv2d_kernels.run(&Conv2dKernels::backward_data, device, s, a.y.data(), a.w.data(),
                           a.x.data());
      };
      break;
    case Pass::backward_weights:
      work.run = [=] {
        conv2d_kernels.run(&Conv2dKernels::backward_weights, device, s, a.x.data(), a.y.data(),
                           a.w.data(), data_or_null(a.bias));
      };
      break;
    case Pass::inference: {
      const Tensor packed =
          o.workspace(conv2d_kernels.run(&Conv2dKernels::packed_bytes, device, s));
      conv2d_kernels.run(&Conv2dKernels::pack, device, s, a.w.data(), data_or_null(a.bias),
                         packed.data());
      const Tensor residual = s.add ? o.activation(s.out_shape(), s.dtype) : Tensor();
      work.run = [=] {
        conv2d_kernels.run(&Conv2dKernels::inference, device, s, a.x.data(), packed.data(),
                           data_or_null(residual), a.y.data());
      };
    }
  }
  return work;
}

// By this one: what the engine does then, which packs weights in each step, but for inference once.
Work conv2d(const Conv2dSpec& s, cpu::ConvAlgorithm algorithm, Operands& o) {
  cpu::Library& library = Context::current(o.device()).library();
  const std::shared_ptr<cpu::ConvPlan> plan = cpu::make_plan(library, s, algorithm);
  if (!plan) throw_unavailable(s.str(), o.device());
  const ConvOperands a(s, o);
  const Tensor packed = o.workspace(plan->packed_bytes), scratch = o.workspace(plan->scratch_bytes);
  const ConvImplementation& by = plan->implementation;
  Work w{.macs = s.cost().macs, .multiplications = by.multiplications, .label = by.name};
  if (cpu::choose(library, s) == algorithm) w.label += ", chosen";
  if (s.pass == Pass::backward_weights) {
    w.run = [=] {
      plan->gradient(a.x.data(), a.y.data(), packed.as<float>(), a.w.as<float>(),
                     as<float>(data_or_null(a.bias)), data_or_null(scratch));
    };
    return w;
  }
  const bool back = s.pass == Pass::backward_data;
  const Tensor from = back ? a.y : a.x, to = back ? a.x : a.y;
  const auto pack = [=] { plan->pack(a.w.as<float>(), packed.as<float>(), data_or_null(scratch)); };
  pack();
  w.run = [=] {
    if (s.pass != Pass::inference) pack();
    plan->convolve(from.data(), packed.as<float>(), as<float>(data_or_null(a.bias)), to.data(),
                   data_or_null(scratch));
  };
  return w;
}

}  // namespace

std::vector<Variant> variants_of(const Conv2dSpec& spec, Device device) {
  std::vector<Variant> all;
  for (const auto& [name, pass] : {std::pair("inference", Pass::inference),
                                   {"forward", Pass::forward},
                                   {"backward_data", Pass::backward_data},
                                   {"backward_weights", Pass::backward_weights}}) {
    Conv2dSpec s = spec;
    s.pass = pass;
    all.push_back({name, [s](Operands& o) { return conv2d(s, o); }});
    if (device.kind != DeviceKind::cpu) continue;
    for (std::size_t i = 0; i < cpu::conv_algorithm_names().size(); ++i) {
      const auto algorithm = static_cast<cpu::ConvAlgorithm>(i);
      if (is_winograd(algorithm) && !cpu::has_winograd(s)) continue;
      if (algorithm == cpu::ConvAlgorithm::depthwise && !cpu::has_depthwise(s)) continue;
      if (has_bf16_weights(algorithm) && pass != Pass::inference) continue;
      all.push_back({name, [=](Operands& o) { return conv2d(s, algorithm, o); },
                     std::string(cpu::conv_algorithm_names()[i])});
    }
  }
  return all;
}

std::vector<Variant> variants_of(const LinearSpec& s, Device device) {
  const auto work = [s](std::function<void()> run) {
    return Work{std::move(run), s.cost().macs, s.cost().macs};
  };
  const auto input = [s](Operands& o) { return o.random(s.in_shape(), s.dtype); };
  const auto output = [s](Operands& o) { return o.random(s.out_shape(), s.dtype); };
  return {{"forward",
           [=](Operands& o) {
             const Tensor x = input(o), y = output(o), w = o.random(s.weight_shape(), s.dtype);
             const Tensor b = s.bias ? o.random({s.out}, s.dtype) : Tensor();
             return work([=] {
               linear_kernels.run(&LinearKernels::forward, device, s, x.data(), w.data(),
                                  data_or_null(b), y.data());
             });
           }},
          {"backward_data",
           [=](Operands& o) {
             const Tensor dx = input(o), dy = output(o), w = o.random(s.weight_shape(), s.dtype);
             return work([=] {
               linear_kernels.run(&LinearKernels::backward_data, device, s, dy.data(), w.data(),
                                  dx.data());
             });
           }},
          {"backward_weights", [=](Operands& o) {
             const Tensor x = input(o), dy = output(o), dw = o.random(s.weight_shape());
             const Tensor db = s.bias ? o.random({s.out}) : Tensor();
             return work([=] {
               linear_kernels.run(&LinearKernels::backward_weights, device, s, x.data(), dy.data(),
                                  dw.data(), data_or_null(db));
             });
           }}};
}

// One value a channel: parameters, and statistics of which no variance is below zero.
struct Channels {
  Channels(const BatchNormSpec& s, Operands& o) : gamma(o.random({s.c})), beta(o.random({s.c})) {
    for (Tensor* t : {&mean, &var, &running_mean, &running_var}) {
      *t = o.random({s.c});
      fill(*t, 1);
    }
  }
  Tensor gamma, beta, mean, var, running_mean, running_var;
};

std::vector<Variant> variants_of(const BatchNormSpec& s, Device device) {
  const auto image = [s](Operands& o) { return o.activation(s.shape(), s.dtype); };
  const auto residual = [=](Operands& o) { return s.add ? image(o) : Tensor(); };
  return {{"inference",
           [=](Operands& o) {
             const Tensor x = image(o), y = image(o), add = residual(o);
             const Channels c(s, o);
             return Work{[=] {
               batchnorm_kernels.run(&BatchNormKernels::forward_eval, device, s, x.data(),
                                     data_or_null(add), c.gamma.data(), c.beta.data(),
                                     c.running_mean.data(), c.running_var.data(), y.data());
             }};
           }},
          {"forward",
           [=](Operands& o) {
             const Tensor x = image(o), y = image(o), add = residual(o);
             const Channels c(s, o);
             return Work{[=] {
               batchnorm_kernels.run(
                   &BatchNormKernels::forward_train, device, s, x.data(), data_or_null(add),
                   c.gamma.data(), c.beta.data(), y.data(),
                   BatchNormStatistics{c.mean.data(), c.var.data(), c.running_mean.data(),
                                       c.running_var.data()});
             }};
           }},
          {"backward", [=](Operands& o) {
             const Tensor x = image(o), dy = image(o), dx = image(o), y = residual(o);
             const Tensor dresidual = residual(o);
             const Channels c(s, o);
             const Tensor dgamma = o.random({s.c}), dbeta = o.random({s.c});
             return Work{[=] {
               batchnorm_kernels.run(&BatchNormKernels::backward, device, s, x.data(),
                                     data_or_null(y), c.gamma.data(), c.beta.data(), c.mean.data(),
                                     c.var.data(), dy.data(), dx.data(), dgamma.data(),
                                     dbeta.data(), data_or_null(dresidual));
             }};
           }}};
}

std::vector<Variant> variants_of(const Pool2dSpec& s, Device device) {
  const auto index = [=](Operands& o) {
    return o.workspace(pool2d_kernels.run(&Pool2dKernels::index_bytes, device, s));
  };
  const auto forward = [=](Operands& o, const Tensor& places) {
    const Tensor x = o.activation(s.in_shape(), s.dtype), y = o.activation(s.out_shape(), s.dtype);
    return Work{[=] {
      pool2d_kernels.run(&Pool2dKernels::forward, device, s, x.data(), y.data(),
                         data_or_null(places));
    }};
  };
  return {{"inference", [=](Operands& o) { return forward(o, Tensor()); }},
          {"forward", [=](Operands& o) { return forward(o, index(o)); }},
          {"backward", [=](Operands& o) {
             const Tensor places = index(o);
             Operands unseen(device);
             forward(unseen, places).run();  // so that the index is one
             const Tensor dx = o.activation(s.in_shape(), s.dtype);
             const Tensor dy = o.activation(s.out_shape(), s.dtype);
             return Work{[=] {
               pool2d_kernels.run(&Pool2dKernels::backward, device, s, dy.data(),
                                  data_or_null(places), dx.data());
             }};
           }}};
}

// These know no layout: they are called with all that is stored.
template <class Spec>
Spec over(Spec s, const Tensor& t) {
  s.shape = {t.storage_numel()};
  return s;
}

std::vector<Variant> variants_of(const ActivationSpec& s, Device device) {
  const auto image = [s](Operands& o) { return o.activation(s.shape, s.dtype); };
  return {{"forward",
           [=](Operands& o) {
             const Tensor x = image(o), y = image(o);
             return Work{[=, s = over(s, x)] {
               activation_kernels.run(&ActivationKernels::forward, device, s, x.data(), y.data());
             }};
           }},
          {"backward", [=](Operands& o) {
             const Tensor x = image(o), dy = image(o), dx = image(o);
             return Work{[=, s = over(s, x)] {
               activation_kernels.run(&ActivationKernels::backward, device, s, x.data(), dy.data(),
                                      dx.data());
             }};
           }}};
}

std::vector<Variant> variants_of(const AddSpec& s, Device device) {
  return {{"forward", [=](Operands& o) {
             const Tensor a = o.activation(s.shape, s.dtype), b = o.activation(s.shape, s.dtype);
             const Tensor y = o.activation(s.shape, s.dtype);
             return Work{[=, s = over(s, a)] {
               add_kernels.run(&AddKernels::forward, device, s, a.data(), b.data(), y.data());
             }};
           }}};
}

std::vector<Variant> variants_of(const DropoutSpec& s, Device device) {
  return {{"forward", [=](Operands& o) {
             const Tensor x = o.activation(s.shape, s.dtype), y = o.activation(s.shape, s.dtype);
             return Work{[=] {
               dropout_kernels.run(&DropoutKernels::apply, device, s, nullptr, x.data(), y.data());
             }};
           }}};
}

std::vector<Variant> variants_of(const GateSpec& s, Device device) {
  const auto image = [s](Operands& o) { return o.activation(s.in_shape(), s.dtype); };
  const auto gates = [s](Operands& o) { return o.activation(s.gate_shape(), s.dtype); };
  return {{"forward",
           [=](Operands& o) {
             const Tensor x = image(o), g = gates(o), y = image(o);
             return Work{[=] {
               gate_kernels.run(&GateKernels::forward, device, s, x.data(), g.data(), y.data());
             }};
           }},
          {"backward", [=](Operands& o) {
             const Tensor x = image(o), g = gates(o), dy = image(o), dx = image(o), dg = gates(o);
             return Work{[=] {
               gate_kernels.run(&GateKernels::backward, device, s, x.data(), g.data(), dy.data(),
                                dx.data(), dg.data());
             }};
           }}};
}

std::vector<Variant> variants_of(const FlattenSpec&, Device) { return {}; }

// Labels 0, 1, 2, ..., or as soft targets all the same.
Tensor targets(const SoftmaxXentSpec& s, Device device) {
  if (s.soft) {
    const Tensor soft = Tensor::empty({s.n, s.classes}, Dtype::f32, device);
    fill(soft, 1 / static_cast<float>(s.classes));
    return soft;
  }
  std::vector<std::int32_t> labels(s.n);
  for (std::int64_t i = 0; i < s.n; ++i) labels[i] = static_cast<std::int32_t>(i % s.classes);
  return Tensor::from(labels, {s.n}).to(device);
}

std::vector<Variant> variants_of(const SoftmaxXentSpec& s, Device device) {
  return {
      {"forward",
       [=](Operands& o) {
         const Tensor x = o.random({s.n, s.classes}, s.dtype), probs = o.random({s.n, s.classes});
         const Tensor target = targets(s, device), loss = o.random({1});
         return Work{[=] {
           softmax_xent_kernels.run(&SoftmaxXentKernels::forward, device, s, x.data(),
                                    target.data(), probs.data(), loss.data());
         }};
       }},
      {"backward", [=](Operands& o) {
         const Tensor dx = o.random({s.n, s.classes}, s.dtype), probs = o.random({s.n, s.classes});
         const Tensor target = targets(s, device), dloss = o.random({1});
         return Work{[=] {
           softmax_xent_kernels.run(&SoftmaxXentKernels::backward, device, s, probs.data(),
                                    target.data(), dloss.data(), dx.data());
         }};
       }}};
}

Variant sgd_of(const Graph& graph, Device device) {
  std::vector<std::int64_t> sizes;  // of an operation's parameters together
  for (const Op& op : graph.ops) {
    if (const std::int64_t params = op.spec.cost().params; params > 0) sizes.push_back(params);
  }
  return {"step", [=](Operands& o) {
            std::vector<Tensor> owned;
            std::vector<SgdSegment> segments;
            const auto take = [&](std::int64_t n) {
              return owned.emplace_back(o.random({n})).data();
            };
            for (const std::int64_t n : sizes)
              segments.push_back({take(n), take(n), take(n), nullptr, n});
            const Tensor rate = Tensor::zeros({1}, Dtype::f32, device);
            fill(rate, 1e-6f);
            const SgdSpec spec{.weight_decay = 5e-4f};
            return Work{[=, owned = std::move(owned)] {
              sgd_kernels.run(&SgdKernels::step, device, spec, rate.data(), nullptr,
                              std::span<const SgdSegment>(segments));
            }};
          }};
}

}  // namespace hac::bench
