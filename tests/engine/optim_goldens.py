"""Prints tests/engine/optim_goldens.h: what PyTorch's clipping, AdamW and SGD do to small tensors.

usage: /usr/bin/python3 tests/engine/optim_goldens.py > tests/engine/optim_goldens.h
       (Debian's python3-torch)
"""
import torch

CLIPPED_SIZES = [7, 33, 5000]


def values(n, stream, scale):
    """As golden_values() of tests/engine/optim_golden_values.h; exact in f32 before the factor."""
    k = (torch.arange(n, dtype=torch.int64) + 1000 * stream) * 2654435761 % 2**32 >> 8
    return (k.double() / 2**23 - 1).float() * scale


def row(*fields):
    print("    {" + ", ".join(fields) + "},")


def numbers(x):
    return "{" + ", ".join(f"{v:.9g}" for v in x) + "}"


def clipped(max_norm, scale):
    parameters = []
    for i, n in enumerate(CLIPPED_SIZES):
        p = torch.zeros(n, requires_grad=True)
        p.grad = values(n, i, scale)
        parameters.append(p)
    torch.nn.utils.clip_grad_norm_(parameters, max_norm)
    ends = [v for p in parameters for v in (p.grad[0].item(), p.grad[-1].item())]
    row(repr(max_norm), repr(scale), numbers(ends))


def adamw(beta1, beta2, eps, decay):
    w = torch.nn.Parameter(values(6, 9, 2.0))
    optimizer = torch.optim.AdamW([w], lr=0, betas=(beta1, beta2), eps=eps, weight_decay=decay)
    for t in range(5):
        w.grad = values(6, 10 + t, 0.5)
        w.grad[5] = 0
        optimizer.param_groups[0]["lr"] = 0.1 / (t + 1)
        optimizer.step()
    row(repr(beta1), repr(beta2), repr(eps), repr(decay), numbers(w.tolist()))


def lars(trust_coefficient, decay, nesterov):
    """You et al. 2017, as in NVIDIA Apex: PyTorch's SGD of gradients times the layer's local rate.
    A bias is not adapted, and has no local rate."""
    w = [torch.nn.Parameter(values(6, 9, 2.0).reshape(2, 3)), torch.nn.Parameter(values(6, 20, 2.0))]
    optimizer = torch.optim.SGD(w, lr=0, momentum=0.9, nesterov=nesterov)
    for t in range(3):
        for i, p in enumerate(w):
            g = values(6, 10 + 10 * i + t, 0.5).reshape(p.shape)
            rate = trust_coefficient * p.norm() / (g.norm() + decay * p.norm() + 1e-8)
            p.grad = ((rate if p.dim() > 1 else 1) * (g + decay * p)).detach()
        optimizer.param_groups[0]["lr"] = 0.5 / (t + 1)
        optimizer.step()
    row(repr(trust_coefficient), repr(decay), str(nesterov).lower(),
        numbers([v for p in w for v in p.flatten().tolist()]))


print(f"""#pragma once
// Printed by tests/engine/optim_goldens.py with PyTorch {torch.__version__}.

namespace hac {{

// torch.nn.utils.clip_grad_norm_ on tensors of {CLIPPED_SIZES} elements, golden_values(n, i, scale).
struct ClipGolden {{
  double max_norm;
  float scale;
  float ends[{2 * len(CLIPPED_SIZES)}];  // of each tensor, first and last
}};

inline constexpr ClipGolden clip_goldens[] = {{""")
clipped(1.0, 0.5)
clipped(20.0, 0.5)
clipped(1000.0, 0.5)
clipped(5e-3, 1e-3)
print("""};

// torch.optim.AdamW from golden_values(6, 9, 2), five steps of gradients golden_values(6, 10 + t, 0.5)
// whose last is 0, learning rate 0.1 / (t + 1).
struct AdamWGolden {
  double beta1, beta2, eps, weight_decay;
  float weights[6];
};

inline constexpr AdamWGolden adamw_goldens[] = {""")
adamw(0.9, 0.999, 1e-8, 0.0)
adamw(0.9, 0.999, 1e-8, 0.01)
adamw(0.8, 0.95, 1e-3, 0.3)
adamw(0.0, 0.5, 1e-8, 0.1)
print("""};

// LARS of a 2x3 weight from golden_values(6, 9, 2) and a bias from golden_values(6, 20, 2): three steps of
// torch.optim.SGD, momentum 0.9, of the gradients golden_values(6, 10 + t, 0.5) and (6, 20 + t, 0.5)
// times their local rates, learning rate 0.5 / (t + 1).
struct LarsGolden {
  double trust_coefficient, weight_decay;
  bool nesterov;
  float weights[12];
};

inline constexpr LarsGolden lars_goldens[] = {""")
lars(0.02, 0.01, False)
lars(0.001, 5e-4, True)
lars(0.5, 0.1, False)
print("""};

}  // namespace hac""")
