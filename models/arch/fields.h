#pragma once
// The fields of every layer and their bounds, in one place: reading, writing and checking walk it.
// Private to models/.

#include <string_view>
#include <type_traits>

#include "engine/io/fields.h"
#include "models/arch/architecture.h"

namespace hac {

template <>
inline constexpr auto enum_names<Activation> = std::to_array(activation_names);
template <>
inline constexpr std::string_view enum_names<PoolMode>[] = {"max", "avg", "global_avg"};

inline constexpr std::int64_t max_width = 65536;
inline constexpr std::int64_t max_window = 256;  // kernel, stride, padding
inline constexpr std::int64_t max_resolution = 8192;
inline constexpr std::int64_t max_layers = 10000;

// Names of the layer types in files and messages, in the order of the variant.
inline constexpr std::string_view layer_types[] = {
    "conv",       "depthwise_conv",    "batchnorm", "activation",   "pool",
    "flatten",    "dropout",           "linear",    "preact_block", "basic_block",
    "bottleneck", "inverted_residual", "mbconv"};
static_assert(std::size(layer_types) == std::variant_size_v<Layer>);

// Calls visit(key, string, bool, float, activation or pool mode) and visit(key, integer, low, high)
// for the fields that this type of layer has. An `out` of 0 is the classes of a linear layer, and
// the input's width of the blocks that may have no `mid` either.
template <class L, class Visitor>
void visit_fields(L& layer, Visitor&& visit) {
  using Type = std::remove_const_t<L>;
  constexpr bool inverted = std::is_same_v<Type, InvertedResidual> || std::is_same_v<Type, MBConv>;
  constexpr std::int64_t least_mid = inverted ? 0 : 1;
  constexpr std::int64_t least_out = inverted || std::is_same_v<Type, Linear> ? 0 : 1;
  if constexpr (requires { layer.name; }) visit("name", layer.name);
  if constexpr (requires { layer.kind; }) visit("kind", layer.kind);
  if constexpr (requires { layer.reduced; }) visit("reduced", layer.reduced, 1, max_width);
  if constexpr (requires { layer.mid; }) visit("mid", layer.mid, least_mid, max_width);
  if constexpr (requires { layer.out; }) visit("out", layer.out, least_out, max_width);
  if constexpr (requires { layer.kernel; }) visit("kernel", layer.kernel, 1, max_window);
  if constexpr (requires { layer.stride; }) visit("stride", layer.stride, 1, max_window);
  if constexpr (requires { layer.pad; }) visit("pad", layer.pad, 0, max_window);
  if constexpr (requires { layer.groups; }) visit("groups", layer.groups, 1, max_width);
  if constexpr (requires { layer.squeeze; }) visit("squeeze", layer.squeeze, 1, max_width);
  if constexpr (requires { layer.bias; }) visit("bias", layer.bias);
  if constexpr (requires { layer.activation; }) visit("activation", layer.activation);
  if constexpr (requires { layer.p; }) visit("p", layer.p);
}

// "" for a layer without parameters.
std::string name_of(const Layer& layer);

// A unit of depth: the layers [begin, end) that one step of depth scaling adds or removes.
struct Unit {
  int begin, end;
};
// The units of stage s: its residual blocks, or else its convolutions, each with the batch norm and
// ReLU behind it.
std::vector<Unit> units(const Architecture& arch, int stage);

// Throws ConfigError: "architecture 'x': expected classes from 1 to 65536, got 0".
void check_range(const Architecture& arch, const char* key, std::int64_t value, std::int64_t high);
// The part of validate() that needs no shapes: bounds, names, stages, the linear layer at the end.
void check_fields(const Architecture& arch);

}  // namespace hac
