#pragma once
// What networks do class by class: a section of a run's report, the page of `hacscale eval`.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "scaling/experiment/results.h"
#include "tools/report/figures.h"

namespace hac::report {

// A class, as tables and files have it; `network` where rows of several stand in one file.
struct ClassRow {
  std::string network, name;
  std::int64_t images = 0;
  double top1 = unknown, low = unknown, high = unknown;  // 95 % (Wilson); unknown of no images
  double precision = unknown;                            // of the images that were taken for it
  std::string mistaken_for;                              // the most often; "": never
  double mistaken = unknown;                             // so often, of its images

  Fields fields() {
    return Fields()
        .add("network", network, {.omit = network.empty()})
        .add("class", name)
        .add("images", images)
        .add("top1", top1)
        .add("low", low)
        .add("high", high)
        .add("precision", precision)
        .add("mistaken_for", mistaken_for)
        .add("mistaken", mistaken);
  }
};
std::vector<ClassRow> class_rows(const EvalDetails& details);

std::string name_of(const NetworkEvaluation& evaluation);  // with its seed

// Confusion matrix, reliability, classes and worst images of the most accurate whole evaluation,
// reliability and classes beside those of the first whole one; none where there is none. With their
// files.
std::vector<Figure> evaluation_figures(std::span<const NetworkEvaluation> evaluations);
// A section of a page: a table of all of them and the figures, or one sentence; says so where they
// are fewer than the networks that they are of.
std::string render_evaluations(std::span<const NetworkEvaluation> evaluations,
                               std::size_t networks);
// The section of one network as a page of its own; `data` names the set.
std::string render_evaluation_page(const NetworkEvaluation& evaluation, const std::string& data);

}  // namespace hac::report
