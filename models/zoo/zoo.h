#pragma once
// The named networks. Every one is an Architecture; nothing else is special about them.
//
//   vgg11 vgg13 vgg16 vgg19           VGG with batch norm in CIFAR form, 3x32x32, 10 classes
//   preact_resnet18 preact_resnet34   the paper's ResNet, 3x224x224, 1000 classes
//   resnet18 resnet34 resnet50        torchvision's, 3x224x224, 1000 classes
//   resnet20 resnet32 resnet56        He et al. 2015 for CIFAR, 3x32x32, 10 classes, with 1x1
//                                     projections where the shape changes (their option B)
//   mobilenet_v2                      torchvision's, 3x224x224, 1000 classes; _035, _050, _075 and
//                                     _140, or any three digits from _010: that percentage of the
//                                     width, as torchvision's width_mult rounds it
//   efficientnet_b0                   torchvision's, 3x224x224, 1000 classes

#include <string>
#include <vector>

#include "models/arch/architecture.h"

namespace hac {

// Names, in the order shown to users: vgg11 ... efficientnet_b0.
std::vector<std::string> zoo_names();
// Throws ConfigError for an unknown name, with the nearest known one as a hint.
Architecture zoo(const std::string& name);

}  // namespace hac
