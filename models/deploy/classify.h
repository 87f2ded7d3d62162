#pragma once
// What a trained network sees in an image file.

#include <cstddef>
#include <string>
#include <vector>

#include "models/deploy/inference_session.h"
#include "models/train/trained_on.h"

namespace hac {

struct Guess {
  std::string name;
  std::size_t index = 0;
  double probability = 0;  // softmax
};

// The `top` classes of highest score, best first, of equals the lower index, of a file that is
// prepared as the training saw its images. Throws IoError, and Error for outputs that are not
// finite.
std::vector<Guess> classify(InferenceSession& net, const std::string& path,
                            const TrainedOn& trained, std::size_t top);

}  // namespace hac
