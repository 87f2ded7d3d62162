#pragma once
// config.json beside model.safetensors, as timm writes it for Hugging Face's hub: "architecture",
// "num_classes", "label_names", and under "pretrained_cfg" how images are prepared ("input_size",
// "mean", "std", "crop_pct", "interpolation") and what the ends of the network are called
// ("first_conv", "classifier").
// https://github.com/huggingface/pytorch-image-models/blob/main/timm/models/_hub.py

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/image/preprocessing.h"
#include "models/arch/architecture.h"
#include "models/train/trained_on.h"

namespace hac {

// Text that ends in a line feed. Images with a border get "border", which only this program knows.
std::string hub_config(const Architecture& arch, const TrainedOn& data);

// What a config.json says; what it lacks stays as it is.
struct HubConfig {
  std::string architecture;  // timm's name
  std::int64_t classes = 0;
  std::vector<std::string> label_names;
  std::optional<Preprocessing> preprocessing;
  std::string interpolation = "bilinear";  // as it says; images are resized by bilinear here
};

// Throws IoError where it is no such file or a field is out of range.
HubConfig load_hub_config(const std::string& path);

}  // namespace hac
