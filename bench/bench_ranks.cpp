// Steps of one training on the ranks of mpirun, or alone: how long one takes, and how much of it is
// spent in the group's collectives and in waiting for the slower rank.
// usage: [mpirun -np N] bench_ranks [--network vgg11] [--resolution 32] [--batch 128] [--shards S]
//   [--threads T] [--warm 3] [--steps 20] [--json]

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "bench/bench.h"
#include "data/sets/derived_set.h"
#include "data/sets/image_set.h"
#include "engine/io/fields_json.h"
#include "engine/parallel/communicator.h"
#include "kernels/core/context.h"
#include "kernels/core/error.h"
#include "kernels/core/machine.h"
#include "kernels/core/random.h"
#include "models/arch/counters.h"
#include "models/train/train.h"
#include "models/zoo/arch_options.h"

using namespace hac;
using nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

namespace {

struct Options {
  std::string network = "vgg11";
  std::optional<double> width;
  std::int64_t resolution = 32;
  std::int64_t batch = 128;  // of all ranks
  std::int64_t shards = 0;   // 0: one a rank
  std::int64_t threads = 0;  // of a rank; 0: as many as it has cores
  std::int64_t warm = 3, steps = 20;

  Fields fields() {
    return Fields()
        .add("network", network)
        .add("width", width, "", {.optional = true})
        .add("resolution", resolution, {1, 4096})
        .add("batch", batch, {1, 65536})
        .add("shards", shards, {0, 65536})
        .add("threads", threads, {0, 1024})
        .add("warm", warm, {1, 1000})
        .add("steps", steps, {1, 100000});
  }
};

// Ranks meet before each collective, so that waiting is told from sending.
class TimedGroup final : public Group {
 public:
  explicit TimedGroup(Group& group) : group_(group) {}
  int rank() const override { return group_.rank(); }
  int size() const override { return group_.size(); }

  std::vector<std::string> gather(std::string_view bytes) override {
    std::vector<std::string> all;
    time([&] { all = group_.gather(bytes); });
    for (const std::string& given : all) received_ += given.size();
    received_ -= bytes.size();
    return all;
  }
  void exchange(std::span<const float> out, std::span<float> in) override {
    time([&] { group_.exchange(out, in); });
    received_ += in.size_bytes() / size() * (size() - 1);
  }
  void collect(std::span<const float> out, std::span<float> in) override {
    time([&] { group_.collect(out, in); });
    received_ += in.size_bytes() - out.size_bytes();
  }

  double waited() const { return waited_; }  // milliseconds
  double sent() const { return sent_; }
  std::size_t received() const { return received_; }

 private:
  void time(const std::function<void()>& call) {
    waited_ += bench::milliseconds([&] { group_.gather({}); });
    sent_ += bench::milliseconds(call);
  }

  Group& group_;
  double waited_ = 0, sent_ = 0;
  std::size_t received_ = 0;
};

// Where a training is when a step begins.
struct Mark {
  Clock::time_point when;
  double waited = 0, sent = 0;
  std::size_t received = 0;
};

class Marks final : public StepObserver {
 public:
  explicit Marks(const TimedGroup* group) : group_(group) {}
  bool wants(std::int64_t, std::int64_t) const override {
    Mark mark{.when = Clock::now()};
    if (group_) {
      mark.waited = group_->waited();
      mark.sent = group_->sent();
      mark.received = group_->received();
    }
    marks_.push_back(mark);
    return false;
  }
  void accumulate(const Model&, const Tensor&) override {}
  void count_step() override {}
  std::map<std::string, Tensor> state() const override { return {}; }
  void load_state(const std::map<std::string, Tensor>&) override {}
  const std::vector<Mark>& marks() const { return marks_; }

 private:
  const TimedGroup* const group_;
  mutable std::vector<Mark> marks_;
};

// Random images, each of a batch again and again.
DatasetPtr images(const Architecture& arch, std::int64_t batch, std::int64_t batches) {
  ImageSet set{.channels = arch.channels, .resolution = arch.resolution};
  for (std::int64_t c = 0; c < arch.classes; ++c) set.classes.push_back(std::to_string(c));
  const Philox random{1};
  for (std::int64_t i = 0; i < batch * arch.channels * arch.resolution * arch.resolution; ++i) {
    set.pixels.push_back(static_cast<std::uint8_t>(random.bits(i)));
  }
  std::vector<std::int64_t> order;
  for (std::int64_t i = 0; i < batch; ++i) {
    set.labels.push_back(static_cast<std::int32_t>(i % std::min<std::int64_t>(10, arch.classes)));
  }
  for (std::int64_t i = 0; i < batch * batches; ++i) order.push_back(i % batch);
  return subset(in_memory(std::move(set)), std::move(order));
}

// Milliseconds of a copy of so many bytes, the median; all ranks copy at once.
double copy_ms(Group& group, std::size_t bytes) {
  std::vector<char> from(bytes, 1), to(bytes);
  std::vector<double> times;
  for (int i = 0; i < 9; ++i) {
    group.gather({});
    times.push_back(bench::milliseconds([&] { std::memcpy(to.data(), from.data(), bytes); }));
  }
  return median(times);
}

std::vector<int> own_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  ::sched_getaffinity(0, sizeof set, &set);
  std::vector<int> cpus;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &set)) cpus.push_back(i);
  }
  return cpus;
}

