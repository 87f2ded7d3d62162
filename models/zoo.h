#pragma once
// The named networks. Every one is an Architecture; nothing else is special about them.

#include <string>
#include <vector>

#include "models/architecture.h"

namespace hac {

// Names, in the order shown to users: vgg11 ... resnet56.
std::vector<std::string> zoo_names();
// Throws ConfigError for an unknown name, with the nearest known one as a hint.
Architecture zoo(const std::string& name);

}  // namespace hac
