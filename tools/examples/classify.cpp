// Classifies images with a trained network. usage: classify MODEL.safetensors IMAGE...
#include <cstdio>

#include "scaling/api/hacscale.h"

using namespace hac;

int main(int argc, char** argv) try {
  if (argc < 3) throw ConfigError("usage: classify MODEL.safetensors IMAGE...");
  const std::string file = argv[1];
  const std::optional<TrainedOn> trained = checkpoint_data(file);
  if (!trained) throw IoError("'" + file + "' does not say how its images are prepared");
  Model model(checkpoint_architecture(file));
  load_weights(file, model);
  InferenceSession session(model);
  for (int i = 2; i < argc; ++i) {
    const Guess best = classify(session, argv[i], *trained, 1).front();
    std::printf("%s: %s (%.1f %%)\n", argv[i], best.name.c_str(), 100 * best.probability);
  }
} catch (const Error& error) {
  print(stderr, std::string("classify: ") + error.what() + "\n");
  return error.exit_code();
}
