// Latency models: the regression on a synthetic machine whose truth is known, errors and files; its
// least squares by what makes an answer the best one. The table: test_latency_table.cpp.

#include <cmath>

#include "kernels/core/isa.h"
#include "kernels/core/random.h"
#include "scaling/latency/latency.h"
#include "scaling/latency/latency_source.h"
#include "scaling/latency/nnls.h"
#include "tests/support/messages.h"
#include "tests/support/temp_folder.h"
#include "tests/support/timed_networks.h"

namespace hac {
namespace {

TEST(Regression, RecoversALinearMachine) {
  const LatencyModelPtr model = fit_latency_regression(sampled(linear_machine, 8, 9, 1.25));
  const LatencyError e = prediction_error(*model, sampled(linear_machine, 20, 10, 1.25));
  EXPECT_LT(e.worst, 1e-6);
  EXPECT_GT(e.r2, 1 - 1e-9);
  const Graph g = fuse(lower(slim_vgg()));
  EXPECT_TRUE(model->extrapolated(g).empty());
  EXPECT_NEAR(model->predict(g.ops[0].spec), 1.25 * linear_machine(g.ops[0].spec), 1e-8);
  EXPECT_THROW(model->predict(zoo("preact_resnet18")), ConfigError);
}

TEST(Regression, NeverNegative) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const LatencyModelPtr model = fit_latency_regression(sampled(linear_machine, 6, seed, 1, 0.9));
    for (const double w : {0.05, 1.0, 8.0}) {
      for (const Op& op : fuse(lower(scale_width(slim_vgg(), w, 1))).ops) {
        EXPECT_GE(model->predict(op.spec), 0) << "seed " << seed;
      }
    }
  }
}

TEST(LatencyModels, CrossValidationLeavesNetworksOut) {
  const std::vector<NetworkTiming> timings = sampled(staircase_machine, 15, 11, 1, 0.02);
  const LatencyError table = cross_validate(LatencyModelKind::table, timings, 5, 16);
  EXPECT_EQ(table.networks, 15);
  // A table knows its own networks nearly by heart; others it does not.
  EXPECT_GT(table.median, prediction_error(*fit_latency_table(timings, 16), timings).median);
  EXPECT_LT(table.worst, 0.2);
  EXPECT_GT(cross_validate(LatencyModelKind::regression, timings).r2, 0.8);
  EXPECT_THROW(cross_validate(LatencyModelKind::table, {timings.data(), 3}, 5), ConfigError);
  EXPECT_THROW(cross_validate(LatencyModelKind::table, timings, 1), ConfigError);
}

TEST(LatencyModels, ErrorsAreWhatTheySay) {
  class Fixed final : public LatencyModel {
   public:
    double predict(const OpSpec&) const override { return 1; }
    bool covers(const OpSpec&) const override { return true; }
    std::string name() const override { return "fixed"; }
  };
  const Graph g = fuse(lower(slim_vgg()));
  const auto n = static_cast<double>(g.ops.size());
  std::vector<NetworkTiming> timings(3, {.graph = g});
  timings[0].total_ms = n;
  timings[1].total_ms = n / 2;     // predicted twice as long
  timings[2].total_ms = n * 1.25;  // predicted 20 % short
  const LatencyError e = prediction_error(Fixed(), timings);
  EXPECT_NEAR(e.median, 0.2, 1e-12);
  EXPECT_NEAR(e.worst, 1.0, 1e-12);
  const double mean = n * 2.75 / 3;
  const double total =
      std::pow(n - mean, 2) + std::pow(n / 2 - mean, 2) + std::pow(1.25 * n - mean, 2);
  EXPECT_NEAR(e.r2, 1 - (0.25 + 0.0625) * n * n / total, 1e-12);
}

TEST(LatencyModels, RefuseBadTimings) {
  const NetworkTiming good = time_on(linear_machine, slim_vgg());
  for (const LatencyModelKind kind : {LatencyModelKind::table, LatencyModelKind::regression}) {
    EXPECT_THROW(fit_latency(kind, {}), ConfigError);
    for (int broken = 0; broken < 5; ++broken) {
      NetworkTiming t = good;
      if (broken == 0) t.op_ms[1000] = 1;
      if (broken == 1) t.op_ms[-1] = 1;
      if (broken == 2) t.op_ms[0] = -1;
      if (broken == 3) t.op_ms[0] = NAN;
      if (broken == 4) t.total_ms = 0;
      EXPECT_THROW(fit_latency(kind, {&t, 1}), ConfigError) << broken;
    }
  }
  EXPECT_THROW(fit_latency_table({&good, 1}, 0), ConfigError);
}

const LatencySource here{"some cpu", "f32", 2, "avx2", "oneDNN 2.6.3"};

