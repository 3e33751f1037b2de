"""The same verdicts on a GPU, and no host synchronisation within the hooked pass; skipped where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from initlint.facts import known  # noqa: E402
from initlint.live.audit import audit_module  # noqa: E402
from initlint.live.probing.probe import hooked  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")]


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()) for _ in range(6)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))


@contextmanager
def synchronisation_forbidden() -> Iterator[None]:
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


def test_figures_agree_with_the_cpu() -> None:
    batch = torch.randn(16, 8, 16, 16)
    on_cpu = audit_module(network(), batch, name="net").models[0]
    on_gpu = audit_module(network(), batch, name="net", device="cuda").models[0]
    assert on_gpu.probe.device == "cuda"
    for here, there in zip(on_cpu.layers, on_gpu.layers, strict=True):
        assert here.name == there.name
        if known(here.probe):
            assert there.probe.forward_std == pytest.approx(here.probe.forward_std, rel=0.02)


def test_the_module_goes_back_to_where_it_was() -> None:
    net = network()
    audit_module(net, torch.randn(16, 8, 16, 16), name="net", device="cuda")
    assert {parameter.device.type for parameter in net.parameters()} == {"cpu"}


def test_the_hooked_pass_does_not_synchronise() -> None:
    net = network().cuda()
    batch = torch.randn(16, 8, 16, 16, device="cuda")
    names = [name for name, module in net.named_modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    net(batch)  # kernels are chosen in the first pass
    with hooked(net, names, 16, dict.fromkeys(names, 0), dict.fromkeys(names, 1)), synchronisation_forbidden():
        net(batch).sum().backward()
