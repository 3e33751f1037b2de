"""What ``--meta`` predicts of a signal behind one operation holds what is measured there, whatever the operation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from initlint.facts import bounds, known
from initlint.live.inprocess import audit_inprocess

pytestmark = pytest.mark.torch
WIDTH = 64


class Between(nn.Module):
    """A linear map, an operation on what it and another one give, and a linear map of the result."""

    def __init__(self, operation: Callable[..., Tensor], more: Callable[[], dict[str, nn.Module]]) -> None:
        super().__init__()
        self.first, self.beside = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.more = nn.ModuleDict(more())
        self.operation = operation
        with torch.no_grad():
            width = operation(torch.ones(2, 8, WIDTH), torch.ones(2, 8, WIDTH), **self.more).shape[-1]
        self.last = nn.Linear(width, 8)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(self.operation(self.first(x), self.beside(x), **self.more))
        return found


def attended(x: Tensor, y: Tensor) -> Tensor:
    return torch.softmax(x @ y.transpose(1, 2) / 8, -1) @ x


OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "sum of two": lambda x, y: x + y,
    "difference": lambda x, y: x - y,
    "difference from itself": lambda x, y: x - 0.5 * torch.sigmoid(x),
    "taken from a constant": lambda x, y: 1.0 - x,
    "a multiple added": lambda x, y: torch.add(x, y, alpha=2),
    "constant over signal": lambda x, y: 1.0 / (2.0 + torch.sigmoid(x)),
    "attention": attended,
    "masked attention": lambda x, y: F.scaled_dot_product_attention(x, y, x, is_causal=True),
    "softmax": lambda x, y: torch.softmax(x, -1),
    "sum over positions": lambda x, y: x.sum(1),
    "largest": lambda x, y: x.amax(1),
    "product over positions": lambda x, y: x.prod(1),
    "max pool": lambda x, y: F.max_pool1d(x.transpose(1, 2), 2).transpose(1, 2),
    "adaptive pool": lambda x, y: F.adaptive_avg_pool1d(x.transpose(1, 2), 3).transpose(1, 2),
    "padded": lambda x, y: F.pad(x, (0, 0, 2, 2)),
    "reflected": lambda x, y: F.pad(x.transpose(1, 2), (2, 2), mode="reflect").transpose(1, 2),
    "nearest": lambda x, y: F.interpolate(x.transpose(1, 2), scale_factor=2.0).transpose(1, 2),
    "normed by hand": lambda x, y: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5),
    "unit length": lambda x, y: F.normalize(x, dim=-1),
    "standardised by hand": lambda x, y: (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-5),
    "times a table": lambda x, y: x * torch.linspace(0.5, 1.5, WIDTH),
    "matrix of two": lambda x, y: x @ y.transpose(1, 2),
    "baddbmm": lambda x, y: torch.baddbmm(x, x @ y.transpose(1, 2), y, beta=0.5),
    "gated linear unit": lambda x, y: F.glu(torch.cat([x, y], -1), -1),
    "halved": lambda x, y: x / 2,
    "over another": lambda x, y: x / (1 + y.abs()),
    "times a function of itself": lambda x, y: x * torch.sigmoid(x),
    "side by side": lambda x, y: torch.cat([x, y], -1),
    "beside zeros": lambda x, y: torch.cat([x, torch.zeros_like(x)], -1),
    "one on the other": lambda x, y: torch.stack([x, y], 1).mean(1),
    "mean over positions": lambda x, y: x.mean(1),
    "smallest": lambda x, y: x.amin(1),
    "log of a softmax": lambda x, y: torch.log_softmax(x, -1),
    "one or the other": lambda x, y: torch.where(x > 0, x, y),
    "masked": lambda x, y: x.masked_fill(y > 1, 0.0),
    "picked": lambda x, y: x.gather(1, torch.zeros(len(x), 4, WIDTH, dtype=torch.int64)),
    "some of it": lambda x, y: x[:, [0, 0, 1, 2]],
    "max pool that overlaps": lambda x, y: F.max_pool1d(x.transpose(1, 2), 3, 1).transpose(1, 2),
    "between": lambda x, y: F.interpolate(x.transpose(1, 2), scale_factor=2.0, mode="linear").transpose(1, 2),
    "attention of its own scale": lambda x, y: F.scaled_dot_product_attention(x, y, y, scale=0.5),
    "a product added": lambda x, y: torch.addcmul(x, x, y),
    "complex": lambda x, y: torch.fft.rfft(x, dim=-1).abs(),
}
MODULES: dict[str, tuple[Callable[..., Tensor], Callable[[], dict[str, nn.Module]]]] = {
    "batch norm": (lambda x, y, n: n(x.transpose(1, 2)).transpose(1, 2), lambda: {"n": nn.BatchNorm1d(WIDTH)}),
    "batch norm of rows": (lambda x, y, n: n(x[:, 0]), lambda: {"n": nn.BatchNorm1d(WIDTH)}),
    "frozen batch norm": (lambda x, y, n: n(x[:, 0]), lambda: {"n": nn.BatchNorm1d(WIDTH).eval()}),
    "group norm": (lambda x, y, n: n(x.transpose(1, 2)).transpose(1, 2), lambda: {"n": nn.GroupNorm(4, WIDTH)}),
    "instance norm": (lambda x, y, n: n(x.transpose(1, 2)).transpose(1, 2), lambda: {"n": nn.InstanceNorm1d(WIDTH)}),
    "rms norm": (lambda x, y, n: n(x), lambda: {"n": nn.RMSNorm(WIDTH)}),
    "attention": (lambda x, y, n: n(x, x, x)[0], lambda: {"n": nn.MultiheadAttention(WIDTH, 4, batch_first=True)}),
    "layer norm without scales": (lambda x, y, n: n(x), lambda: {"n": nn.LayerNorm(WIDTH, elementwise_affine=False)}),
    "convolution": (lambda x, y, n: n(x.mT).mT, lambda: {"n": nn.Conv1d(WIDTH, WIDTH, 3, stride=2, groups=4)}),
    "turned convolution": (lambda x, y, n: n(x.mT).mT, lambda: {"n": nn.ConvTranspose1d(WIDTH, WIDTH, 4, 2, 1)}),
    "bilinear map": (lambda x, y, n: n(x, y), lambda: {"n": nn.Bilinear(WIDTH, WIDTH, WIDTH)}),
    "slope that is learnt": (lambda x, y, n: n(x), lambda: {"n": nn.PReLU()}),
    "table": (lambda x, y, n: x + n(torch.arange(x.shape[1])), lambda: {"n": nn.Embedding(8, WIDTH)}),
}
CASES = {
    **{name: (operation, dict) for name, operation in OPERATIONS.items()},
    **{f"a {n}": c for n, c in MODULES.items()},
}


@pytest.mark.parametrize("case", CASES)
def test_the_range_predicted_holds_what_is_measured(case: str) -> None:
    operation, more = CASES[case]
    batch = torch.randn(16, 8, WIDTH)

    told, measured = (
        audit_inprocess(partial(Between, operation, more), batch, loss=None, device="cpu", seed=0, meta=meta)[0][0]
        .models[0]
        .layers
        for meta in (True, False)
    )
    assert [layer.name for layer in told] == [layer.name for layer in measured]
    for there, here in zip(told, measured, strict=True):
        if not known(there.probe):  # what is not known is not told
            continue
        for which in ("forward_std", "gradient_std"):
            predicted, found = getattr(there.probe, which), getattr(here.probe, which)
            if known(predicted) and known(found):
                low, high = bounds(predicted)
                assert 0.8 * low <= found <= 1.25 * high, (there.name, which)
