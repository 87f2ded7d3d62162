// The energy of the result table: by a meter where there is one, else the reason. RAPL is a tree of
// files here, whose counter moves with the protocol's clock.

#include "models/zoo/zoo.h"
#include "scaling/experiment/experiment_latency.h"
#include "tests/support/temp_folder.h"

namespace hac {
namespace {

class Energy : public InFolder {
 protected:
  Energy() {
    on.machine = this_machine();
    on.meters.sysfs_root = folder.file("");
    on.energy = {.warmup_seconds = 0,
                 .seconds = 0.02,
                 .repetitions = 2,
                 .phase_seconds = 0,
                 .idle_seconds = 0.02,
                 .now = [this] { return time += 1e-3; },
                 .sleep = [this](double seconds) { time += seconds; }};
  }
  void write(const std::string& name, std::int64_t value) {
    folder.write("sys/class/powercap/intel-rapl:0/" + name, std::to_string(value) + "\n");
  }
  void add_rapl() {
    folder.write("sys/class/powercap/intel-rapl:0/name", "package-0\n");
    write("max_energy_range_uj", 1'000'000'000);
    write("energy_uj", 0);
  }
  MeasuredEnergy measure() {
    StageCache stages(folder.file("stages"), true);
    return measure_energies(stages, on, recipe, {net});
  }

  MeasuredOn on;
  Recipe recipe;
  double time = 0;
  Architecture net = scale_width(zoo("vgg11"), 0.125);
};

TEST_F(Energy, IsMeasuredOnceAndKept) {
  add_rapl();
  on.energy.now = [this] {
    write("energy_uj", static_cast<std::int64_t>(1e6 * (time += 1e-3)));  // one watt
    return time;
  };
  const MeasuredEnergy energy = measure();
  on.energy.now = [this] { return time += 1e-3; };
  EXPECT_EQ(energy.reason, "");
  ASSERT_EQ(energy.of.size(), 1u);
  EXPECT_EQ(energy.of[0].meter, "RAPL");
  EXPECT_NEAR(energy.of[0].watts, 1, 0.2);
  EXPECT_GT(energy.of[0].inferences, 0);
  const MeasuredEnergy again = measure();  // the counter stands still: nothing is measured
  ASSERT_EQ(again.of.size(), 1u) << again.reason;
  EXPECT_EQ(again.of[0].raw.mean, energy.of[0].raw.mean);
  EXPECT_EQ(again.of[0].update, energy.of[0].update);
}

TEST_F(Energy, IsNotThereWithAReason) {
  const MeasuredEnergy none = measure();
  EXPECT_TRUE(none.of.empty());
  EXPECT_EQ(none.reason.find("no meter: "), 0u) << none.reason;
  EXPECT_FALSE(std::filesystem::exists(folder.file("stages/energy.json")));
  add_rapl();
  EXPECT_NE(measure().reason.find("expected energy"), std::string::npos) << "it stands still";
}

}  // namespace
}  // namespace hac
