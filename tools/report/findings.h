#pragma once
// What the figures show, in words computed from the numbers.
//
// House rule of honesty: two accuracies differ only when their intervals do not overlap, a latency
// or utilization only when it moves by more than 5 %.

#include <string>

#include "scaling/experiment/results.h"

namespace hac::report {

enum class Verdict { above, below, overlaps, unknown };
Verdict compare(const Accuracy& a, const Accuracy& b);

// The row named "baseline", else the first; null for an empty table.
const TableRow* find_baseline(const Results& results);

// The baseline first, then by top-1, the best first; without one last.
std::vector<const TableRow*> ordered_rows(const Results& results);
bool infeasible(const TableRow& row);  // not within the budget

std::string intervals_text(const Results& results);  // what the error bars are

// Of an inference; unknown where no meter measured it.
double millijoules(const TableRow& row);
double gmacs_per_joule(const TableRow& row);  // GMAC/s per watt
bool any_energy(const Results& results);
// "12, 3.4 min": the trainings of a method's search and their time; "-" where it trained nothing.
std::string search_text(const TableRow& row);
bool any_search(const Results& results);

// "modelled: DEVICE"; "" where latencies were measured.
std::string modelled_text(const Results& results);
std::string latency_label(const Results& results);  // of an axis
// "Jetson AGX Xavier", of the source of a device model.
std::string modelled_device(const std::string& source);

// How many latencies a busy machine disturbed; "" if none.
std::string unsteady_text(const Results& results);

// Against the baseline beyond intervals, each with its factor of `cost`, then the order of the best
// two scaled methods.
std::string accuracy_finding(const Results& results, double (*cost)(const TableRow&),
                             const std::string& cost_name);
std::string device_finding(const Results& results);
std::string sweep_finding(const std::vector<Sweep>& sweeps);
std::string importance_finding(const Results& results);
std::string alpha_finding(const Results& results);
std::string widths_finding(const Results& results);
std::string steps_finding(const Results& results);
std::string gap_finding(const Results& results);
std::string latency_model_finding(const Results& results);

}  // namespace hac::report
