// What a kernel costs before it does anything: launched one by one, and as a node of a graph. Node
// counts are those of a batch-1 inference, a VGG11 step and a ResNet18 step.

#include <chrono>
#include <cstdio>

#include "bench/gpu/peaks.h"

namespace hac::peaks {
namespace {

using Clock = std::chrono::steady_clock;

double us_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

// Microseconds: of the host to queue the work, of the device to run it, of both until it is known
// to be done; each the mean of `rounds`, device by events.
struct Cost {
  double host = 0, device = 0, wall = 0;
};

Cost cost_of(cudaStream_t stream, const std::function<void(cudaStream_t)>& work) {
  constexpr int kRounds = 50;
  Cost cost{.host = 0, .device = 1e3 * median_ms(stream, kRounds, work), .wall = 0};
  for (int i = 0; i < kRounds; ++i) {
    const Clock::time_point start = Clock::now();
    work(stream);
    cost.host += us_since(start) / kRounds;
    check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
    cost.wall += us_since(start) / kRounds;
  }
  return cost;
}

class Graph {
 public:
  Graph(cudaStream_t stream, const std::function<void(cudaStream_t)>& work) {
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capture");
    work(stream);
    check(cudaStreamEndCapture(stream, &graph_), "capture");
    check(cudaGraphInstantiate(&exec_, graph_, 0), "cudaGraphInstantiate");
  }
  ~Graph() {
    cudaGraphExecDestroy(exec_);
    cudaGraphDestroy(graph_);
  }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  void launch(cudaStream_t stream) const { check(cudaGraphLaunch(exec_, stream), "graph launch"); }

 private:
  cudaGraph_t graph_ = nullptr;
  cudaGraphExec_t exec_ = nullptr;
};

std::string row(const char* how, int kernels, const Cost& cost) {
  std::printf("%8s  %8d  %9.2f  %9.2f  %9.2f\n", how, kernels, cost.host, cost.device, cost.wall);
  Json json;
  json.text("how", how);
  json.number("kernels", kernels);
  json.number("host_us", cost.host);
  json.number("device_us", cost.device);
  json.number("wall_us", cost.wall);
  return json.str();
}

}  // namespace

Json launch_part() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  std::printf("%8s  %8s  %9s  %9s  %9s\n", "how", "kernels", "host us", "device us", "wall us");
  std::string rows;
  Json json;
  for (const int kernels : {1, 25, 70, 160, 1000}) {
    const auto eager = [kernels](cudaStream_t s) {
      for (int i = 0; i < kernels; ++i) empty_kernel(s);
    };
    const Cost one_by_one = cost_of(stream, eager);
    const Graph graph(stream, eager);
    const Cost replayed = cost_of(stream, [&](cudaStream_t s) { graph.launch(s); });
    rows += (rows.empty() ? "" : ", ") + row("eager", kernels, one_by_one) + ", " +
            row("graph", kernels, replayed);
    if (kernels == 1000) {
      json.number("launch_us", one_by_one.wall / kernels);
      json.number("graph_node_us", replayed.wall / kernels);
    }
  }
  json.raw("rows", "[" + rows + "]");
  check(cudaStreamDestroy(stream), "cudaStreamDestroy");
  return json;
}

}  // namespace hac::peaks
