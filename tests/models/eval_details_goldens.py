# Prints what tests/models/test_eval_details.cpp expects, by NumPy and PyTorch: python3 with both.
import numpy as np
import torch

n, classes, bins = 200, 6, 15
i, c = np.arange(n)[:, None], np.arange(classes)[None, :]
logits = (4 * np.sin(1 + 7.0 * i + 3.0 * c * c)).astype(np.float32)
labels = (np.arange(n) ** 2 + np.arange(n) // 7) % classes
p = torch.softmax(torch.tensor(logits, dtype=torch.float64), 1).numpy()
loss = torch.nn.functional.cross_entropy(
    torch.tensor(logits, dtype=torch.float64), torch.tensor(labels), reduction='none').numpy()
guess, confidence = p.argmax(1), p.max(1)
brier = ((p - np.eye(classes)[labels]) ** 2).sum(1)

ece, rows = 0.0, []
for low, high in zip(np.linspace(0, 1, bins + 1)[:-1], np.linspace(0, 1, bins + 1)[1:]):
    inside = (confidence > low) & (confidence <= high)
    rows.append(int(inside.sum()))
    if inside.any():
        right = (guess[inside] == labels[inside]).mean()
        ece += inside.mean() * abs(right - confidence[inside].mean())

confusion = np.zeros((classes, classes), int)
np.add.at(confusion, (labels, guess), 1)
print('top1', (guess == labels).mean(), 'loss', repr(loss.mean()))
print('ece', repr(ece), 'brier', repr(brier.mean()), 'bins', rows)
print('confusion', confusion.tolist())
print('worst', np.argsort(-loss, kind='stable')[:4].tolist(), repr(np.sort(loss)[-1]))