// Medians over the steps that count.
ordered_json measured(const Options& o, const std::vector<Mark>& marks) {
  std::vector<double> step, waited, sent;
  for (std::int64_t i = o.warm; i < o.warm + o.steps; ++i) {
    const Mark &a = marks[i], &b = marks[i + 1];
    step.push_back(std::chrono::duration<double, std::milli>(b.when - a.when).count());
    waited.push_back(b.waited - a.waited);
    sent.push_back(b.sent - a.sent);
  }
  return {{"step_ms", median(step)}, {"waiting_ms", median(waited)}, {"sending_ms", median(sent)}};
}

TrainConfig config_of(const Options& o, Group* group) {
  TrainConfig config{.data = {.name = "synthetic"}, .epochs = 1, .batch = o.batch};
  config.accumulate = o.shards > 0 ? o.shards : group ? group->size() : 1;
  config.augment = config.shuffle = false;
  config.schedule = {.kind = ScheduleKind::constant, .lr = 0.001};
  config.max_steps = o.warm + o.steps + 1;
  config.quiet = true;
  config.group = group;
  return config;
}

// Of rank 0 what is printed: the mean of its and the others' figures.
ordered_json run(const Options& o, Communicator* world) {
  std::optional<TimedGroup> group;
  if (world) group.emplace(*world);
  ArchOptions changes{.width = o.width, .resolution = o.resolution};
  const Architecture arch = resolve(o.network, changes);
  const TrainConfig config = config_of(o, world ? &*group : nullptr);
  DataSplit data;
  data.train = images(arch, o.batch, config.max_steps + 1);
  data.test = images(arch, 1, 1);
  Model model(arch, 1);
  Marks marks(world ? &*group : nullptr);
  train(model, data, config, &marks);
  ordered_json own = measured(o, marks.marks());
  const std::size_t received = marks.marks()[o.warm + 1].received - marks.marks()[o.warm].received;
  own["copy_ms"] = world ? copy_ms(*world, received) : 0;
  const std::vector<std::string> given =
      world ? world->gather(own.dump()) : std::vector{own.dump()};
  const std::vector<std::string> cpus =
      world ? world->gather(fmt::format("{}", fmt::join(own_cpus(), ",")))
            : std::vector{fmt::format("{}", fmt::join(own_cpus(), ","))};
  for (auto& [key, value] : own.items()) {
    std::vector<double> all;
    for (const std::string& text : given) all.push_back(ordered_json::parse(text).at(key));
    value = mean(all);
  }
  const Machine machine = this_machine();
  own.update(
      {{"images_per_second", 1e3 * static_cast<double>(o.batch) / own["step_ms"].get<double>()},
       {"received_bytes", received},
       {"network", o.network},
       {"parameters", count(arch).params},
       {"resolution", o.resolution},
       {"batch", o.batch},
       {"shards", config.accumulate},
       {"ranks", cpus.size()},
       {"threads", num_threads()},
       {"cpus", cpus},
       {"machine", fmt::format("{}, {}, oneDNN {}", machine.cpu, machine.isa, machine.onednn)}});
  return own;
}

void print_text(const ordered_json& r) {
  const double step = r["step_ms"];
  const auto line = [&](const char* what, const char* key, const std::string& more) {
    const double ms = r[key];
    fmt::print("  {:<30}{:>9.2f} ms  {:5.1f} %{}\n", what, ms, 100 * ms / step, more);
  };
  fmt::print("{}, {} pixels, batch {} in {} parts, {} ranks x {} threads on cores {}; {}\n",
             r["network"].get<std::string>(), r["resolution"].get<int>(), r["batch"].get<int>(),
             r["shards"].get<int>(), r["ranks"].get<int>(), r["threads"].get<int>(),
             fmt::join(r["cpus"].get<std::vector<std::string>>(), " | "),
             r["machine"].get<std::string>());
  line("step", "step_ms", fmt::format("  {:.0f} images/s", r["images_per_second"].get<double>()));
  if (r["ranks"] == 1) return;
  line("in collectives", "sending_ms", "");
  line("floor: a copy of as much", "copy_ms",
       fmt::format("  {:.1f} MB a rank", 1e-6 * r["received_bytes"].get<double>()));
  line("waiting for the slower rank", "waiting_ms", "");
}

Options parse(int argc, char** argv, bool& as_json) {
  nlohmann::json given = nlohmann::json::object();
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--json") {
      as_json = true;
    } else if (!word.starts_with("--") || ++i == argc) {
      throw ConfigError(fmt::format("'{}': expected an option and its value", word));
    } else {
      const auto value = nlohmann::json::parse(argv[i], nullptr, false);
      given[word.substr(2)] = value.is_discarded() ? nlohmann::json(argv[i]) : value;
    }
  }
  Options o;
  read_json(given, o.fields(), "option", "", {.complete = false});
  return o;
}

}  // namespace

int main(int argc, char** argv) {
  limit_openmp_spinning(argv);
  try {
    bool as_json = false;
    const Options o = parse(argc, argv, as_json);
    // Closed by what ends well alone: a rank that failed is for the launcher to notice.
    Communicator* const world = launched().size > 1 ? open_communicator().release() : nullptr;
    if (o.threads > 0) set_num_threads(static_cast<int>(o.threads));
    const ordered_json result = run(o, world);
    const bool leads = rank_of(world) == 0;
    delete world;
    if (leads && as_json) fmt::print("{}\n", result.dump());
    if (leads && !as_json) print_text(result);
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "bench_ranks: {}\n", e.what());
    return 1;
  }
}
