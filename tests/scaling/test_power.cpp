// Meters on trees of files made here and on a stand-in for NVML; the measuring protocol on a clock
// and a meter that the test moves itself.

#include <dlfcn.h>

#include <cmath>
#include <regex>

#include "scaling/measure/power.h"
#include "tests/support/cli_fixture.h"

namespace hac {
namespace {

constexpr Device kCpu{};
constexpr Device kGpu{DeviceKind::cuda, 0};
const std::string kHwmon = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3/";
const std::string kHwmon2 = "sys/bus/i2c/drivers/ina3221/1-0041/hwmon/hwmon4/";
const std::string kIio = "sys/bus/i2c/drivers/ina3221x/";
const std::string kRapl = "sys/class/powercap/intel-rapl:";

class Meter : public ::testing::Test {
 protected:
  Meter() {
    options.sysfs_root = folder.file("");
    options.nvml = folder.file("no-such-library.so");
    options.sample_seconds = 0;
    options.bus_id = [](Device) { return ""; };  // whatever GPU is here
    options.now = [this] { return time; };
  }
  // Renamed into place, as a reader must never see half a value.
  void write(const std::string& path, const std::string& text) {
    const fs::path to = folder.file(path);
    fs::create_directories(to.parent_path());
    std::ofstream(to.string() + ".new") << text << '\n';
    fs::rename(to.string() + ".new", to);
  }
  void rail(const std::string& chip, int n, const std::string& label, int mv, int ma) {
    const std::string i = std::to_string(n);
    write(chip + "in" + i + "_label", label);
    write(chip + "in" + i + "_input", std::to_string(mv));
    write(chip + "curr" + i + "_input", std::to_string(ma));
  }
  void iio(const std::string& chip, int n, const std::string& label, int mw) {
    const std::string i = std::to_string(n);
    write(kIio + chip + "rail_name_" + i, label);
    write(kIio + chip + "in_power" + i + "_input", std::to_string(mw));
  }
  void package(int n, const std::string& name, std::int64_t uj,
               std::int64_t range = 1'000'000'000) {
    const std::string zone = kRapl + std::to_string(n) + "/";
    write(zone + "name", name);
    write(zone + "energy_uj", std::to_string(uj));
    write(zone + "max_energy_range_uj", std::to_string(range));
  }
  PowerMeter open(Device device) const { return open_meter(device, options); }
  void expect_none(Device device, const std::vector<std::string>& parts) {
    const std::string reason = message_of<DeviceError>([&] { open(device); });
    EXPECT_TRUE(reason.starts_with("no meter: ")) << reason;
    EXPECT_LACKS(reason, "\n");
    for (const std::string& part : parts) EXPECT_CONTAINS(reason, part);
  }

