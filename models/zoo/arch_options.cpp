#include "models/zoo/arch_options.h"

#include "kernels/core/error.h"
#include "models/zoo/zoo.h"

namespace hac {

Architecture resolve(const std::string& name_or_json_path, const ArchOptions& options) {
  if (options.width && !options.widths.empty()) {
    throw ConfigError("options '--width' and '--widths': expected one of them, got both");
  }
  if (options.depth && !options.blocks.empty()) {
    throw ConfigError("options '--depth' and '--blocks': expected one of them, got both");
  }
  const bool file =
      name_or_json_path.ends_with(".json") || name_or_json_path.find('/') != std::string::npos;
  Architecture arch = file ? load_architecture(name_or_json_path) : zoo(name_or_json_path);
  if (options.classes) arch = with_classes(arch, *options.classes);
  if (options.in_channels) arch = with_channels(arch, *options.in_channels);
  if (options.resolution) arch = with_resolution(arch, *options.resolution);
  if (options.depth) arch = scale_depth(arch, *options.depth);
  if (!options.blocks.empty()) arch = with_blocks(arch, options.blocks);
  if (options.width) arch = scale_width(arch, *options.width);
  if (!options.widths.empty()) arch = with_widths(arch, options.widths);
  validate(arch);
  return arch;
}

}  // namespace hac