// A file predicts the same bits, also of networks that were not timed. It knows where it was
// measured and how far off it is, and does not answer for others.
TEST(LatencyModels, FilesAreOfOneSource) {
  const std::vector<NetworkTiming> timings = sampled(staircase_machine, 10, 12, 1.1, 0.2);
  const TempFolder folder;
  const std::string path = folder.file("m.json");
  EXPECT_THROW(load_latency_model(path), IoError);
  for (const LatencyModelKind kind : {LatencyModelKind::table, LatencyModelKind::regression}) {
    const LatencyModelPtr model = fit_latency(kind, timings, here);
    save_latency_model(*model, path);
    const LatencyModelPtr saved = load_latency_model(path);
    EXPECT_EQ(saved->name(), model->name());
    EXPECT_EQ(to_json(*saved), to_json(*model));
    for (const NetworkTiming& t : sampled(staircase_machine, 9, 13)) {
      EXPECT_EQ(saved->predict(t.graph), model->predict(t.graph));
      EXPECT_EQ(saved->extrapolated(t.graph), model->extrapolated(t.graph));
    }
    EXPECT_EQ(saved->source, here);
    const std::shared_ptr<LatencyModel> bare = fit_latency(kind, timings, 8);
    bare->source = model->source;
    bare->error = model->error;
    EXPECT_EQ(to_json(*model), to_json(*bare));
    ASSERT_TRUE(saved->error);
    const LatencyError error = cross_validate(kind, timings, 5, 8);  // as AVX2 lays out
    EXPECT_EQ(saved->error->median, error.median);
    EXPECT_EQ(saved->error->worst, error.worst);
    EXPECT_EQ(saved->error->networks, 10);
    EXPECT_NO_THROW(require_source(*saved, here, "m.json", "do so"));
  }
  const std::shared_ptr<LatencyModel> model = fit_latency_table(timings, 8);
  const auto refusal = [&] {
    return message_of<ConfigError>([&] { require_source(*model, here, "m.json", "--consent"); });
  };
  for (const auto& [member, part] :
       {std::pair{&LatencySource::device, "device: expected 'some cpu', got 'x'"},
        {&LatencySource::dtype, "dtype: expected 'f32', got 'x'"},
        {&LatencySource::isa, "instruction set: expected 'avx2', got 'x'"},
        {&LatencySource::library, "library: expected 'oneDNN 2.6.3', got 'x'"}}) {
    model->source = here;
    (*model->source).*member = "x";
    EXPECT_CONTAINS(refusal(), part);
  }
  model->source = here;
  model->source->threads = 8;
  EXPECT_EQ(refusal(),
            "latency model 'm.json': threads: expected '2', got '8' (hint: measure again, or "
            "--consent)");
  LatencySource half = here;
  half.dtype = "bf16";
  EXPECT_THROW(fit_latency(LatencyModelKind::table, timings, half), ConfigError);
  const LatencyModelPtr unknown = fit_latency(LatencyModelKind::table, timings, 16);
  EXPECT_THROW(require_source(*unknown, here, "m.json", "--consent"), ConfigError);
}

TEST(LatencyModels, TimesOfABusyMachineDecideNothingUnasked) {
  std::vector<NetworkTiming> timings = sampled(staircase_machine, 6, 12);
  const LatencyModelPtr steady = fit_latency(LatencyModelKind::table, timings, here);
  EXPECT_LACKS(to_json(*steady), "unsteady");
  EXPECT_NO_THROW(require_steady(*steady, "m.json"));
  timings[1].unsteady = timings[4].unsteady = "3 of 3 runs waited for a core";
  const LatencyModelPtr busy = fit_latency(LatencyModelKind::table, timings, here);
  const LatencyModelPtr saved = latency_model_from_json(to_json(*busy));
  ASSERT_TRUE(saved->error);
  EXPECT_EQ(saved->error->unsteady, 2);
  EXPECT_ERROR(require_steady(*saved, "m.json"), ConfigError, "got 2 of 6 networks",
               "--allow-unsteady");
}

TEST(LatencyModels, BlocksAreThoseOfTheLayout) {
  for (const char* isa : {"avx512_core", "avx512_core_bf16", ""}) {
    EXPECT_EQ((LatencySource{.isa = isa}.block()), 16) << isa;
  }
  EXPECT_EQ((LatencySource{.isa = "avx2"}.block()), 8);
  EXPECT_EQ((LatencySource{.isa = "neon"}.block()), 4);
  EXPECT_EQ(latency_source({}).block(), cpu::vector_lanes());
}

TEST(LatencyModels, AFileOfAnOlderTableIsRefused) {
  const std::string older = R"({"model": "table", "block": 16, "scale": 1, "layers": [{
      "spec": "maxpool:f32,n1c*h8w8,k2st2p0", "c_in_c_out_ms": [[16, 0, 1]]}]})";
  EXPECT_ERROR(latency_model_from_json(older), ConfigError, "version 2", "older", "measure again");
}

