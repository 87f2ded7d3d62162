#pragma once
// What the residual families share. Private to models/.

#include "models/arch/architecture.h"

namespace hac {

// Appends stages[s] blocks a stage, named layer1.0 and on; the width doubles from stage to stage.
// Every stage begins with stride 2, the first one with `first_stride`. Block: BasicBlock or
// PreactBlock.
template <class Block>
void add_stages(Architecture& arch, const std::vector<std::int64_t>& stages, std::int64_t width,
                std::int64_t first_stride);

// Global average pooling and one linear layer.
void add_classifier(Architecture& arch, const std::string& name);

}  // namespace hac
