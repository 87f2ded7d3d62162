#include "models/train/checkpoint_writer.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "engine/io/file.h"
#include "engine/io/print.h"
#include "engine/io/text.h"
#include "kernels/core/context.h"
#include "kernels/core/error.h"
#include "models/train/run_folder.h"

namespace hac {

void CheckpointWriter::Image::prepare(const TensorFile& file, const std::string& path,
                                      Device device) {
  layout_ = lay_out(file, path);
  size_ = layout_.bytes;
  if (size_ <= capacity_) return;
  capacity_ = 0;
  memory_.reset();
  memory_ = allocate_pinned(device, size_);
  capacity_ = size_;
}

void CheckpointWriter::Image::copy() {
  char* const to = static_cast<char*>(memory_.get());
  std::memcpy(to, layout_.head.data(), layout_.head.size());
  for (const auto& [begin, tensor] : layout_.tensors) {
    Context& context = Context::current(tensor.device());
    const Runtime& runtime = context.runtime();
    const auto copy = runtime.download ? runtime.download : runtime.copy_out;
    copy(context, to + begin, tensor.data(), tensor.bytes());
  }
}

CheckpointWriter::CheckpointWriter(const std::string& folder, Device device, TrainTracking& log)
    : model_path_(model_weights(folder)),
      last_path_(last_weights(folder)),
      device_(device),
      log_(log) {}

// Without a final save another error is on its way.
CheckpointWriter::~CheckpointWriter() {
  try {
    finish();
  } catch (const IoError& error) {
    print(stderr, fmt::format("warning: {}\n", one_line(error.what())));
  } catch (...) {
  }
}

void CheckpointWriter::save(const TensorFile& model, const TensorFile& last, bool final) {
  settle();
  start(model, last);
  if (!final) return;
  finish();
  log_.flush();
}

void CheckpointWriter::settle() {
  if (!write_.valid()) return;
  try {
    finish();
    log_.flush();
    warned_ = false;
  } catch (const IoError& error) {
    if (std::exchange(warned_, true)) return;
    print(stderr,
          fmt::format("warning: {}; the training continues, and the next save tries again\n",
                      one_line(error.what())));
  }
}

void CheckpointWriter::start(const TensorFile& model, const TensorFile& last) {
  // All memory before the first copy: none is given back while the device writes to it.
  const bool new_model = !model.tensors.empty();
  if (new_model) model_.prepare(model, model_path_, device_);
  last_.prepare(last, last_path_, device_);
  if (new_model) model_.copy();
  last_.copy();
  model_waits_ = model_waits_ || new_model;
  Context& context = Context::current(device_);
  const Runtime& runtime = context.runtime();
  copied_ = runtime.download ? runtime.event_record(context) : nullptr;
  // Where the system has no thread left, finish() writes.
  write_ = std::async(std::launch::async | std::launch::deferred, [this] { write(); });
}

void CheckpointWriter::finish() {
  if (write_.valid()) write_.get();
}

void CheckpointWriter::write() {
  if (copied_) {
    const Runtime& runtime = runtime_of(device_);
    runtime.make_current(device_);
    runtime.wait_on_host(std::exchange(copied_, nullptr));
  }
  model_.release_tensors();
  last_.release_tensors();
  if (model_waits_) {
    write_file_atomically(model_path_, model_.bytes());
    wrote_model_ = true;
    model_waits_ = false;
  }
  write_file_atomically(last_path_, last_.bytes());
}

}  // namespace hac
