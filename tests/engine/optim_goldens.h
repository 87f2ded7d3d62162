#pragma once
// Printed by tests/engine/optim_goldens.py with PyTorch 1.13.0a0.

namespace hac {

// torch.nn.utils.clip_grad_norm_ on tensors of [7, 33, 5000] elements, golden_values(n, i, scale).
struct ClipGolden {
  double max_norm;
  float scale;
  float ends[6];  // of each tensor, first and last
};

inline constexpr ClipGolden clip_goldens[] = {
    {1.0,
     0.5,
     {-0.0243906677, 0.0101564648, -0.0227327496, 0.0151746208, -0.0210748296, 0.00584758492}},
    {20.0, 0.5, {-0.487813354, 0.203129292, -0.454654962, 0.303492397, -0.4214966, 0.116951697}},
    {1000.0, 0.5, {-0.5, 0.208203912, -0.466013253, 0.311074317, -0.432026505, 0.119873405}},
    {0.005,
     0.001,
     {-0.000121950405, 5.07811019e-05, -0.000113661008, 7.58712777e-05, -0.000105371611,
      2.92372188e-05}},
};

// torch.optim.AdamW from golden_values(6, 9, 2), five steps of gradients golden_values(6, 10 + t,
// 0.5) whose last is 0, learning rate 0.1 / (t + 1).
struct AdamWGolden {
  double beta1, beta2, eps, weight_decay;
  float weights[6];
};

inline constexpr AdamWGolden adamw_goldens[] = {
    {0.9,
     0.999,
     1e-08,
     0.0,
     {-0.556162894, 1.54456329, -0.0595562644, -1.13411307, 0.883168876, -0.415796518}},
    {0.9,
     0.999,
     1e-08,
     0.01,
     {-0.554577231, 1.54086578, -0.0597521104, -1.13119709, 0.88081938, -0.41484794}},
    {0.8,
     0.95,
     0.001,
     0.3,
     {-0.513594449, 1.44449866, -0.0647136569, -1.05046391, 0.814450741, -0.388008207}},
    {0.0,
     0.5,
     1e-08,
     0.1,
     {-0.564337134, 1.58356929, -0.0780196935, -1.11358547, 0.854302347, -0.406380177}},
};

// LARS of a 2x3 weight from golden_values(6, 9, 2) and a bias from golden_values(6, 20, 2): three
// steps of torch.optim.SGD, momentum 0.9, of the gradients golden_values(6, 10 + t, 0.5) and (6, 20
// + t, 0.5) times their local rates, learning rate 0.5 / (t + 1).
struct LarsGolden {
  double trust_coefficient, weight_decay;
  bool nesterov;
  float weights[12];
};

inline constexpr LarsGolden lars_goldens[] = {
    {0.02,
     0.01,
     false,
     {-0.76043427, 1.65548635, 0.157725722, -1.32788825, 1.07588542, -0.409728289, 0.428030014,
      -0.534537613, 1.02292931, 0.0603618957, -0.902205706, 0.655261278}},
    {0.001,
     0.0005,
     true,
     {-0.775267124, 1.69279706, 0.166984871, -1.3576107, 1.1092366, -0.415358812, 0.280457169,
      -0.405355513, 0.704312503, 0.0185000394, -0.667312562, 0.442355514}},
    {0.5,
     0.1,
     false,
     {-0.383957446, 0.714989603, -0.0198955089, -0.608960032, 0.344166219, -0.244898081,
      0.344237298, -0.439986825, 0.828914285, 0.0446903482, -0.739533782, 0.529367387}},
};

}  // namespace hac
