#pragma once
// Non-negative least squares: min |A x - y|^2 with x >= 0, by the active set method of Lawson and
// Hanson (1974, chapter 23). Columns may be linearly dependent.

#include <vector>

namespace hac {

// `rows` are the rows of A, all of one length; y has one entry a row. Throws ConfigError when sizes
// differ or an entry is not finite.
std::vector<double> nnls(const std::vector<std::vector<double>>& rows,
                         const std::vector<double>& y);

}  // namespace hac
