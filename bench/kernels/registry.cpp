#include <benchmark/benchmark.h>

#include <algorithm>

#include "bench/kernels/kernels.h"
#include "models/zoo/zoo.h"
#include "tests/cases/batchnorm.h"
#include "tests/cases/conv2d.h"
#include "tests/cases/elementwise.h"
#include "tests/cases/gate.h"
#include "tests/cases/linear.h"
#include "tests/cases/pool2d.h"
#include "tests/cases/softmax_xent.h"

namespace hac::bench {
namespace {

template <class Spec>
std::string text_of(Spec spec) {
  if constexpr (requires { spec.pass; }) spec.pass = Pass::forward;  // its own part of the name
  return spec.str();
}

}  // namespace

void Registry::add(const std::string& text, Device device, Dtype dtype, const Variant& v) {
  const std::string name =
      text + "/" + v.pass + "/" + (v.algorithm.empty() ? to_string(device) : v.algorithm);
  if (!names_.insert(name).second) return;
  auto* added = benchmark::RegisterBenchmark(
      name.c_str(), [=](benchmark::State& state) { time_kernel(state, device, dtype, v); });
  added->Unit(benchmark::kMicrosecond);
  if (is_cold()) added->Iterations(4);
  // Not the caller's CPU time: kernels have threads, or a device, of their own.
  device.kind != DeviceKind::cpu ? added->UseManualTime() : added->UseRealTime();
}

template <class Spec>
void Registry::add(Spec spec, Which which, const std::string& prefix) {
  for (const Device device : devices_) {
    const std::vector<Variant> all = variants_of(spec, device);
    // Without a kernel of its own, inference calls forward.
    const bool has_inference =
        std::ranges::any_of(all, [](const Variant& v) { return v.pass == "inference"; });
    const bool has_algorithms =
        std::ranges::any_of(all, [](const Variant& v) { return !v.algorithm.empty(); });
    const auto wanted = [&](const Variant& v) {
      switch (which) {
        case Which::all:
          return true;
        case Which::inference:
          return v.pass == (has_inference ? "inference" : "forward");
        case Which::training:
          return v.pass != "inference";
        case Which::training_first:
          return v.pass != "inference" && v.pass != "backward_data";
        case Which::algorithms:  // of which the engine's choice is one
          return !(has_algorithms && v.algorithm.empty());
      }
      return false;
    };
    for (const Variant& v : all) {
      if (wanted(v)) add(prefix + text_of(spec), device, spec.dtype, v);
    }
  }
}

void Registry::add(const OpSpec& spec, Which which) {
  std::visit([&](const auto& s) { add(s, which); }, spec);
}

void Registry::add(const std::string& spec) { add(parse_spec(spec), Which::all); }

void Registry::add_cases() {
  const auto add_each = [&](auto specs) {
    for (auto& s : specs) {
      for (const Dtype dtype : dtypes_) {
        s.dtype = dtype;
        add(s, Which::all);
      }
    }
  };
  add_each(cases::conv2d_odd());
  add_each(cases::batchnorm_odd());
  add_each(cases::pool2d_odd());
  add_each(cases::linear_odd());
  add_each(cases::activation_odd());
  add_each(cases::add_odd());
  add_each(cases::dropout_odd());
  add_each(cases::gate_odd());
  add_each(cases::softmax_xent_odd());
}

void Registry::add_zoo() {
  for (const std::string& name : zoo_names()) {
    const Architecture arch = zoo(name);
    for (const Dtype dtype : dtypes_) {
      for (const Op& op : fuse(lower(arch, 1, dtype)).ops) add(op.spec, Which::inference);
      const std::int64_t batch = arch.resolution > 64 ? 32 : 128;
      const Graph training = lower(arch, batch, dtype);
      for (const Op& op : training.ops) {
        add(op.spec, op.inputs[0] < 0 ? Which::training_first : Which::training);
      }
      add(SoftmaxXentSpec{.dtype = dtype, .n = batch, .classes = training.ops.back().out()[1]},
          Which::training);
    }
    for (const Device device : devices_) {
      add("sgd:" + name, device, Dtype::f32, sgd_of(lower(arch), device));
    }
  }
}

void Registry::add_grid() {
  constexpr std::int64_t most_macs = 20'000'000'000;  // what is larger chooses alike
  for (const std::int64_t batch : {1, 8, 32, 128}) {
    for (const std::int64_t channels : {16, 32, 64, 128, 256, 512}) {
      for (const std::int64_t size : {2, 4, 7, 8, 14, 16, 28, 32, 56, 112}) {
        const Conv2dSpec spec = cases::square(batch, channels, channels, size, 3, 1);
        if (spec.cost().macs <= most_macs) add(spec, Which::algorithms, "grid/");
      }
    }
  }
}

}  // namespace hac::bench
