// Batch-1 inference, folded and packed, against the bare chain of the same vendor primitives in the
// same order: what planning, dispatch and the remaining small operations cost.
// usage: bench_inference [rounds]

#include <fmt/format.h>

#include "bench/bare.h"
#include "bench/bench.h"
#include "engine/tensor/random.h"
#include "kernels/core/machine.h"
#include "models/arch/counters.h"
#include "models/deploy/inference_session.h"
#include "models/zoo/zoo.h"

using namespace hac;

namespace {

void run(const std::string& name, int rounds) {
  const Architecture arch = zoo(name);
  InferenceSession net{Model(arch)};
  bench::BareChain chain;
  for (const Op& op : net.graph().ops) {
    if (const auto* conv = std::get_if<Conv2dSpec>(&op.spec)) chain.add(*conv);
    if (const auto* pool = std::get_if<Pool2dSpec>(&op.spec)) chain.add(*pool);
  }
  const Tensor images = Tensor::empty(net.graph().input);
  fill_normal(images, 1, "images", 1);
  const auto t = bench::interleaved(rounds, {[&] { net.run(images); }, [&] { chain.run(); }});
  const double macs = static_cast<double>(count(arch).macs);
  fmt::print(
      "{:<10} R{:<4} ours {:7.3f} ms ({:.1f} GMAC/s)  bare chain {:7.3f} ms  ratio {:.3f}   "
      "(of oneDNN, direct; wanted <= 1.15)\n",
      name, arch.resolution, t[0], macs / t[0] * 1e-6, t[1], t[0] / t[1]);
}

}  // namespace

int main(int argc, char** argv) {
  limit_openmp_spinning(argv);
  const int rounds = argc > 1 ? std::stoi(argv[1]) : 100;
  const Machine m = this_machine();
  fmt::print("{}, {} threads, {}, oneDNN {}\n", m.cpu, m.threads, m.isa, m.onednn);
  for (const char* name : {"vgg11", "resnet18"}) run(name, rounds);
}
