// Specs as text: told apart, checked, read back.

#include <set>

#include "models/arch/counters.h"
#include "models/zoo/zoo.h"
#include "tests/support/messages.h"

namespace hac {
namespace {

TEST(Specs, TextTellsEveryFieldApart) {
  const Conv2dSpec conv{.n = 128, .c = 64, .h = 32, .w = 32, .k = 128};
  EXPECT_EQ(conv.str(), "conv2d:f32,n128c64h32w32,k128r3s3,st1p1g1");
  Conv2dSpec other = conv;
  other.add = true;
  other.activation = Activation::relu;
  other.pass = Pass::inference;
  EXPECT_EQ(other.str(), conv.str() + ",add,relu,inference");
  EXPECT_EQ(other.cost().activation_bytes - conv.cost().activation_bytes,
            4 * conv.out_shape().numel())
      << "the residual is read too";
  BatchNormSpec norm{.n = 1, .c = 2, .h = 3, .w = 4, .activation = Activation::relu};
  EXPECT_EQ(norm.str(), "batchnorm:f32,n1c2h3w4,relu,eps1e-05");
  Pool2dSpec pool{.n = 1, .c = 2, .h = 5, .w = 7};
  EXPECT_EQ(pool.str(), "maxpool:f32,n1c2h5w7,k2st2p0");
  EXPECT_EQ(pool.out_shape(), Shape({1, 2, 2, 3}));
  pool.mode = PoolMode::global_avg;
  EXPECT_EQ(pool.str(), "globalavgpool:f32,n1c2h5w7");
  EXPECT_EQ(pool.cost().ops_thop, 2 * (5 * 7 + 1));
}

template <class Spec>
using Mistakes = std::vector<std::pair<std::int64_t Spec::*, std::int64_t>>;

template <class Spec>
void expect_checked(const Spec& good, const Mistakes<Spec>& mistakes) {
  EXPECT_NO_THROW(good.validate());
  for (const auto& [field, value] : mistakes) {
    Spec bad = good;
    bad.*field = value;
    EXPECT_THROW(bad.validate(), ShapeError) << bad.str();
  }
}

TEST(Specs, AreCheckedBeforeUse) {
  using C = Conv2dSpec;
  using P = Pool2dSpec;
  const Mistakes<C> convs = {{&C::n, 0},      {&C::k, 0},      {&C::stride, 0}, {&C::pad, -1},
                             {&C::groups, 3}, {&C::groups, 0}, {&C::r, 8},      {&C::s, 8}};
  expect_checked(C{.n = 1, .c = 4, .h = 5, .w = 5, .k = 4}, convs);
  const Mistakes<P> pools = {{&P::h, 0},      {&P::kernel, 0}, {&P::kernel, 6},
                             {&P::stride, 0}, {&P::pad, 2},    {&P::pad, -1}};
  expect_checked(P{.n = 1, .c = 4, .h = 5, .w = 5}, pools);
}

TEST(Specs, WithoutWidthsIsTheKeyOfATable) {
  const Graph slim = fuse(lower(scale_width(zoo("vgg11"), 0.25, 8))),
              wide = fuse(lower(zoo("vgg11")));
  ASSERT_EQ(slim.ops.size(), wide.ops.size());
  for (std::size_t i = 0; i < slim.ops.size(); ++i) {
    EXPECT_EQ(slim.ops[i].spec.with({}), wide.ops[i].spec.with({})) << i;
  }
  const OpSpec stem = wide.ops[0].spec;
  EXPECT_EQ(stem.widths(), (Widths{3, 64}));
  EXPECT_EQ(stem.with({}).str(), "conv2d:f32,n1c*h32w32,k*r3s3,st1p1g1,bias,relu,inference");
  const OpSpec depthwise = Conv2dSpec{.c = 8, .h = 5, .w = 5, .k = 8, .groups = 8};
  EXPECT_EQ(depthwise.with({}).str(), "conv2d:f32,n1c*h5w5,k*r3s3,st1p1g*");
  EXPECT_EQ(depthwise.with({}).with({24, 24}).str(), "conv2d:f32,n1c24h5w5,k24r3s3,st1p1g24");
}

// Every operation of the zoo, in training and in inference, with its widths and without.
TEST(Specs, IsReadFromItsText) {
  std::set<std::string> kinds;
  for (const std::string& name : zoo_names()) {
    Architecture arch = zoo(name);
    arch.layers.insert(arch.layers.end() - 1, {Dropout{.p = 0.25f}, Activate{}});
    for (const Dtype dtype : {Dtype::f32, Dtype::bf16}) {
      const Graph training = lower(arch, 3, dtype);
      for (const Graph& graph : {training, fuse(training)}) {
        for (const Op& op : graph.ops) {
          kinds.insert(op.spec.kind());
          for (const OpSpec& spec : {op.spec, op.spec.with({})}) {
            EXPECT_EQ(parse_spec(spec.str()), spec) << spec.str();
          }
          EXPECT_EQ(op.spec.with({}).with(op.spec.widths()), op.spec) << op.spec.str();
        }
      }
    }
  }
  for (const char* kind : {"conv2d", "batchnorm", "relu", "add", "maxpool", "globalavgpool",
                           "flatten", "dropout", "linear"}) {
    EXPECT_TRUE(kinds.contains(kind)) << kind;
  }
}

TEST(Specs, SeedsAreReadWhole) {
  const OpSpec dropout = DropoutSpec{.shape = {2, 8}, .seed = ~std::uint64_t{0}, .offset = 1 << 30};
  EXPECT_EQ(parse_spec(dropout.str()), dropout);
}

TEST(Specs, OtherTextsAreRefused) {
  const std::string good = "conv2d:f32,n1c3h32w32,k64r3s3,st1p1g1";
  ASSERT_NO_THROW(parse_spec(good));
  for (const std::string more : {",", ",gelu", "\n", "conv2d:f32,n1c3h32w32,k64r3s3,st1p1g1"}) {
    EXPECT_THROW(parse_spec(good + more), ConfigError) << more;
  }
  for (const char* bad :
       {"", "conv2d", "conv2d:f32,n0c3h32w32,k64r3s3,st1p1g1",
        "conv2d:f32,n1c0h32w32,k64r3s3,st1p1g1", "conv2d:f32,n1c3h32w32,k64r3s3,st0p1g1",
        "conv2d:u8,n1c3h32w32,k64r3s3,st1p1g1", "conv2d:f32,n1c3h32w-2,k64r3s3,st1p1g1",
        "conv2d:f32,n1c3h99999999999999999999w32,k64r3s3,st1p1g1", "relu7:f32,n1c3h2w2",
        "linear:f32,n1i3"}) {
    EXPECT_THROW(parse_spec(bad), ConfigError) << bad;
  }
}

}  // namespace
}  // namespace hac
