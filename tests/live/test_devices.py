"""Nothing within the probe's pass waits for a figure, and what is said of a device is one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import initlint
from initlint.live.host.device import usable
from initlint.live.probing import running

pytestmark = pytest.mark.torch


class Reads(TorchDispatchMode):
    """Counts the operations by which a value of a tensor becomes a number of Python's."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func._schema.name in ("aten::_local_scalar_dense", "aten::equal", "aten::is_nonzero")
        return func(*args, **(kwargs or {}))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
        self.mix = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.rnn = nn.GRU(8, 8, batch_first=True)
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(self.mix(self.stem(x).flatten(2).transpose(1, 2)))[0][:, -1])


@pytest.mark.parametrize("loss", [None, "cross-entropy"])
def test_the_pass_reads_no_figure(loss: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []
    hooked = running.hooked

    @contextmanager
    def watched(*args: Any, **options: Any) -> Iterator[Any]:
        with hooked(*args, **options) as measured, Reads() as reads:
            yield measured
        counted.append(reads.count)

    monkeypatch.setattr(running, "hooked", watched)
    report = initlint.audit(Net(), torch.randn(8, 3, 12, 12), loss=loss)
    assert report.failures == ()
    assert counted == [0]


def test_what_is_counted_is_what_waits() -> None:
    with Reads() as reads:
        bool(torch.ones(1) > 0)
        torch.ones(3).sum().item()
    assert reads.count == 2


def test_auto_is_a_device_there_is() -> None:
    assert usable("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    assert initlint.audit(nn.Linear(4, 4), torch.randn(8, 4), device="auto").models[0].device == usable("auto")


@pytest.mark.parametrize("device", ["cuda:99", "mps:7", "toaster", "hpu", "meta"])
def test_a_device_that_there_is_not_is_one_line(device: str) -> None:
    with pytest.raises(ValueError, match=f"no device {device}: ") as caught:
        initlint.audit(nn.Linear(4, 4), device=device)
    assert "\n" not in str(caught.value)
