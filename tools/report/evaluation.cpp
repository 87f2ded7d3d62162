#include "tools/report/evaluation.h"

#include <fmt/format.h>

#include "tools/report/html.h"
#include "tools/report/text.h"

namespace hac::report {
namespace {

using Evaluations = std::span<const NetworkEvaluation>;

std::string cell(const char* label, const std::string& html) {
  return fmt::format("<td data-label=\"{}\"><span>{}</span></td>", label, html);
}

std::string top_cell(const char* label, double top, std::int64_t images) {
  const Interval i = interval95(top, images);
  return cell(label, fmt::format("{:.2f}<small>{:.2f} to {:.2f}</small>", 100 * top, 100 * i.low,
                                 100 * i.high));
}

std::string table_of(Evaluations evaluations) {
  std::string html =
      "<div class=\"scroll\"><table class=\"results\"><thead><tr><th scope=\"col\">network</th>"
      "<th scope=\"col\">top-1<small>%</small></th><th scope=\"col\">top-5<small>%</small></th>"
      "<th scope=\"col\">loss</th><th scope=\"col\">calibration error<small>%</small></th>"
      "<th scope=\"col\">Brier score</th></tr></thead>\n<tbody>\n";
  for (const NetworkEvaluation& e : evaluations) {
    html += fmt::format("<tr><th scope=\"row\">{}</th>", escape(name_of(e))) +
            top_cell("top-1 (%)", e.result.top1, e.result.images) +
            top_cell("top-5 (%)", e.result.top5, e.result.images) +
            cell("loss", fmt::format("{:.4f}", e.result.loss)) +
            cell("calibration error (%)", fmt::format("{:.2f}", 100 * e.details.ece)) +
            cell("Brier score", fmt::format("{:.4f}", e.details.brier)) + "</tr>\n";
  }
  return html + "</tbody></table></div>\n" +
         fmt::format(
             "<p class=\"soft\">Of {} test images; ranges: 95&nbsp;% (Wilson). Loss: mean negative "
             "log-likelihood. Calibration error: expected, over {} equal bins of confidence (Guo "
             "et al. 2017). Brier score: 0 is perfect, 2 the worst.</p>\n",
             evaluations[0].result.images, EvalDetails::bins);
}

}  // namespace

std::string render_evaluations(Evaluations evaluations, std::size_t networks) {
  std::string html = "<section>\n<h2>Class by class</h2>\n";
  const std::string why =
      "whose trainings were kept by an earlier version, as accuracies alone; hacscale eval makes "
      "one of weights";
  if (evaluations.empty()) {
    return html + "<p>This run has no evaluation by class: it is of networks " + why +
           ".</p>\n</section>\n";
  }
  html += table_of(evaluations);
  if (evaluations.size() < networks) {
    html += fmt::format(
        "<p class=\"soft\">{} of {} networks have no evaluation by class: those {}.</p>\n",
        networks - evaluations.size(), networks, why);
  }
  html += "<div class=\"figures\">\n";
  for (const Figure& figure : evaluation_figures(evaluations)) html += render_figure(figure);
  return html + "</div>\n</section>\n";
}

std::string render_evaluation_page(const NetworkEvaluation& e, const std::string& data) {
  return render_frame(e.network, fmt::format("<h1>HACScale: {}</h1>\n<p class=\"soft\">on {}</p>\n",
                                             escape(e.network), escape(data)) +
                                     render_evaluations({&e, 1}, 1));
}

}  // namespace hac::report
