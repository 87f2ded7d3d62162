// The file that remembers measured plans: its text, what is refused, and where it lies. No GPU and
// no cuDNN needed; tests/kernels/test_autotune.cpp has the choice itself.

#include "kernels/core/tuned_plans.h"

#include <cstdlib>
#include <optional>

#include "engine/device/plan_options.h"
#include "engine/io/file.h"
#include "tests/support/messages.h"
#include "tests/support/temp_folder.h"

namespace hac {
namespace {

const TunedPlans kPlans{
    {{"NVIDIA H100 80GB HBM3, sm_90, 132 SMs", "cudnn 91900", "deterministic,strict,268435456",
      "conv2d:f32,n1c3h32w32,k64r3s3,st1p1g1"},
     {12, {{2, 3}, {17, -1}}, 12.345}},
    {{"Orin", "cudnn 91900", "any order,tf32,0", "conv2d:f16,n1c3h32w32,k64r3s3,st1p1g1"},
     {0, {}, 0.5}}};

std::string refusal(const std::string& text) {
  return message_of<IoError>([&] { parse_tuned_plans(text, "plans.txt"); });
}

// An environment variable for as long as it lives; null unsets it.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    value ? ::setenv(name, value, 1) : ::unsetenv(name);
  }
  ~Variable() { old_ ? ::setenv(name_, old_->c_str(), 1) : ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
  std::optional<std::string> old_;
};

TEST(TunedPlans, TextAndBack) {
  const std::string text = to_text(kPlans);
  EXPECT_EQ(parse_tuned_plans(text, "plans.txt"), kPlans) << text;
  EXPECT_EQ(to_text({}).find('\n'), to_text({}).size() - 1);
  EXPECT_EQ(parse_tuned_plans(to_text({}), "plans.txt"), TunedPlans{});
  EXPECT_EQ(parse_tuned_plans("", "plans.txt"), TunedPlans{});
  // What a person reads: a line a plan, the fields in the order that the first line names.
  EXPECT_CONTAINS(text,
                  "\nOrin\tcudnn 91900\tany order,tf32,0\t"
                  "conv2d:f16,n1c3h32w32,k64r3s3,st1p1g1\t0\t-\t0.500\n",
                  "\t12\t2=3,17=-1\t12.345\n");
}

TEST(TunedPlans, DamagedTextIsRefusedWithItsLine) {
  const std::string good = to_text(kPlans);
  EXPECT_CONTAINS(refusal("something else\n"), "'plans.txt', line 1");
  EXPECT_CONTAINS(refusal(replaced(good, "plans 1", "plans 2")), "line 1");
  for (std::size_t n = 1; n < good.size(); ++n) {
    const bool at_line_end = good[n - 1] == '\n';
    EXPECT_EQ(refusal(good.substr(0, n)).empty(), at_line_end) << "cut at " << n;
  }
  const std::string head = to_text({});
  for (const char* line :
       {"a\tb\tc\td\t1\t-", "a\tb\tc\td\tx\t-\t1", "a\tb\tc\td\t-1\t-\t1", "a\tb\tc\td\t1\t2\t1",
        "a\tb\tc\td\t1\t2=\t1", "a\tb\tc\td\t1\t2=3,\t1", "a\tb\tc\td\t1\t\t1",
        "a\tb\tc\td\t1\t-\tnan", "a\tb\tc\td\t1\t-\t-1", "a\tb\tc\td\t1\t-\t1\t2",
        "a\tb\tc\td\t99999999999999999999\t-\t1", "a\tb\tc\td\t1\t-\t1\r", ""}) {
    EXPECT_CONTAINS(refusal(head + "x\tb\tc\td\t1\t-\t1\n" + line + "\n"), "'plans.txt', line 3")
        << line;
  }
  EXPECT_CONTAINS(refusal(good + good.substr(good.find('\n') + 1)), "once");
}

TEST(TunedPlans, OnlyADeviceThatHasThemCanChoose) {
  EXPECT_THROW(autotune({DeviceKind::simt, 0}, ""), ConfigError);
  EXPECT_THROW(allow_tf32({DeviceKind::simt, 0}), ConfigError);
  EXPECT_THROW(allow_tf32({}), ConfigError);
  EXPECT_THROW(autotune({DeviceKind::cuda, 4096}, ""), DeviceError);
}

TEST(TunedPlans, LieWhereTheUserSays) {
  const Variable file("HAC_PLAN_CACHE", nullptr), cache("XDG_CACHE_HOME", "/cache");
  const Variable home("HOME", "/one");
  EXPECT_EQ(plan_cache_path(), "/cache/hacscale/plans.txt");
  {
    const Variable relative("XDG_CACHE_HOME", "cache");
    EXPECT_EQ(plan_cache_path(), "/one/.cache/hacscale/plans.txt");
    const Variable homeless("HOME", nullptr);
    EXPECT_THROW(plan_cache_path(), ConfigError);
  }
  const Variable said("HAC_PLAN_CACHE", "plans.txt");
  EXPECT_EQ(plan_cache_path(), "plans.txt");
}

TEST(TunedPlans, AreDescribed) {
  const TempFolder folder;
  const std::string file = folder.file("plans.txt");
  EXPECT_EQ(describe_plan_cache(file), "");
  write_file_atomically(file, to_text(kPlans));
  EXPECT_EQ(describe_plan_cache(file), file + ", 2 plans");
  write_file_atomically(file, "damaged");
  EXPECT_CONTAINS(describe_plan_cache(file), "line 1");
}

}  // namespace
}  // namespace hac
