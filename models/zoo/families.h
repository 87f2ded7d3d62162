#pragma once
// The families of the zoo; models/zoo/zoo.h gives their members by name. Private to models/.

#include "models/arch/architecture.h"

namespace hac {

// VGG with batch norm in its CIFAR form: 3x3 convolutions with bias, max pooling behind each of the
// five stages, one linear layer. 3x32x32, 10 classes; at 32 to 63 pixels the last map is 1x1.
// `stages`: convolutions a stage. Names as torchvision's vgg*_bn up to the classifier.
Architecture vgg(const std::string& name, const std::vector<std::int64_t>& stages);

// The paper's ResNet: pre-activation, 3x3 stem of stride 2, no max pooling, every stage (the first
// too) begins with stride 2; batch norm without ReLU before the global pool. 3x224x224, 1000
// classes.
Architecture preact_resnet(const std::string& name, const std::vector<std::int64_t>& stages);

// torchvision's ResNet of basic blocks, weight for weight. 3x224x224, 1000 classes.
Architecture resnet(const std::string& name, const std::vector<std::int64_t>& stages);

// The same of bottlenecks: ResNet50 and deeper.
Architecture resnet_bottleneck(const std::string& name, const std::vector<std::int64_t>& stages);

// torchvision's MobileNetV2 (Sandler et al. 2018), weight for weight, its widths times `width` as
// torchvision rounds them. `stages`: blocks a stage. 3x224x224, 1000 classes.
Architecture mobilenet_v2(const std::string& name, const std::vector<std::int64_t>& stages,
                          double width);

// torchvision's EfficientNet-B0 (Tan and Le 2019), weight for weight. 3x224x224, 1000 classes.
Architecture efficientnet(const std::string& name, const std::vector<std::int64_t>& stages);

// The CIFAR ResNet of He et al. 2015, section 4.2, of depth 6 n + 2: n basic blocks in each of
// three stages, of widths 16, 32, 64. 3x32x32, 10 classes. Where the shape changes the shortcut is
// a 1x1 convolution with batch norm (the paper's option B; its CIFAR experiments pad with zeros,
// A).
Architecture resnet_cifar(const std::string& name, const std::vector<std::int64_t>& stages);

}  // namespace hac
