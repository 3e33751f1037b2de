"""The probe's figures, and what its hooks do not do."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from initlint.facts import LayerProbe, Model, absent, known
from initlint.live.audit import audit_module
from initlint.live.probe import hooked, measure

pytestmark = pytest.mark.torch


def audit(module: nn.Module, batch: object = None, **given: object) -> Model:
    return audit_module(module, batch, name="m", **given).models[0]


def probe(model: Model, name: str) -> LayerProbe:
    return next(layer.probe for layer in model.layers if layer.name == name)


class Counter(TorchDispatchMode):
    """Counts operations by name."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.names.append(func.__name__.partition(".")[0])
        return func(*args, **(kwargs or {}))


def test_nothing_is_computed_or_read_back_inside_the_hooks() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3))
    images = torch.randn(8, 3, 16, 16)
    names = ["0", "1", "3"]

    def passed(names: list[str]) -> list[str]:
        with hooked(model, names, 8, dict.fromkeys(names, 0), dict.fromkeys(names, 1)), Counter() as counter:
            model(images).sum().backward()
        model.zero_grad()
        return counter.names

    bare, probed = passed([]), passed(names)
    assert probed.count("_local_scalar_dense") == 0
    added = list(probed)
    for name in bare:
        added.remove(name)
    assert added
    assert set(added) <= {"slice", "clone", "detach", "alias"}


def test_one_read_back_for_all_figures() -> None:
    model = nn.Sequential(*(nn.Linear(8, 8) for _ in range(6)))
    names = [str(i) for i in range(6)]
    with hooked(model, names, 16, dict.fromkeys(names, 0), dict.fromkeys(names, 1)) as measured:
        model(torch.randn(16, 8)).sum().backward()
    with Counter() as counter:
        figures = measure(measured, {})
    assert len(figures) == 6
    assert counter.names.count("_local_scalar_dense") == 0  # tolist() of one stacked tensor is no scalar read


def test_figures_are_those_of_the_definition() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(32, 48)
    model = nn.Sequential(layer, nn.Tanh(), nn.Linear(48, 2))
    x = torch.randn(32, 32)
    first = probe(audit(model, x), "0")
    with torch.no_grad():
        y = layer(x)
    assert first.forward_std == pytest.approx(float(y.var(dim=0).mean().sqrt()), rel=1e-4)
    assert first.total_std == pytest.approx(float(y.std()), rel=1e-2)
    assert first.saturated_fraction == pytest.approx(0.0, abs=1e-3)


def test_small_variances_survive_a_large_mean() -> None:
    layer = nn.Linear(8, 8)
    nn.init.eye_(layer.weight)
    nn.init.constant_(layer.bias, 100.0)
    x = torch.randn(64, 8) * 1e-3
    assert probe(audit(nn.Sequential(layer, nn.Linear(8, 2)), x), "0").forward_std == pytest.approx(1e-3, rel=0.1)


def test_dead_units_are_counted_after_the_norm_and_before_the_pool() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 10, 3), nn.BatchNorm2d(10), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(10, 2)
    )
    nn.init.constant_(model[1].bias, -20.0)
    with torch.no_grad():
        model[1].bias[:4] = 0.0
    conv = probe(audit(model, torch.randn(8, 3, 16, 16)), "0")
    assert conv.dead_fraction == pytest.approx(0.6)
    assert conv.samples >= 64


def test_saturated_units() -> None:
    model = nn.Sequential(nn.Linear(16, 32), nn.Sigmoid(), nn.Linear(32, 2))
    nn.init.normal_(model[0].weight, std=20.0)
    assert probe(audit(model), "0").saturated_fraction > 0.8


def test_infinities_are_found_where_they_begin() -> None:
    class Overflow(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(8, 8)
            self.second = nn.Linear(8, 8)
            self.third = nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.third(self.second(self.first(x) * 1e38 * 1e38))

    model = audit(Overflow(), torch.randn(8, 8))
    assert not model.probe.finite
    assert model.probe.first_non_finite == "second"
    assert probe(model, "first").finite


def test_a_batch_of_two_is_made_eight() -> None:
    model = audit(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)), torch.randn(2, 8))
    assert model.probe.batch_size == 8
    assert model.probe.batch == "2x8"
    assert probe(model, "0").forward_std > 0.1


def test_a_model_that_cannot_be_run_is_audited_all_the_same() -> None:
    class Fussy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("needs a graph\nand more")

    model = audit(Fussy(), torch.randn(4, 8))
    assert model.not_run == "RuntimeError: needs a graph"
    assert not known(model.probe)
    weight = next(iter(model.parameters))
    assert (weight.role, weight.fan_in, weight.measured.scheme) == ("weight", 8, "default")


class Detection(nn.Module):
    """Takes a list of images of different sizes and returns a dict of losses."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, images: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        features = [self.conv(image[None]).mean() for image in images]
        return {"box": torch.stack(features).square().mean(), "class": torch.stack(features).abs().mean()}


def test_the_models_own_loss_is_used() -> None:
    model = audit(Detection(), ([torch.randn(3, 16, 16), torch.randn(3, 12, 20)],))
    assert absent(model.not_run)
    assert model.probe.loss_kind == "model"
    assert not known(model.probe.batch_size)
    assert not known(probe(model, "conv").forward_std)
    assert all(p.escape.received for p in model.parameters)


def test_a_loss_of_the_callers() -> None:
    model = audit(nn.Linear(4, 3), torch.randn(8, 4), loss=lambda out: (out - 1).abs().mean())
    assert model.probe.loss_kind == "given"
    assert model.probe.loss > 0


def test_the_same_seed_gives_the_same_figures() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 2))
    first, second = (audit(module, seed=3) for _ in range(2))
    torch.manual_seed(99)
    third = audit(module, seed=3)
    assert probe(first, "3").forward_std == probe(second, "3").forward_std == probe(third, "3").forward_std
    assert first.probe.loss == third.probe.loss
