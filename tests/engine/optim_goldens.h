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

}  // namespace hac
