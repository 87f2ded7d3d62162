#pragma once
// A trained network compiled for inference at one batch size: batch norm folded into the
// convolution before it, ReLU and residual adds fused behind it, weights packed once, every buffer
// planned.
//
// Folding is that of models/deploy/folding.h. A batch norm at the input of a pre-activation block
// has no convolution before it and stays a scale, shift and ReLU.

#include <memory>
#include <vector>

#include "engine/device/capture.h"
#include "models/model.h"

namespace hac {

class InferenceSession {
 public:
  // One kernel call.
  struct Step {
    int op = 0;                     // index into graph().ops
    Tensor packed, bias;            // convolution and linear
    Tensor gamma, beta, mean, var;  // batch norm left over
  };

  explicit InferenceSession(const Model& model, std::int64_t batch = 1);

  // images (batch, C, R, R) plain f32 -> logits (batch, classes), valid until the next run.
  Tensor run(const Tensor& images);
  // Milliseconds of each step by the device's clock, the median of `runs`. Where the device
  // records, each step is repeated in a recording of its own, because started one by one short
  // steps would take as long as the host needs to start them; elsewhere they are timed within whole
  // runs.
  std::vector<double> step_ms(const Tensor& images, int runs);

  // From here on run(images) replays one recording of all steps (on = false: no longer). Throws
  // ConfigError where the device cannot record.
  void capture(bool on = true);
  bool captured() const { return capture_ != nullptr; }
  // Once captured: the plain images that the recording reads. Written there and given to run(),
  // they are not copied.
  const Tensor& input() const { return input_; }

  Device device() const { return device_; }
  const Graph& graph() const { return graph_; }  // as fuse() makes it
  const std::vector<Step>& steps() const { return steps_; }
  std::size_t weight_bytes() const;  // packed weights, biases, statistics
  std::size_t activation_bytes() const { return activation_bytes_; }  // all planned buffers

 private:
  void plan_buffers();
  Tensor as_input(const Tensor& images) const;  // on the device, in its type and layout
  Tensor execute_all(const Tensor& images);
  void execute(const Step& step, const Tensor& images) const;
  void check_images(const Tensor& images) const;
  const Tensor& value(int index, const Tensor& images) const;

  Graph graph_;
  Device device_;
  Dtype dtype_ = Dtype::f32;
  std::vector<Step> steps_;
  std::vector<Tensor> values_;  // by op index; several share a buffer in turn
  std::size_t activation_bytes_ = 0;
  Tensor input_, logits_;
  std::unique_ptr<Capture> capture_;
};

}  // namespace hac
