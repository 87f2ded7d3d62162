// bench_kernels [--device LIST] [--dtype LIST] [--spec TEXT... | --grid] [--cold] [--autotune]
//               [--seconds S] [--benchmark_...]
// Google Benchmark's options select, repeat and print; bench/README.md has examples.

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>

#include "bench/kernels/kernels.h"
#include "engine/device/plan_options.h"
#include "kernels/core/context.h"
#include "kernels/core/error.h"
#include "kernels/core/machine.h"

using namespace hac;

namespace {

constexpr const char* usage =
    "bench_kernels: every operation of tests/cases and every layer of the zoo\n"
    "  --device LIST  cpu, simt, cuda:0 (default: cpu, and cuda:0 where there is one)\n"
    "  --dtype LIST   f32, bf16, f16 (default: f32)\n"
    "  --spec TEXT    only this (may be repeated): conv2d:f32,n1c64h56w56,k64r3s3,st1p1g1\n"
    "  --grid         the convolutions that the CPU's choice of algorithm is made from\n"
    "  --cold         caches are overwritten before each run (cpu)\n"
    "  --autotune     the engine measures its plans of convolutions and takes the fastest\n"
    "  --seconds S    begin nothing later than that; what is left out is an error\n\n";

struct Options {
  std::vector<Device> devices{Device{}};
  std::vector<Dtype> dtypes{Dtype::f32};
  std::vector<std::string> specs;
  bool grid = false, autotune = false;
};

template <class Parse>
auto parse_list(std::string_view text, Parse parse) {
  std::vector<decltype(parse(text))> all;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    all.push_back(parse(text.substr(0, comma)));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return all;
}

// What Google Benchmark left.
Options parse(int argc, char** argv) {
  Options o;
  const Device gpu{DeviceKind::cuda, 0};
  if (runtime_cuda.count && runtime_cuda.count(nullptr) > 0) o.devices.push_back(gpu);
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    const auto value = [&]() -> std::string_view {
      if (++i < argc) return argv[i];
      throw ConfigError(fmt::format("{}: expected a value, got none", option));
    };
    if (option == "--grid") {
      o.grid = true;
    } else if (option == "--autotune") {
      o.autotune = true;
    } else if (option == "--cold") {
      bench::set_cold();
    } else if (option == "--spec") {
      o.specs.emplace_back(value());
    } else if (option == "--seconds") {
      bench::set_time_limit(std::stod(std::string(value())));
    } else if (option == "--dtype") {
      o.dtypes = parse_list(value(), parse_dtype);
    } else if (option == "--device") {
      o.devices = parse_list(value(), parse_device);
    } else {
      throw ConfigError(fmt::format("'{}': expected an option (hint: --help)", option));
    }
  }
  for (const Device device : o.devices) runtime_of(device);  // throws where there is none
  const auto is_cpu = [](Device d) { return d.kind == DeviceKind::cpu; };
  if (bench::is_cold() && !std::ranges::all_of(o.devices, is_cpu)) {
    throw ConfigError("--cold: expected no other device than cpu (hint: --device cpu)");
  }
  return o;
}

void add_context() {
  const Machine m = this_machine();
  benchmark::AddCustomContext("cpu", m.cpu);
  benchmark::AddCustomContext("isa", m.isa);
  benchmark::AddCustomContext("threads", std::to_string(m.threads));
  benchmark::AddCustomContext("onednn", m.onednn);
}

void run(int argc, char** argv) {
  benchmark::Initialize(&argc, argv, [] {
    fmt::print("{}", usage);
    benchmark::PrintDefaultHelp();
  });
  const Options o = parse(argc, argv);
  for (const Device device : o.devices) {
    if (o.autotune) autotune(device, "");
  }
  bench::Registry registry(o.devices, o.dtypes);
  for (const std::string& spec : o.specs) registry.add(spec);
  if (o.grid) {
    registry.add_grid();
  } else if (o.specs.empty()) {
    registry.add_zoo();
    registry.add_cases();
    if (std::ranges::count(o.devices, DeviceKind::simt, &Device::kind) > 0) bench::add_executor();
  }
  add_context();
  benchmark::RunSpecifiedBenchmarks();
}

}  // namespace

int main(int argc, char** argv) {
  limit_openmp_spinning(argv);
  try {
    run(argc, argv);
    return 0;
  } catch (const Error& e) {
    fmt::print(stderr, "bench_kernels: {}\n", e.what());
    return e.exit_code();
  } catch (const std::exception& e) {  // of std::stod
    fmt::print(stderr, "bench_kernels: {}\n", e.what());
    return 2;
  }
}
