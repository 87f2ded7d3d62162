#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/io/file.h"
#include "kernels/core/error.h"
#include "models/arch/recognize.h"
#include "models/deploy/onnx.h"
#include "models/deploy/onnx_read.h"

namespace hac {
namespace {

using State = std::map<std::string, Tensor>;

Tensor filled(std::int64_t n, float value) {
  const Tensor t = Tensor::empty({n});
  std::fill_n(t.as<float>(), n, value);
  return t;
}

// gamma (x - mean) / sqrt(var + eps) + beta of a batch norm as the file has it, or of none, and of
// the bias of the convolution before it, which moves here.
void add_norm(State& state, const std::string& name, const BatchNormSpec& spec,
              const OnnxGraph& file, const Origin& origin) {
  const Tensor* bias = nullptr;
  if (origin.shift >= 0) bias = &file.parameters[origin.shift].at("bias");
  if (origin.op >= 0) {
    for (const auto& [part, tensor] : file.parameters[origin.op]) {
      state[name + "." + part] = tensor.clone();
    }
    float* mean = state[name + ".running_mean"].as<float>();
    for (std::int64_t i = 0; bias && i < spec.c; ++i) mean[i] -= bias->as<float>()[i];
    return;
  }
  state[name + ".weight"] = filled(spec.c, static_cast<float>(std::sqrt(1.0 + spec.eps)));
  state[name + ".bias"] = bias ? bias->clone() : filled(spec.c, 0);
  state[name + ".running_mean"] = filled(spec.c, 0);
  state[name + ".running_var"] = filled(spec.c, 1);
}

// Where a batch norm has its parameters from; one that is folded in the file has the bias of its
// convolution, unless that has one of its own.
Origin origin_of(const Graph& graph, const Op& norm, const std::map<std::string, Origin>& origins) {
  const auto found = origins.find(norm.name);
  if (found != origins.end()) return found->second;
  const Op& before = graph.ops.at(norm.inputs[0]);
  const auto* conv = std::get_if<Conv2dSpec>(&before.spec);
  return {.shift = conv && !conv->bias ? origins.at(before.name).op : -1};
}

// Adds the network's tensors; returns how many of its batch norms the file has not.
std::int64_t add_state(State& state, const Architecture& arch, const OnnxGraph& file,
                       const std::map<std::string, Origin>& origins) {
  std::int64_t missing = 0;
  const Graph graph = lower(arch);
  for (const Op& op : graph.ops) {
    if (op.name.empty()) continue;
    if (const auto* norm = std::get_if<BatchNormSpec>(&op.spec)) {
      const Origin origin = origin_of(graph, op, origins);
      add_norm(state, op.name, *norm, file, origin);
      missing += origin.op < 0;
      continue;
    }
    const auto* conv = std::get_if<Conv2dSpec>(&op.spec);
    for (const auto& [part, tensor] : file.parameters[origins.at(op.name).op]) {
      if (part == "bias" && conv && !conv->bias) continue;  // the batch norm behind has it
      state[op.name + "." + part] = tensor;
    }
  }
  return missing;
}

// Whether they compute the same, once the batch norms of both are folded.
bool same_in_inference(const Architecture& a, const Architecture& b) {
  const auto same = [](const Op& x, const Op& y) {
    return x.name == y.name && x.spec == y.spec && x.inputs == y.inputs;
  };
  const std::vector<Op> x = fuse(lower(a)).ops, y = fuse(lower(b)).ops;
  return std::equal(x.begin(), x.end(), y.begin(), y.end(), same);
}

// What the file says of itself, where its graph is of that architecture: stages, dropout, batch
// norms that are folded.
void take_architecture(const OnnxGraph& file, OnnxImport& result) {
  const auto text = file.metadata.find("architecture");
  if (text == file.metadata.end()) return;
  const Architecture said = architecture_from_json(text->second);
  if (same_in_inference(said, result.arch)) result.arch = said;
}

std::optional<TrainedOn> data_of(const OnnxGraph& file, const std::string& path) {
  const auto classes = file.metadata.find("classes");
  if (classes == file.metadata.end()) return std::nullopt;
  nlohmann::json preprocess = nlohmann::json::object();
  for (const auto& [key, value] : file.metadata) {
    if (key == "classes" || key == "architecture" || key == "input") continue;
    nlohmann::json parsed = nlohmann::json::parse(value, nullptr, false);
    const bool text = parsed.is_discarded() || key == "data" || key == "interpolation";
    preprocess[key] = text ? nlohmann::json(value) : std::move(parsed);
  }
  return trained_on({{"preprocess", preprocess.dump()}, {"classes", classes->second}}, path);
}

std::string valid_name(const std::string& name) {
  std::string valid;
  for (const char c : name.substr(0, 100)) {
    const bool allowed = std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
    valid += allowed ? c : '_';
  }
  return valid.empty() ? "imported" : valid;
}

OnnxImport read_network(const std::string& bytes, const std::string& name,
                        std::optional<std::int64_t> resolution) {
  const OnnxGraph file = read_onnx(bytes, resolution);
  Recognized found = recognize(file.graph, valid_name(file.name), file.labels);
  OnnxImport result{.arch = std::move(found.arch)};
  take_architecture(file, result);
  const std::int64_t missing = add_state(result.state, result.arch, file, found.origins);
  result.data = data_of(file, name);
  if (missing > 0) {
    result.notes.push_back(fmt::format(
        "{} batch norms were folded in the file or are missing: here they only add a bias",
        missing));
  }
  if (file.other_epsilons > 0) {
    result.notes.push_back(
        fmt::format("{} batch norms have another epsilon than {:g}: their weights were changed so "
                    "that they compute the same",
                    file.other_epsilons, BatchNormSpec().eps));
  }
  return result;
}

}  // namespace

OnnxImport parse_onnx(const std::string& bytes, const std::string& name,
                      std::optional<std::int64_t> resolution) {
  const std::string what = fmt::format("ONNX file '{}': ", name);
  try {
    return read_network(bytes, name, resolution);
  } catch (const ConfigError& e) {
    throw ConfigError(what + e.what());
  } catch (const IoError& e) {
    throw IoError(what + e.what());
  }
}

OnnxImport from_onnx(const std::string& path, std::optional<std::int64_t> resolution) {
  constexpr std::uint64_t most = (1ull << 31) - 1;  // protobuf's
  return parse_onnx(read_file(path, most), path, resolution);
}

}  // namespace hac
