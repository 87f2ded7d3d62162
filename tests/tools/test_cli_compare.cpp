// hacscale compare: methods under one budget, on trainings that several runs share.

#include <map>

#include "tests/support/cli_fixture.h"

namespace hac {
namespace {

class CliCompare : public Cli {
 protected:
  // Name and time of writing of each file.
  std::map<std::string, fs::file_time_type> trainings() const {
    std::map<std::string, fs::file_time_type> files;
    for (const auto& entry : fs::recursive_directory_iterator(path("trainings"))) {
      if (entry.is_regular_file()) files[entry.path()] = entry.last_write_time();
    }
    return files;
  }

  Words command(const std::string& out) const { return with("--seeds", "1", out); }
  // One option of another value.
  Words with(const std::string& option, const std::string& value, const std::string& out) const {
    std::map<std::string, std::string> options{{"--widths", "8,8,8,8,8,8,8,8"},
                                               {"--data", "synthetic"},
                                               {"--limit-train", "64"},
                                               {"--limit-test", "20"},
                                               {"--epochs", "1"},
                                               {"--batch", "16"},
                                               {"--seeds", "1"},
                                               {"--proxy-epochs", "1"},
                                               {"--proxy-validation", "20"},
                                               {"--latency", "1.5x"},
                                               {"--device-model", "desktop-cpu"},
                                               {"--threads", "1"},
                                               {"--trainings", path("trainings")}};
    options[option] = value;
    Words words{"compare", "vgg11", "--out", path(out)};
    for (const auto& [name, given] : options) words.insert(words.end(), {name, given});
    return words;
  }
};

TEST_F(CliCompare, TrainsAndTellsWhatIsModelled) {
  const Words methods = {"--methods", "uniform-width,hacscale,dp,neuralscale"};
  const Outcome table = succeed(command("a") + methods);
  EXPECT_CONTAINS(table.out, "uniform width", "hacscale (plain)", "NeuralScale", "report: ");
  const json results = json::parse(slurp(path("a/results.json")));
  EXPECT_CONTAINS(results["modelled"].get<std::string>(), "(modelled)");
  ASSERT_EQ(results["table"].size(), 5U);
  const double limit = results["budget"]["latency_ms"];
  for (const json& row : results["table"]) {
    EXPECT_TRUE(row["measured_ms"]["modelled"]) << row["key"];
    EXPECT_EQ(row["measured_ms"]["median"], row["predicted_ms"]) << row["key"];
    if (row["limit"] != "infeasible") {
      EXPECT_LE(row["predicted_ms"], limit) << row["key"];
    }
    EXPECT_EQ(row["top1"]["values"].size(), 1U);
    EXPECT_EQ(row["weights"].size(), 0U) << "results alone are kept where they are shared";
  }
  EXPECT_EQ(results["table"][1]["search"]["trainings"], 0);
  const json law = results["table"][2];
  EXPECT_EQ(law["key"], "hacscale");
  EXPECT_GT(law["search"]["trainings"], 4);
  EXPECT_GT(law["search"]["cpu_seconds"], 0);
  EXPECT_EQ(results["table"][4]["search"]["trainings"], 1) << "one pruning";

  const auto kept = trainings();
  const Outcome again = succeed(command("b") + methods + Words{"--json"});
  EXPECT_TRUE(trainings() == kept) << "something was trained again";
  json second = json::parse(again.out);
  EXPECT_EQ(second["table"], results["table"]);
}

TEST_F(CliCompare, RefusesWhatItCannotDo) {
  Words nowhere = command("a");
  nowhere.erase(nowhere.begin() + 2, nowhere.begin() + 4);
  expect_error(nowhere, 2, {"'--out'"});
  expect_error(with("--methods", "hacscal", "a"), 2, {"did you mean hacscale?"});
  expect_error(with("--device-model", "xavie", "a"), 2, {"xavier"});
  expect_error(with("--seeds", "1,1", "a"), 2, {"different seeds"});
  expect_error(with("--memory", "64MB", "a"), 2, {"memory"});
  expect_error(with("--proxy-validation", "2", "a"), 2, {"validation"});
  expect_error(with("--max-steps", "1", "a"), 2, {"'--max-steps'", "unknown"});
}

}  // namespace
}  // namespace hac
