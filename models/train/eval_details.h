#pragma once
// An evaluation beyond its accuracy: which classes are confused, how far confidence can be trusted,
// and which images are the worst.

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/sets/dataset.h"
#include "engine/io/fields.h"
#include "models/train/evaluate.h"

namespace hac {

// Images whose confidence lies in one of equal parts of (0, 1].
struct ReliabilityBin {
  std::int64_t images = 0;
  double confidence = 0, accuracy = 0;  // means; 0 where there are no images

  Fields fields() {
    return Fields().add("images", images).add("confidence", confidence).add("accuracy", accuracy);
  }
};

struct WorstImage {
  std::int64_t index = 0;  // in the set
  std::int64_t label = 0, guess = 0;
  double confidence = 0, loss = 0;
  std::string name;     // Dataset::name
  std::string picture;  // a data URI, or ""

  Fields fields() {
    return Fields()
        .add("index", index)
        .add("label", label)
        .add("guess", guess)
        .add("confidence", confidence)
        .add("loss", loss)
        .add("name", name, {.omit = name.empty()})
        .add("picture", picture, {.omit = picture.empty()});
  }
};

struct EvalDetails {
  static constexpr int bins = 15;
  static constexpr std::size_t shown_images = 16;

  // Expected calibration error (Guo et al., ICML 2017, eq. 3): the sum over bins of
  // images / all * |accuracy - confidence|.
  double ece = 0;
  double brier = 0;  // mean of Prediction::brier: 0 to 2 (Brier 1950)
  // Bin b is (b / bins, (b + 1) / bins], as theirs.
  std::vector<ReliabilityBin> reliability;
  std::vector<std::string> classes;  // names
  // Label, guess, images: the cells of the matrix that are not zero, row after row.
  std::vector<std::array<std::int64_t, 3>> confusion;
  std::vector<WorstImage> worst;  // of the highest loss, that first

  Fields fields() {
    return Fields()
        .add("ece", ece)
        .add("brier", brier)
        .add("reliability", reliability)
        .add("classes", classes)
        .add("confusion", confusion)
        .add("worst", worst);
  }
};

// Of details that were read from a file. Throws ConfigError, calling them `what`: a class that has
// no name, or another number of bins.
void validate(const EvalDetails& details, const std::string& what);

// predictions: of each image of the set, in its order; else ShapeError. None: no details.
EvalDetails eval_details(const Dataset& set, std::span<const Prediction> predictions,
                         std::size_t worst = EvalDetails::shown_images);
// Reads the worst images, of which pages show this. Throws IoError for a file that is gone.
void add_pictures(EvalDetails& details, const Dataset& set, std::int64_t side = 96);

// A row and a column of the confusion matrix.
struct ClassResult {
  std::int64_t images = 0, correct = 0;
  std::int64_t guesses = 0;  // images of any class that were taken for this one
  // The class that its images are most often taken for by mistake, of equals the first; -1: none.
  std::int64_t mistaken_for = -1, mistakes = 0;
};
std::vector<ClassResult> by_class(const EvalDetails& details);

// The cells off the diagonal with the most images, the most first, of equals the first.
std::vector<std::array<std::int64_t, 3>> most_confused(const EvalDetails& details, std::size_t n);

}  // namespace hac