  TempFolder folder;
  MeterOptions options;
  double time = 100;
};

TEST_F(Meter, EmptyTreeNamesEverythingThatWasLookedFor) {
  expect_none(kCpu, {"INA3221", "sys/bus/i2c", "RAPL", "sys/class/powercap"});
  expect_none(kGpu, {"NVML", "no-such-library.so", "INA3221"});
  expect_none({DeviceKind::simt, 0}, {"simt"});
}

TEST_F(Meter, OrinNxTakesTheModulesTotalRail) {
  rail(kHwmon, 3, "VDD_IN", 5000, 2000);  // not the first: found by its label
  rail(kHwmon, 1, "VDD_CPU_GPU_CV", 5000, 600);
  rail(kHwmon, 2, "VDD_SOC", 5000, 300);
  write(kHwmon + "in7_label", "sum of shunt voltages");
  write(kHwmon + "in7_input", "12345");
  const PowerMeter meter = open(kGpu);
  EXPECT_EQ(meter.name, "INA3221");
  EXPECT_EQ(meter.covers, "VDD_IN: module total");
  EXPECT_DOUBLE_EQ(meter.joules(), 0);
  time += 2;
  EXPECT_DOUBLE_EQ(meter.joules(), 20);  // 10 W
  rail(kHwmon, 3, "VDD_IN", 5000, 4000);
  time += 1;
  EXPECT_DOUBLE_EQ(meter.joules(), 35);  // trapezoid from 10 W to 20 W
  EXPECT_EQ(open(kCpu).name, "INA3221") << "the board's meter is the processor's too";
}

TEST_F(Meter, AgxXavierHasNoTotalSoItsRailsAreSummed) {
  rail(kHwmon, 1, "GPU", 19000, 100);
  rail(kHwmon, 2, "CPU", 19000, 200);
  rail(kHwmon, 3, "SOC", 19000, 300);
  rail(kHwmon2, 1, "CV", 19000, 10);
  rail(kHwmon2, 2, "VDDRQ", 19000, 20);
  rail(kHwmon2, 3, "SYS5V", 5000, 1000);
  // What a kernel shows besides: shunts, their sum with a current, a line that leads nowhere, one
  // that is switched off.
  write(kHwmon + "in4_input", "7");
  rail(kHwmon, 7, "sum of shunt voltages", 99999, 99999);
  rail(kHwmon2, 8, "NC", 99999, 99999);
  rail(kHwmon2, 9, "VDD_OFF", 99999, 99999);
  write(kHwmon2 + "in9_enable", "0");
  const PowerMeter meter = open(kGpu);
  EXPECT_EQ(meter.covers, "GPU + CPU + SOC + CV + VDDRQ + SYS5V: sum of rails");
  time += 10;
  EXPECT_NEAR(meter.joules(), 10 * (19 * 0.63 + 5), 1e-9);
}

TEST_F(Meter, JetPack4Tx2ReadsMilliwatts) {
  iio("0-0040/iio:device0/", 0, "VDD_SYS_GPU", 152);
  iio("0-0040/iio:device0/", 1, "VDD_SYS_SOC", 380);
  iio("0-0041/iio:device1/", 0, "VDD_IN", 2750);
  iio("0-0041/iio:device1/", 1, "VDD_SYS_CPU", 305);
  const PowerMeter meter = open(kGpu);
  EXPECT_EQ(meter.covers, "VDD_IN: module total");
  time += 4;
  EXPECT_DOUBLE_EQ(meter.joules(), 11);
}

TEST_F(Meter, TheSamplerSeesWhatHappensBetweenReadings) {
  rail(kHwmon, 1, "VDD_IN", 5000, 1000);
  options.sample_seconds = 0.005;
  options.now = {};
  const PowerMeter meter = open(kGpu);
  const auto start = std::chrono::steady_clock::now();
  rail(kHwmon, 1, "VDD_IN", 5000, 9000);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  rail(kHwmon, 1, "VDD_IN", 5000, 1000);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const double joules = meter.joules();
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
  EXPECT_GT(joules, 1.5 * 5 * passed.count()) << "two readings of 5 W would not know of the 45 W";
  EXPECT_LT(joules, 45 * passed.count() + 0.1);
}

TEST_F(Meter, ABrokenSampleIsBridgedAndABrokenReadingReported) {
  rail(kHwmon, 1, "VDD_IN", 5000, 1000);
  const PowerMeter meter = open(kGpu);
  write(kHwmon + "curr1_input", "12 mA");
  time += 1;
  EXPECT_THROW(meter.joules(), DeviceError);
  write(kHwmon + "curr1_input", "1000");
  time += 1;
  EXPECT_DOUBLE_EQ(meter.joules(), 10);
}

TEST_F(Meter, RaplAddsPackagesAcrossTheWrapOfTheirCounters) {
  package(0, "package-0", 900'000'000);
  package(1, "package-1", 100'000'000, 200'000'000);
  package(2, "psys", 7);
  write(kRapl + "0:0/name", "core");
  const PowerMeter meter = open(kCpu);
  EXPECT_EQ(meter.name, "RAPL");
  EXPECT_EQ(meter.covers, "2 packages");
  EXPECT_DOUBLE_EQ(meter.joules(), 0);
  package(0, "package-0", 950'000'000);
  EXPECT_DOUBLE_EQ(meter.joules(), 50);
  package(0, "package-0", 20'000'000);                // 50 J to its end and 20 J more
  package(1, "package-1", 130'000'000, 200'000'000);  // 30 J
  EXPECT_DOUBLE_EQ(meter.joules(), 150);
  package(1, "package-1", 0, 200'000'000);  // 70 J
  EXPECT_DOUBLE_EQ(meter.joules(), 220);
  package(0, "package-0", 2'000'000'000);
  EXPECT_THROW(meter.joules(), DeviceError) << "beyond its range";
}

TEST_F(Meter, UnreadableFilesAreAReason) {
  package(0, "package-0", 5);
  const fs::path counter = folder.file(kRapl + "0/energy_uj");
  fs::permissions(counter, fs::perms::owner_read);
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(counter.c_str(), 0, 0), 0);
    ASSERT_EQ(::seteuid(65534), 0);
    expect_none(kCpu, {"energy_uj", "Permission denied", "only root"});
    ASSERT_EQ(::seteuid(0), 0);
  }
  fs::remove(counter);
  expect_none(kCpu, {"energy_uj", "No such file"});
  fs::create_directory(counter);
  expect_none(kCpu, {"RAPL", "energy_uj"});
}

TEST_F(Meter, MalformedNumbersAreAReason) {
  for (const char* text : {"", "abc", "12abc", "99999999999999999999999", "-5", " 7"}) {
    package(0, "package-0", 5);
    write(kRapl + "0/energy_uj", text);
    expect_none(kCpu, {"energy_uj"});
  }
  package(0, "package-0", 5);
  write(kRapl + "0/energy_uj", std::string(5000, '1'));
  expect_none(kCpu, {"energy_uj"});
  rail(kHwmon, 1, "VDD_IN", 5000, 1000);
  write(kHwmon + "in1_input", "5.0e3");
  expect_none(kGpu, {"in1_input", "5.0e3"});
}

class Nvml : public Meter {
 protected:
  Nvml() {
    options.nvml = HAC_FAKE_NVML;
    library = ::dlopen(HAC_FAKE_NVML, RTLD_NOW);
    set = reinterpret_cast<void (*)(unsigned, int)>(::dlsym(library, "fake_nvml_set"));
    energy =
        reinterpret_cast<void (*)(int, unsigned long long)>(::dlsym(library, "fake_nvml_energy"));
    users = reinterpret_cast<int (*)()>(::dlsym(library, "fake_nvml_users"));
    set(1, 0);
    energy(0, 1'000'000);
  }
  ~Nvml() override { ::dlclose(library); }
  void* library;
  void (*set)(unsigned, int);
  void (*energy)(int, unsigned long long);
  int (*users)();
};

TEST_F(Nvml, CountsMillijoulesSinceItWasOpened) {
  {
    const PowerMeter meter = open(kGpu);
    EXPECT_EQ(meter.name, "NVML: Fake A");
    EXPECT_EQ(meter.covers, "GPU");
    EXPECT_DOUBLE_EQ(meter.joules(), 0);
    energy(0, 1'012'500);
    EXPECT_DOUBLE_EQ(meter.joules(), 12.5);
    energy(0, 3);
    EXPECT_THROW(meter.joules(), DeviceError) << "the driver was loaded again";
    EXPECT_EQ(users(), 1);
  }
  EXPECT_EQ(users(), 0) << "shut down with the meter";
}

TEST_F(Nvml, ChoosesAmongSeveralByPciBusIdOnly) {
  set(2, 0);
  expect_none(kGpu, {"NVML", "2 GPUs", "PCI bus id"});
  options.pci_bus_id = "0000:86:00.0";
  const PowerMeter meter = open(kGpu);
  EXPECT_EQ(meter.name, "NVML: Fake B");
  energy(1, 2005);
  EXPECT_DOUBLE_EQ(meter.joules(), 2);
  options.pci_bus_id = "0000:ff:00.0";
  expect_none(kGpu, {"0000:ff:00.0"});
}

// CUDA's first device may be NVML's second.
TEST_F(Nvml, AsksTheDeviceForItsPciBusId) {
  set(2, 0);
  options.bus_id = [](Device device) {
    return device.index == 0 ? "0000:86:00.0" : "0000:3b:00.0";
  };
  EXPECT_EQ(open(kGpu).name, "NVML: Fake B");
  EXPECT_EQ(open({DeviceKind::cuda, 1}).name, "NVML: Fake A");
}

TEST_F(Nvml, ErrorsKeepItsOwnWords) {
  set(1, 9);
  expect_none(kGpu, {"NVML", "Driver Not Loaded"});
  EXPECT_EQ(users(), 0);
  set(1, 0);
  const PowerMeter meter = open(kGpu);
  set(1, 3);
  EXPECT_THROW(meter.joules(), DeviceError);
}

TEST_F(Nvml, ALibraryWithoutTheCallsIsAReason) {
  options.nvml = "libm.so.6";
  expect_none(kGpu, {"NVML", "nvmlInit_v2"});
}

// A device that draws idle watts always and joules_per_run more for each inference of run_seconds.
struct FakeDevice {
  double time = 50, joules = 7, idle = 10, run_seconds = 0.01, joules_per_run = 0.3;
  double idle_change = 0;  // watts more at rest after the first inference
  std::int64_t runs = 0;
  std::function<double()> reading = [this] { return joules; };

