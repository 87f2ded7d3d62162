// How each pass of each operation is called.

#include <utility>

#include "bench/kernels/kernels.h"
#include "engine/tensor/random.h"
#include "scaling/measure/utilization.h"

namespace hac::bench {
namespace {

void* data_or_null(const Tensor& t) { return t.defined() ? t.data() : nullptr; }

Work conv2d(Conv2dSpec s, Pass pass, Operands& o) {
  const Device device = o.device();
  s.pass = pass;
  Work work{.macs = s.cost().macs, .multiplications = s.cost().macs};
  if (conv2d_kernels.of(device).implementation) {
    work.label = conv2d_kernels.run(&Conv2dKernels::implementation, device, s);
    if (device.kind == DeviceKind::cpu) work.multiplications = multiplications(s, work.label);
  }
  const Dtype weights = pass == Pass::inference ? Dtype::f32 : s.dtype;
  const Tensor x = o.activation(s.in_shape(), s.dtype), y = o.activation(s.out_shape(), s.dtype);
  const Tensor w = o.random(s.weight_shape(), weights, weight_layout(device));
  const Dtype of_bias = pass == Pass::backward_weights ? Dtype::f32 : weights;
  const Tensor b = s.bias ? o.random({s.k}, of_bias) : Tensor();
  switch (pass) {
    case Pass::forward:
      work.run = [=] {
        conv2d_kernels.run(&Conv2dKernels::forward, device, s, x.data(), w.data(), data_or_null(b),
                           y.data());
      };
      break;
    case Pass::backward_data:
      work.run = [=] {
        conv2d_kernels.run(&Conv2dKernels::backward_data, device, s, y.data(), w.data(), x.data());
      };
      break;
    case Pass::backward_weights:
      work.run = [=] {
        conv2d_kernels.run(&Conv2dKernels::backward_weights, device, s, x.data(), y.data(),
                           w.data(), data_or_null(b));
      };
      break;
    case Pass::inference: {
      const Tensor packed =
          o.workspace(conv2d_kernels.run(&Conv2dKernels::packed_bytes, device, s));
      conv2d_kernels.run(&Conv2dKernels::pack, device, s, w.data(), data_or_null(b), packed.data());
      const Tensor residual = s.add ? o.activation(s.out_shape(), s.dtype) : Tensor();
      work.run = [=] {
        conv2d_kernels.run(&Conv2dKernels::inference, device, s, x.data(), packed.data(),
                           data_or_null(residual), y.data());
      };
    }
  }
  return work;
}

}  // namespace

std::vector<Variant> variants_of(const Conv2dSpec& s, Device) {
  std::vector<Variant> all;
  for (const auto& [name, pass] : {std::pair("inference", Pass::inference),
                                   {"forward", Pass::forward},
                                   {"backward_data", Pass::backward_data},
                                   {"backward_weights", Pass::backward_weights}}) {
    all.push_back({name, [s, pass = pass](Operands& o) { return conv2d(s, pass, o); }});
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

}  // namespace hac::bench
