#pragma once
// timm calls the layers of its MobileNetV2 and EfficientNet otherwise than torchvision, whose names
// are ours; those of its ResNets are the same. timm/models/_efficientnet_blocks.py

#include <map>
#include <string>
#include <vector>

#include "models/arch/architecture.h"

namespace hac {

// The network's name of each layer that timm names otherwise: "blocks.1.0.conv_pw" ->
// "features.2.conv.0.0". `tensors` are the names in a file, which say how timm numbers the blocks;
// nothing where they are not timm's, or of another number of blocks.
std::map<std::string, std::string> timm_layers(const Architecture& arch,
                                               const std::vector<std::string>& tensors);

// The zoo's name of what timm calls "mobilenetv2_100" or "resnet18.a1_in1k"; others as they are,
// without what stands behind the point.
std::string zoo_name_of_timm(const std::string& name);

}  // namespace hac
