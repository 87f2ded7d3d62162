#pragma once
// The safetensors file format: 8 bytes little-endian header length, a JSON header (dtype, shape,
// data_offsets; "__metadata__" maps strings to strings), then the raw little-endian data.
// https://github.com/huggingface/safetensors
//
// Its rules, checked for the whole file before anything of it is used: a header of at most 100 MB
// that begins with '{' and is padded by spaces; no name twice; the tensors' bytes follow from their
// shapes, do not overlap and leave no hole. What type a tensor has, and how many dimensions,
// matters only to who reads it.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tensor/tensor.h"

namespace hac {

struct TensorFile {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

// What the header says of a tensor.
struct TensorInfo {
  std::string dtype;  // as in the file: "F32", "BF16", "BOOL", ...
  std::vector<std::uint64_t> shape;
  std::uint64_t begin = 0, end = 0;  // bytes of the data
  std::string str() const;           // "F32 (8, 3, 3, 3)"
};

// An opened file, whose tensors are read one by one.
class SafetensorsReader {
 public:
  // Throws IoError with what is wrong.
  explicit SafetensorsReader(const std::string& path);
  // From memory, which must outlive it; `name` is what errors call it.
  SafetensorsReader(std::string_view bytes, const std::string& name);
  ~SafetensorsReader();
  SafetensorsReader(const SafetensorsReader&) = delete;
  SafetensorsReader& operator=(const SafetensorsReader&) = delete;

  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::map<std::string, TensorInfo>& tensors() const { return tensors_; }
  // F32, I32 and U8 as they are; F16 and BF16 widened to f32; F64 and I64 narrowed to f32 and i32
  // where every value fits. Throws IoError for other types and more than 4 dimensions.
  Tensor read(const std::string& name) const;

 private:
  struct Source;
  explicit SafetensorsReader(Source source);
  static Source open(const std::string& path);

  std::unique_ptr<Source> source_;
  std::map<std::string, std::string> metadata_;
  std::map<std::string, TensorInfo> tensors_;
};

// A file to be, for who puts the bytes together: `head`, and behind it each tensor's own bytes.
struct SafetensorsLayout {
  struct Placed {
    std::uint64_t begin = 0;  // in the file
    Tensor tensor;            // plain, on its device
  };
  std::string head;
  std::vector<Placed> tensors;
  std::uint64_t bytes = 0;  // of the file
};
// Throws IoError, naming the path, for what the format cannot hold.
SafetensorsLayout lay_out(const TensorFile& file, const std::string& path);

// Atomic: a temporary file in the same folder, synced, then renamed. Tensors are written plain.
// Throws IoError (disk full, folder not writable); the old file is intact then.
void save_safetensors(const std::string& path, const TensorFile& file);

// All of a file. Throws as SafetensorsReader does.
TensorFile load_safetensors(const std::string& path);
TensorFile parse_safetensors(std::string_view bytes, const std::string& name);

}  // namespace hac
