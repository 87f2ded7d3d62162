#pragma once
// The safetensors file format: 8 bytes little-endian header length, a JSON header (dtype, shape,
// data_offsets; "__metadata__" maps strings to strings), then the raw little-endian data.
// https://github.com/huggingface/safetensors

#include <map>
#include <string>

#include "engine/tensor.h"

namespace hac {

struct TensorFile {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

// Atomic: a temporary file in the same folder, synced, then renamed. Tensors are written plain.
// Throws IoError (disk full, folder not writable); the old file is intact then.
void save_safetensors(const std::string& path, const TensorFile& file);

// Reads a hostile file: header size bounded, ranges, overlaps and overflow checked before use.
// Throws IoError with what is wrong. F32, I32, U8; F64 and I64 are narrowed when they fit.
TensorFile load_safetensors(const std::string& path);
// The same from memory; `name` is what errors call it. The fuzz target's entry.
TensorFile parse_safetensors(const char* bytes, std::size_t size, const std::string& name);

}  // namespace hac
