#pragma once
// Writes a training's checkpoints on a thread of its own while the training goes on.

#include <cstddef>
#include <future>
#include <memory>
#include <string>
#include <string_view>

#include "engine/io/safetensors.h"
#include "kernels/core/runtime.h"
#include "models/train/train_tracking.h"

namespace hac {

// At most one write is on its way; the end of the writer waits for it. Output that cannot be
// written ends no training: the first IoError in a row is a warning on stderr, the next save tries
// again, and only a final one throws. Memory as large as both files is taken at the first save and
// kept; it is pinned on a device other than the CPU. Used by one thread.
class CheckpointWriter {
 public:
  // For the files of a run's folder (models/train/run_folder.h), with tensors of the device and of
  // the CPU. The log outlives it.
  CheckpointWriter(const std::string& folder, Device device, TrainTracking& log);
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  // settle(), then copies the tensors as the device's work so far leaves them: on the CPU before it
  // returns, elsewhere when the device comes to it, in front of all that it is given later. Then
  // model.safetensors is written, if `model` has tensors or the one before could not be written,
  // and behind it last.safetensors, whose position names its epoch; each whole or not at all.
  // A final one waits for that. Throws OutOfMemory for its own memory.
  void save(const TensorFile& model, const TensorFile& last, bool final);
  // Waits for the write, so that what is written from here on follows it. Both throw DeviceError
  // where the device was lost before the tensors were copied.
  void settle();
  // Whether a model.safetensors was written; asked after a final save.
  bool wrote_model() const { return wrote_model_; }

 private:
  // The bytes of one file.
  class Image {
   public:
    void prepare(const TensorFile& file, const std::string& path, Device device);  // takes memory
    void copy();
    std::string_view bytes() const { return {static_cast<const char*>(memory_.get()), size_}; }
    void release_tensors() { layout_ = {}; }

   private:
    std::shared_ptr<void> memory_;
    std::size_t size_ = 0, capacity_ = 0;
    SafetensorsLayout layout_;  // holds what is copied
  };
  void start(const TensorFile& model, const TensorFile& last);
  void write();
  void finish();  // throws what write() threw

  const std::string model_path_, last_path_;
  const Device device_;
  TrainTracking& log_;
  Image model_, last_;
  Event copied_;  // null where copies are done at once
  bool model_waits_ = false, wrote_model_ = false, warned_ = false;
  std::future<void> write_;
};

}  // namespace hac
