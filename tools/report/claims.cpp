#include "tools/report/claims.h"

#include <fmt/format.h>

#include <algorithm>

#include "tools/report/html.h"
#include "tools/report/report.h"
#include "tools/report/text.h"

namespace hac {

namespace report {

std::string claims_section(const Results& results) {
  if (results.claims.empty()) return "";
  std::string html =
      "<h2>The paper's claims here</h2>\n<div class=\"scroll\"><table class=\"results claims\">"
      "<thead><tr><th scope=\"col\">claim</th><th scope=\"col\">verdict</th>"
      "<th scope=\"col\">figures</th></tr></thead>\n<tbody>\n";
  for (const Claim& c : results.claims) {
    html += fmt::format(
        "<tr><th scope=\"row\">{}<small>{}</small></th>"
        "<td class=\"word\" data-label=\"verdict\"><span><b>{}</b></span></td>"
        "<td class=\"word\" data-label=\"figures\"><span>{}</span></td></tr>\n",
        escape(c.claim), escape(c.place), to_string(c.verdict), prose(c.figures));
  }
  return html +
         "</tbody></table></div>\n<p class=\"soft\">Accuracies are compared seed by seed, by "
         "Student's t with Holm's correction for all comparisons of the table, or of the values of "
         "alpha; at equal cost means within 10&nbsp;%. A utilization moves beyond 5&nbsp;%. What "
         "the noise hides cannot be told.</p>\n";
}

}  // namespace report

std::string render_claims(const Results& results) {
  if (results.claims.empty()) return "";
  std::string text = "The paper's claims here\n";
  for (const Claim& c : results.claims) {
    const std::string figures = fmt::format("{:16}{}\n", "", c.figures);
    text += fmt::format("{:16}{} ({})\n", to_string(c.verdict), c.claim, c.place) + figures;
  }
  return text;
}

}  // namespace hac
