// Latency models: the table and the regression on synthetic machines whose truth is known, and the
// files.

#include <cmath>

#include "kernels/core/isa.h"
#include "kernels/core/random.h"
#include "models/arch/counters.h"
#include "models/zoo/zoo.h"
#include "scaling/importance/sampling.h"
#include "scaling/latency/latency.h"
#include "scaling/latency/latency_source.h"
#include "scaling/latency/nnls.h"
#include "tests/support/messages.h"
#include "tests/support/temp_folder.h"

namespace hac {
namespace {

// A machine: what an operation takes, and what a network adds.
using Machine = double (*)(const OpSpec&);

double linear_machine(const OpSpec& op) {
  if (op.kind() == "flatten") return 0;
  const Cost cost = op.cost();
  return 0.002 + 1.5e-8 * static_cast<double>(cost.macs) +
         2e-8 * static_cast<double>(cost.weight_bytes) +
         1e-8 * static_cast<double>(cost.activation_bytes);
}

// Channels cost by blocks of 16.
double staircase_machine(const OpSpec& op) {
  if (op.kind() == "flatten") return 0;
  const Shape shape = op.in_shape();
  const std::int64_t pixels = shape.rank() == 4 ? shape[2] * shape[3] : 1;
  const auto in = static_cast<double>(round_up(op.widths().in, 16));
  const auto out = static_cast<double>(round_up(op.widths().out, 16));
  return 0.003 + static_cast<double>(pixels) * (1e-7 * in + 3e-7 * out + 2e-8 * in * out);
}

NetworkTiming time_on(Machine machine, const Architecture& arch, double between = 1,
                      double noise = 0, std::uint64_t seed = 0) {
  NetworkTiming t{.graph = fuse(lower(arch))};
  const Philox random{seed, 3};
  for (int op = 0; op < static_cast<int>(t.graph.ops.size()); ++op) {
    const double exact = machine(t.graph.ops[op].spec);
    if (exact == 0) continue;  // absent
    const double ms = exact * (1 + noise * (2 * random.uniform(op) - 1));
    t.op_ms[op] = ms;
    t.total_ms += between * ms;
  }
  return t;
}

Architecture slim_vgg() {
  const Architecture vgg = zoo("vgg11");
  return scale_width(vgg, 0.25, 8);
}

std::vector<NetworkTiming> sampled(Machine machine, int n, std::uint64_t seed, double between = 1,
                                   double noise = 0) {
  const Architecture arch = slim_vgg();
  std::vector<NetworkTiming> timings;
  for (const auto& w : sample_widths(widths(arch), {.kind = SamplingKind::latin_hypercube,
                                                   .samples = n,
                                                   .low = 0.5,
                                                   .high = 4,
                                                   .round_to = 4,
                                                   .seed = seed})) {
    timings.push_back(time_on(machine, with_widths(arch, w), between, noise, timings.size()));
  }
  return timings;
}

TEST(Table, ExactAtTheNodes) {
  const std::vector<NetworkTiming> timings = sampled(staircase_machine, 8, 1, 1, 0.3);
  const LatencyModelPtr model = fit_latency_table(timings, 16);
  // Noise differs where two networks share a node, so check networks fitted alone.
  for (const NetworkTiming& t : timings) {
    const LatencyModelPtr alone = fit_latency_table({&t, 1}, 16);
    for (const auto& [op, ms] : t.op_ms) {
      EXPECT_NEAR(alone->predict(t.graph.ops[op].spec), ms, 1e-12);
    }
    EXPECT_NEAR(alone->predict(t.graph), t.total_ms, 1e-12);
    EXPECT_TRUE(model->extrapolated(t.graph).empty());
  }
}

TEST(Table, NodesSharedByNetworksAreAveraged) {
  const Architecture arch = slim_vgg();
  NetworkTiming a = time_on(linear_machine, arch), b = a;
  for (auto& [op, ms] : b.op_ms) ms *= 3;
  b.total_ms *= 3;
  const std::vector<NetworkTiming> both = {a, b};
  EXPECT_NEAR(fit_latency_table(both)->predict(a.graph.ops[0].spec), 2 * a.op_ms[0] * 1.0,
              1e-9);  // median of the ratios 1/2 and 3/2 is 1
}

TEST(Table, StaircaseInBlocksAndMonotone) {
  const LatencyModelPtr model = fit_latency_table(sampled(staircase_machine, 10, 2), 16);
  const Architecture arch = slim_vgg();
  for (std::size_t l = 0; l < widths(arch).size(); ++l) {
    double last = 0;
    for (std::int64_t c = 1; c <= 4 * widths(arch)[l]; ++c) {
      std::vector<std::int64_t> w = widths(arch);
      w[l] = c;
      const double ms = model->predict(with_widths(arch, w));
      if (c > 1 && (c - 1) % 16 != 0) {
        // The widths themselves are rounded up: all of a block costs the same (layers before the
        // classifier, whose input is not channels alone, included).
        EXPECT_EQ(ms, last) << "layer " << l << " width " << c;
      }
      EXPECT_GE(ms, last * (1 - 1e-9)) << "layer " << l << " width " << c;
      last = ms;
    }
  }
}

TEST(Table, HeldOutNetworksOfAStaircaseMachine) {
  const std::vector<NetworkTiming> fitted = sampled(staircase_machine, 12, 3, 1.2);
  const std::vector<NetworkTiming> held = sampled(staircase_machine, 20, 4, 1.2);
  const LatencyError e = prediction_error(*fit_latency_table(fitted, 16), held);
  EXPECT_EQ(e.networks, 20);
  EXPECT_LT(e.median, 0.01);
  EXPECT_LT(e.worst, 0.05);
  EXPECT_GT(e.r2, 0.99);
}

// A machine that the surface cannot follow: between the nodes their ratios to it count. The answer
// is worked out here from the formula of the header.
TEST(Table, RatiosAreInterpolatedBetweenNodes) {
  const auto pool = [](std::int64_t c, double ms) {
    NetworkTiming t{.graph = {.input = {1, c, 8, 8}}};
    t.graph.ops.push_back({.spec = Pool2dSpec{.n = 1, .c = c, .h = 8, .w = 8}, .inputs = {-1}});
    t.op_ms[0] = t.total_ms = ms;
    return t;
  };
  const std::vector<NetworkTiming> timings = {pool(16, 1), pool(64, 3), pool(256, 3)};
  const LatencyModelPtr model = fit_latency_table(timings, 16);
  // Relative least squares of p0 + p1 c, then rho = ms / f at the three nodes.
  const std::vector<double> p =
      nnls({{1, 16}, {1.0 / 3, 64.0 / 3}, {1.0 / 3, 256.0 / 3}}, {1, 1, 1});
  const auto f = [&](double c) { return p[0] + p[1] * c; };
  double weights = 0, rho = 0;
  for (const NetworkTiming& t : timings) {
    const auto c = static_cast<double>(t.graph.input[1]);
    const double weight = 1 / std::pow(std::log(c / 128), 2);
    weights += weight;
    rho += weight * t.total_ms / f(c);
  }
  EXPECT_NEAR(model->predict(pool(128, 1).graph), f(128) * rho / weights, 1e-9);
  EXPECT_GT(std::abs(rho / weights - 1), 0.05);  // the surface alone would miss
}

TEST(Table, NoiseStaysBounded) {
  const std::vector<NetworkTiming> fitted = sampled(staircase_machine, 12, 5, 1.1, 0.1);
  const std::vector<NetworkTiming> held = sampled(staircase_machine, 20, 6, 1.1);
  EXPECT_LT(prediction_error(*fit_latency_table(fitted, 16), held).worst, 0.1);
}

TEST(Table, OutOfRangeScalesByMacsAndIsReported) {
  const Architecture arch = slim_vgg();
  const NetworkTiming t = time_on(staircase_machine, arch);
  const LatencyModelPtr model = fit_latency_table({&t, 1}, 16);
  std::vector<std::int64_t> w = widths(arch);
  w[0] *= 4;  // 16 -> 64: the stem's output and the next layer's input leave the table
  const Graph wide = fuse(lower(with_widths(arch, w)));
  EXPECT_NEAR(model->predict(wide.ops[0].spec), 4 * t.op_ms.at(0), 1e-12);
  EXPECT_FALSE(model->covers(wide.ops[0].spec));
  const std::vector<std::string> lines = model->extrapolated(wide);
  ASSERT_FALSE(lines.empty());
  EXPECT_CONTAINS(lines[0], "features.0");
}

TEST(Table, UnknownSizesBorrowTheMostSimilarKey) {
  const LatencyModelPtr model = fit_latency_table(sampled(staircase_machine, 10, 7), 16);
  const Graph large = fuse(lower(with_resolution(slim_vgg(), 40)));
  const double predicted = model->predict(large);
  const double truth = time_on(staircase_machine, with_resolution(slim_vgg(), 40)).total_ms;
  EXPECT_NEAR(predicted / truth, 1, 0.2);
  EXPECT_FALSE(model->extrapolated(large).empty());
  // An untied residual network grows projections that no timed network had.
  const Architecture res = with_resolution(zoo("preact_resnet18"), 64);
  const NetworkTiming t = time_on(staircase_machine, res);
  std::vector<std::int64_t> w = widths(res);
  w[4] += 16;  // out of stage 1's second block: its shortcut becomes a 1x1 convolution
  const LatencyModelPtr resnet = fit_latency_table({&t, 1}, 16);
  EXPECT_GT(resnet->predict(with_widths(res, w)), resnet->predict(res));
}

TEST(Table, RefusesAKindThatWasNeverTimed) {
  const LatencyModelPtr model = fit_latency_table(sampled(staircase_machine, 5, 8), 16);
  EXPECT_THROW(model->predict(zoo("preact_resnet18")), ConfigError);  // lone batch norms
}

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
    std::string to_json() const override { return "{}"; }
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

TEST(LatencyModels, FilesPredictTheSameBits) {
  const std::vector<NetworkTiming> timings = sampled(staircase_machine, 9, 12, 1.1, 0.2);
  const std::vector<NetworkTiming> others = sampled(staircase_machine, 9, 13);
  const TempFolder folder;
  for (const LatencyModelKind kind : {LatencyModelKind::table, LatencyModelKind::regression}) {
    const LatencyModelPtr model = fit_latency(kind, timings, 16);
    const std::string path = folder.file(model->name() + ".json");
    save_latency_model(*model, path);
    const LatencyModelPtr loaded = load_latency_model(path);
    EXPECT_EQ(loaded->name(), model->name());
    EXPECT_EQ(loaded->to_json(), model->to_json());
    for (const NetworkTiming& t : others) {
      EXPECT_EQ(loaded->predict(t.graph), model->predict(t.graph));
      EXPECT_EQ(loaded->extrapolated(t.graph), model->extrapolated(t.graph));
    }
  }
  EXPECT_THROW(load_latency_model(folder.file("absent.json")), IoError);
}

// A saved model knows where it was measured and how far off it is, and does not answer for others.
TEST(LatencyModels, AreOfOneSource) {
  const LatencySource here{"some cpu", "f32", 2, "avx2", "oneDNN 2.6.3"};
  const std::vector<NetworkTiming> timings = sampled(staircase_machine, 10, 12, 1.1, 0.2);
  for (const LatencyModelKind kind : {LatencyModelKind::table, LatencyModelKind::regression}) {
    const LatencyModelPtr model = fit_latency(kind, timings, here);
    const LatencyModelPtr saved = latency_model_from_json(to_json(*model));
    EXPECT_EQ(saved->source, here);
    EXPECT_EQ(model->to_json(), fit_latency(kind, timings, 8)->to_json());
    ASSERT_TRUE(saved->error);
    const LatencyError error = cross_validate(kind, timings, 5, 8);  // as AVX2 lays out
    EXPECT_EQ(saved->error->median, error.median);
    EXPECT_EQ(saved->error->worst, error.worst);
    EXPECT_EQ(saved->error->networks, 10);
    EXPECT_EQ(saved->predict(timings[0].graph), model->predict(timings[0].graph));
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
  const LatencySource here{"some cpu", "f32", 2, "avx2", "oneDNN 2.6.3"};
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

// Values of another type or out of bounds, of any field: tests/tools/test_fields.cpp.
TEST(LatencyModels, HostileJsonIsRefused) {
  const NetworkTiming t = time_on(linear_machine, slim_vgg());
  const std::string table = fit_latency_table({&t, 1})->to_json();
  const std::string line = fit_latency_regression({&t, 1})->to_json();
  ASSERT_NO_THROW(latency_model_from_json(table));
  ASSERT_NO_THROW(latency_model_from_json(line));
  for (const std::string& bad :
       {std::string(), std::string("[1]"), std::string("{}"), std::string(R"({"model": "oracle"})"),
        std::string(R"({"model": "table"})"), std::string(R"({"model": "regression"})"),
        table.substr(0, table.size() - 2)}) {
    EXPECT_THROW(latency_model_from_json(bad), ConfigError) << bad.substr(0, 100);
  }
  const std::string points = R"("c_in_c_out_ms": [)", kinds = R"("kinds": {)";
  const struct {
    const std::string &text, from, to;
  } cases[] = {{table, R"("block": 16)", R"("block": 0)"},
               {table, R"("scale": )", R"("scale": -)"},
               {table, R"("layers": [)", R"("layers": [1,)"},
               {table, ",st1p1", ",st0p1"},
               {table, "h32", "h-32"},
               {table, "g1,", "g1e9,"},
               {table, "c*", "c3"},
               {table, R"("spec": ")", R"("spec": 1, "s": ")"},
               {table, points, points + "[16, 16], "},
               {table, points, points + "[0, 16, 1], "},
               {table, points, points + "[16.5, 16, 1], "},
               {table, points, points + "[16, 16, -1], "},
               {table, points, points + "[16, 1e300, 1], "},
               {table, points, R"("c_in_c_out_ms": [], "x": [)"},
               {line, kinds, kinds + R"("x": [1, 2, 3],)"},
               {line, kinds, kinds + R"("x": [1, 2, 3, -4],)"},
               {line, kinds, R"("kinds": [1], "y": {)"},
               {line, R"("scale")", R"("measured_on": {"device": "x"}, "scale")"}};
  for (const auto& [text, from, to] : cases) {
    EXPECT_THROW(latency_model_from_json(replaced(text, from, to)), ConfigError) << to;
  }
}

}  // namespace
}  // namespace hac
