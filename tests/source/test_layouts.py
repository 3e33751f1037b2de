"""Which axes of a bare matrix a forward sums over, told by the fans that come of it."""

from __future__ import annotations

import pytest

from initlint.facts import Parameter, known

from .reading import model

TEXT = """
import torch
from torch import nn
import torch.nn.functional as F

class Net(nn.Module):
    def __init__(self, n=4):
        super().__init__()
        self.n = n
        self.w = nn.Parameter(torch.randn({shape}))

    def forward(self, x):
        return {use}
"""


def parameter(shape: str, use: str) -> Parameter:
    return next(iter(model(TEXT.format(shape=shape, use=use)).parameters))


@pytest.mark.parametrize(
    ("shape", "use", "fans"),
    [
        ("64, 32", "x @ self.w", (64, 32)),
        ("64, 32", "x @ self.w.t()", (32, 64)),
        ("64, 32", "torch.matmul(self.w, x)", (32, 64)),
        ("64, 32", "F.linear(x, self.w)", (32, 64)),
        ("64, 32", "F.linear(x, self.w.to(x.dtype).T)", (64, 32)),
        ("8, 64, 32", "torch.bmm(x, self.w)", (64, 32)),
        ("8, 64, 32", "x @ self.w.transpose(1, 2)", (32, 64)),
        ("8, 64, 32", "x @ self.w[0]", (64, 32)),
        ("64, 32, 8", "x @ self.w.permute(2, 0, 1)", (64, 32)),
        ("64, 32, 8", "torch.tensordot(x, self.w, dims=([-1], [0]))", (64, 256)),
        ("8, 64, 32", "torch.einsum('bi,eio->beo', x, self.w)", (64, 256)),
        ("8, 64, 32", "torch.einsum('bei,eio->beo', x, self.w)", (64, 32)),
        ("16, 8, 3", "F.conv1d(x, self.w)", (24, 48)),
    ],
)
def test_the_fans_are_those_of_the_map(shape: str, use: str, fans: tuple[int, int]) -> None:
    found = parameter(shape, use)
    assert found.role == "weight"
    assert (found.fan_in, found.fan_out) == fans


@pytest.mark.parametrize(
    "use",
    [
        "x @ self.w.view(64, 32)",
        "x @ self.w[x]",
        "x @ (self.w * 2)",
        "torch.einsum('bi,eio', x, self.w)",
        "torch.einsum(x.equation, x, self.w)",
        "F.conv1d(x, self.w, groups=2)",
        "x @ self.w + x @ self.w.transpose(1, 2)",
    ],
)
def test_what_is_not_followed_has_no_fans(use: str) -> None:
    assert not known(parameter("8, 64, 32", use).fan_in)


def test_a_size_that_was_not_read_is_taken_to_be_at_least_sixteen() -> None:
    found = parameter("n, 32", "x @ self.w")
    assert found.least_fan_in == 4
    text = TEXT.format(shape="width, 32", use="x @ self.w").replace("n=4", "width, n=4")
    found = next(iter(model(text).parameters))
    assert (found.least_fan_in, found.least_fan_out) == (16, 32)
