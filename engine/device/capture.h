#pragma once
// Work that is recorded once and replayed with one call (on a GPU a CUDA graph): the same kernels
// with the same arguments at the same addresses, without the host between them. What changes from
// one replay to the next is written into device memory beforehand.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/io/fields.h"
#include "engine/tensor/storage.h"
#include "kernels/core/runtime.h"

namespace hac {

// How the kernels of a step or an inference are started: one by one, or replayed.
enum class LaunchMode : std::uint8_t { eager, graph };
template <>
inline constexpr std::string_view enum_names<LaunchMode>[] = {"eager", "graph"};

// graph on a GPU, eager elsewhere.
LaunchMode default_launch_mode(Device device);
// Throws ConfigError where the device cannot record.
void require_launch_mode(LaunchMode mode, Device device);

class Capture {
 public:
  // second: what overlap() of the work may use (engine/device/overlap.h), or null; it outlives
  // this. Throws ConfigError where the device cannot record.
  explicit Capture(Device device, Context* second = nullptr);
  ~Capture();
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  // Runs the work as it is: plans are made, memory is found. Its tensors come from this capture's
  // arena and keep it. May be repeated, until it is recorded.
  void warm_up(const std::function<void()>& work);
  // Records the same work; nothing of it runs. Other work may have run since the warm-up. Tensors
  // that the warm-up left must be gone, or be let go by the work before it asks for their like.
  // Throws DeviceError naming what the work does that cannot be recorded; nothing is recorded then.
  void record(const std::function<void()>& work);
  bool recorded() const { return recording_ != nullptr; }
  void replay() const;  // in the order of the context's other work
  // Of work that is repeated: the first time is the warm-up, the second is recorded, and from there
  // on it is replayed. Where it cannot be recorded it is not, and runs each time.
  void repeat(const std::function<void()>& work);

  std::size_t bytes() const { return arena_->bytes(); }

 private:
  std::shared_ptr<Arena> arena_;
  std::vector<Context*> contexts() const;

  Context* second_;
  bool refused_ = false;                     // to repeat()
  std::vector<std::size_t> scratch_bytes_;   // what the warm-up needed at most, of each context
  std::vector<std::shared_ptr<void>> kept_;  // scratch memory and plans outlive the recording
  Recording recording_;
};

}  // namespace hac