  void pass(double seconds) {
    time += seconds;
    joules += (idle + (runs > 0 ? idle_change : 0)) * seconds;
  }
  EnergyResult measure(EnergyOptions o = {}) {
    o.now = [this] { return time; };
    o.sleep = [this](double s) { pass(s); };
    return measure_energy(
        {.name = "fake", .covers = "GPU", .update = "exact", .joules = reading},
        [this] {
          ++runs;
          pass(run_seconds);
          joules += joules_per_run;
        },
        o);
  }
};

TEST(MeasureEnergy, GivesRawAndIdleSubtractedJoulesOfAnInference) {
  FakeDevice device;
  const EnergyResult e = device.measure();
  EXPECT_NEAR(e.raw.mean, 0.3 + 10 * 0.01, 1e-9);
  EXPECT_NEAR(e.net.mean, 0.3, 1e-9);
  EXPECT_NEAR(e.raw.high - e.raw.low, 0, 1e-9);
  EXPECT_NEAR(e.watts, 40, 1e-9);
  EXPECT_NEAR(e.idle_watts_before, 10, 1e-9);
  EXPECT_NEAR(e.idle_watts_after, 10, 1e-9);
  EXPECT_NEAR(e.ms_per_inference, 10, 1e-9);
  EXPECT_NEAR(static_cast<double>(e.inferences), 4 * 500, 4);
  EXPECT_GT(device.runs, e.inferences + 200) << "warm-up and phases are not counted";
  EXPECT_EQ(e.repetitions, 4);
  EXPECT_EQ(e.meter, "fake");
}

TEST(MeasureEnergy, TakesIdlePowerFromBothEnds) {
  FakeDevice device{.idle_change = 4};
  const EnergyResult e = device.measure();
  EXPECT_NEAR(e.idle_watts_before, 10, 1e-9);
  EXPECT_NEAR(e.idle_watts_after, 14, 1e-9);
  EXPECT_NEAR(e.net.mean, 0.3 + (14 - 12) * 0.01, 1e-9);
}

TEST(MeasureEnergy, ShowsTheSpreadOfTheRepetitions) {
  FakeDevice device;
  // A counter that is updated once a second, as seen by 2.5 s of inferences.
  device.reading = [&] { return std::floor(device.time) * 40; };
  const EnergyResult e = device.measure({.warmup_seconds = 0, .seconds = 2.5});
  EXPECT_LT(e.raw.low, e.raw.mean);
  EXPECT_GT(e.raw.high, e.raw.mean);
  EXPECT_LE(e.raw.high, 40 * 3 * 0.01 / 2.5 + 1e-9);
}

TEST(MeasureEnergy, RepetitionsStartAtDifferentPhases) {
  FakeDevice device{.run_seconds = 0.001};
  std::vector<double> starts;
  device.reading = [&] {
    starts.push_back(device.time);
    return device.joules;
  };
  device.measure({.phase_seconds = 1});
  ASSERT_EQ(starts.size(), 12u);  // before and after, of two rests and four repetitions
  std::vector<double> gaps;
  for (int r = 1; r < 4; ++r) gaps.push_back(starts[2 + 2 * r] - starts[1 + 2 * r]);
  for (const double gap : gaps) EXPECT_TRUE(gap >= 0 && gap <= 1.002) << gap;
  EXPECT_NE(gaps[0], gaps[1]);
  EXPECT_NE(gaps[1], gaps[2]);
}

TEST(MeasureEnergy, CountsImages) {
  FakeDevice device;
  const EnergyResult e = device.measure({.seconds = 0.995, .inferences_per_run = 8});
  EXPECT_EQ(e.inferences, 4 * 100 * 8);
  EXPECT_NEAR(e.net.mean, 0.3 / 8, 1e-9);
  EXPECT_NEAR(e.ms_per_inference, 10. / 8, 1e-9);
}

TEST(MeasureEnergy, RefusesAMeterThatStandsStillAndBadOptions) {
  FakeDevice still{.idle = 0, .joules_per_run = 0};
  EXPECT_THROW(still.measure(), DeviceError);
  FakeDevice device;
  EXPECT_THROW(device.measure({.seconds = 0}), ConfigError);
  EXPECT_THROW(device.measure({.repetitions = 0}), ConfigError);
  EXPECT_THROW(device.measure({.idle_seconds = -1}), ConfigError);
  EXPECT_THROW(device.measure({.idle_seconds = std::nan("")}), ConfigError);
  EXPECT_THROW(device.measure({.inferences_per_run = 0}), ConfigError);
}

// The program where nothing was asked for: a reason, never a silent null.
TEST_F(Cli, ProfileSaysWhyItHasNoEnergy) {
  const Words words = "profile" + tiny_model + " --runs 2 --warmup 0";
  const Outcome table = succeed(words);
  const std::size_t at = table.out.find("energy ");
  ASSERT_NE(at, std::string::npos) << table.out;
  const std::string line = table.out.substr(at, table.out.find('\n', at) - at);
  EXPECT_TRUE(std::regex_search(line, std::regex("no meter: |--energy"))) << line;
  const json j = json_of(words);
  EXPECT_TRUE(j.at("energy").is_null());
  EXPECT_CONTAINS(line, j.at("energy_reason").get<std::string>());
}

TEST(MeasureEnergy, PlansMoreThanTwentySeconds) {
  EXPECT_NEAR(planned_seconds({}), 2 + 20 + 4 * 5.5, 1e-12);
}

}  // namespace
}  // namespace hac