// Values of another type or out of bounds, of any field: tests/tools/test_fields.cpp.
TEST(LatencyModels, HostileJsonIsRefused) {
  const NetworkTiming t = time_on(linear_machine, slim_vgg());
  const std::string table = to_json(*fit_latency_table({&t, 1}));
  const std::string line = to_json(*fit_latency_regression({&t, 1}));
  ASSERT_NO_THROW(latency_model_from_json(table));
  ASSERT_NO_THROW(latency_model_from_json(line));
  for (const std::string& bad :
       {std::string(), std::string("[1]"), std::string("{}"), std::string(R"({"model": "oracle"})"),
        std::string(R"({"model": "table"})"), std::string(R"({"model": "regression"})"),
        table.substr(0, table.size() - 2)}) {
    EXPECT_THROW(latency_model_from_json(bad), ConfigError) << bad.substr(0, 100);
  }
  const std::string points = R"("px_c_in_c_out_ms": [)", kinds = R"("kinds": {)";
  const struct {
    const std::string &text, from, to;
  } cases[] = {{table, R"("block": 16)", R"("block": 0)"},
               {table, R"("scale": )", R"("scale": -)"},
               {table, R"("layers": [)", R"("layers": [1,)"},
               {table, ",st1p1", ",st0p1"},
               {table, "h1", "h-1"},
               {table, "h1", "h32"},
               {table, "n1", "n2"},
               {table, R"("version": 2)", R"("version": 3)"},
               {table, "g1,", "g1e9,"},
               {table, "c*", "c3"},
               {table, R"("spec": ")", R"("spec": 1, "s": ")"},
               {table, points, points + "[64, 16, 16], "},
               {table, points, points + "[0, 16, 16, 1], "},
               {table, points, points + "[64, 16.5, 16, 1], "},
               {table, points, points + "[64, 16, 16, -1], "},
               {table, points, points + "[64, 16, 1e300, 1], "},
               {table, points, points + "[64, 0, 16, 1], "},
               {table, points, points + "[1e300, 16, 16, 1], "},
               {table, points, R"("px_c_in_c_out_ms": [], "x": [)"},
               {line, kinds, kinds + R"("x": [1, 2, 3],)"},
               {line, kinds, kinds + R"("x": [1, 2, 3, -4],)"},
               {line, kinds, R"("kinds": [1], "y": {)"},
               {line, R"("scale")", R"("measured_on": {"device": "x"}, "scale")"}};
  for (const auto& [text, from, to] : cases) {
    EXPECT_THROW(latency_model_from_json(replaced(text, from, to)), ConfigError) << to;
  }
}

using Rows = std::vector<std::vector<double>>;

// Karush, Kuhn and Tucker's conditions, which are enough, as a sum of squares is convex: along no
// column would more of it gain, nor less where there is some.
TEST(Nnls, MeetsTheConditionsOfTheOptimum) {
  int bound = 0;  // how often a constraint binds
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Philox random{seed, 7};
    const std::size_t n = 1 + random.below(0, 5), m = n + random.below(1, 6);
    Rows a(m, std::vector<double>(n));
    std::vector<double> y(m);
    for (std::size_t i = 0; i < m; ++i) {
      for (std::size_t j = 0; j < n; ++j) a[i][j] = random.normal(100 + i * n + j);
      y[i] = random.normal(1000 + i);
    }
    const std::vector<double> x = nnls(a, y);
    ASSERT_EQ(x.size(), n);
    std::vector<double> left = y;
    for (std::size_t i = 0; i < m; ++i) {
      for (std::size_t j = 0; j < n; ++j) left[i] -= a[i][j] * x[j];
    }
    for (std::size_t j = 0; j < n; ++j) {
      double gain = 0;
      for (std::size_t i = 0; i < m; ++i) gain += a[i][j] * left[i];
      EXPECT_GE(x[j], 0);
      EXPECT_LE(x[j] > 0 ? std::abs(gain) : gain, 1e-9) << "seed " << seed << " column " << j;
      bound += x[j] == 0;
    }
  }
  EXPECT_GT(bound, 50);
}

TEST(Nnls, DependentColumnsAndZeros) {
  const Rows a = {{1, 2, 0}, {2, 4, 0}, {3, 6, 0}};
  const std::vector<double> x = nnls(a, {1, 2, 3});
  EXPECT_NEAR(x[0] + 2 * x[1], 1, 1e-12);
  EXPECT_EQ(x[2], 0);
  EXPECT_EQ(nnls(a, {0, 0, 0}), (std::vector<double>{0, 0, 0}));
  EXPECT_EQ(nnls(a, {-1, -1, -1}), (std::vector<double>{0, 0, 0}));
  EXPECT_THROW(nnls({}, {}), ConfigError);
  EXPECT_THROW(nnls({{1, 2}, {1}}, {1, 2}), ConfigError);
  EXPECT_THROW(nnls({{NAN}}, {1}), ConfigError);
}

}  // namespace
}  // namespace hac
