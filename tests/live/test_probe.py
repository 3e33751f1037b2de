"""The probe's figures, and what its hooks do not do."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import initlint
from initlint.facts import LayerProbe, Model, absent, known
from initlint.live.audit import audit_module
from initlint.live.probing.probe import hooked, measure

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
    assert set(added) <= {"slice", "as_strided", "clone", "detach", "alias"}


def test_one_read_back_for_all_figures() -> None:
    model = nn.Sequential(*(nn.Linear(8, 8) for _ in range(6)))
    names = [str(i) for i in range(6)]
    with hooked(model, names, 16, dict.fromkeys(names, 0), dict.fromkeys(names, 1)) as measured:
        model(torch.randn(16, 8)).sum().backward()
    with Counter() as counter:
        figures = measure(measured, {}, {}, {})
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


class Strided(nn.Module):
    """Residual blocks that start as their 1x1 shortcuts of stride 2: only every eighth position of the stem is read."""

    def __init__(self, zero: bool) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.shortcuts = nn.ModuleList(nn.Conv2d(16, 16, 1, stride=2) for _ in range(3))
        self.branches = nn.ModuleList(nn.Conv2d(16, 16, 3, stride=2, padding=1) for _ in range(3))
        self.norms = nn.ModuleList(nn.BatchNorm2d(16) for _ in range(3))
        self.head = nn.Linear(16, 10)
        for norm in self.norms:
            nn.init.constant_(norm.weight, 0.0 if zero else 1.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for shortcut, branch, norm in zip(self.shortcuts, self.branches, self.norms, strict=True):
            x = torch.relu(shortcut(x) + norm(branch(x)))
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize("zero", [True, False])
@pytest.mark.parametrize(
    ("side", "layout"), [(32, torch.contiguous_format), (56, torch.channels_last), (64, torch.contiguous_format)]
)
def test_figures_of_a_sample_are_those_of_the_whole(zero: bool, side: int, layout: torch.memory_format) -> None:
    torch.manual_seed(side)
    model = Strided(zero).to(memory_format=layout)
    names = [name for name, child in model.named_modules() if isinstance(child, (nn.Conv2d, nn.BatchNorm2d))]
    outputs: dict[str, torch.Tensor] = {}
    gradients: dict[str, torch.Tensor] = {}

    def keep(name: str, output: torch.Tensor) -> None:
        outputs[name] = output.detach().clone()
        output.register_hook(lambda gradient: gradients.update({name: gradient.clone()}))

    for name in names:
        model.get_submodule(name).register_forward_hook(lambda _, __, output, name=name: keep(name, output))
    images = torch.randn(8, 3, side, side).to(memory_format=layout)
    with hooked(model, names, 8, dict.fromkeys(names, 0), dict.fromkeys(names, 1)) as measured:
        predicted = model(images)
        (predicted - torch.randn_like(predicted)).square().mean().backward()
    figures = measure(measured, {}, {}, {})
    for name in names:
        spread = float(outputs[name].var(dim=0).mean().sqrt())
        slope = float(gradients[name].square().mean().sqrt())
        assert figures[name].forward_std == pytest.approx(spread, rel=0.25), name
        assert figures[name].gradient_std == pytest.approx(slope, rel=0.25), name


@pytest.mark.parametrize("shape", [(8, 20, 4, 4), (8, 40, 7, 7), (8, 40, 6, 9), (8, 64, 33, 32), (8, 16, 300, 64)])
def test_no_more_is_kept_than_the_budget(shape: tuple[int, ...]) -> None:
    layer = nn.BatchNorm2d(shape[1])
    model = nn.Sequential(layer)
    x = torch.randn(shape)
    with hooked(model, ["0"], 8, {"0": 0}, {"0": 1}) as measured:
        model(x).square().sum().backward()
    (sample,) = measured.samples["0"]
    assert sample.forward.numel() <= 2048
    assert sample.gradient is not None
    assert sample.gradient.numel() <= 4096
    assert sample.forward.numel() >= 8 * 16 * 3
    rows, columns = torch.meshgrid(torch.arange(shape[2]), torch.arange(shape[3]), indexing="ij")
    identity = nn.Sequential(nn.Identity())
    for index in (rows, columns):
        with hooked(identity, ["0"], 8, {"0": 0}, {"0": 1}) as measured:
            identity(index.double().expand(shape))
        kept = measured.samples["0"][0].forward
        assert set((kept % 2).unique().tolist()) == {0, 1}


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


def test_the_gradient_of_each_parameter_is_measured() -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    model.register_parameter("idle", nn.Parameter(torch.ones(3)))
    nn.init.zeros_(model[2].weight)
    (facts,) = audit_module(model, torch.randn(8, 6), name="m").models
    gradients = {parameter.name: parameter.gradient for parameter in facts.parameters}
    assert gradients["0.weight"] == 0
    assert gradients["idle"] is None
    with_loss = initlint.audit(model, torch.randn(8, 6), loss=lambda output: 3 * output.sum()).to_dict()
    rows = {row["name"]: row["gradients"] for row in with_loss["models"][0]["layers"]}
    assert rows["2"]["2.bias"] == 24  # eight samples, each with a gradient of 3


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_what_happens_inside_a_recurrent_layer_is_what_torch_computes(kind: str, packed: bool) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cells = getattr(nn, kind)(6, 8, num_layers=2, bidirectional=True, batch_first=True)
            self.head = nn.Linear(16, 3)
            self.given: list[torch.Tensor] = []

        def forward(self, series: torch.Tensor) -> torch.Tensor:
            lengths = torch.full((len(series),), series.shape[1])
            entering = nn.utils.rnn.pack_padded_sequence(series, lengths, batch_first=True) if packed else series
            states = self.cells(entering)[0]
            states = nn.utils.rnn.pad_packed_sequence(states, batch_first=True)[0] if packed else states
            self.given.append(states.detach())
            return self.head(states[:, -1])

    net = Net()
    nn.init.normal_(net.cells.weight_ih_l1, std=9.0)
    found = probe(audit(net, torch.randn(12, 20, 6)), "cells")
    runs = found.recurrences
    assert [run.weight for run in runs] == [f"weight_ih_l{n}{way}" for n in (0, 1) for way in ("", "_reverse")]
    assert [run.depth for run in runs] == [0, 0, 1, 1]
    assert [run.gated for run in runs] == [kind != "RNN"] * 4
    assert runs[2].saturated_fraction > 0.2 > runs[3].saturated_fraction
    if packed:  # its samples lie by length
        assert not known(runs[0].input_std)
        return
    forward, backward = net.given[0].chunk(2, dim=-1)
    for run, states in zip(runs[2:], (forward, backward), strict=True):
        assert run.state_std == pytest.approx(float(states.var(dim=0).mean().sqrt()), rel=1e-4)
    assert runs[0].input_std == pytest.approx(1.0, rel=0.1)
    assert found.forward_std == pytest.approx(float(net.given[0].var(dim=0).mean().sqrt()), rel=0.1)


def test_a_loss_for_each_sample_is_the_model_s_own_and_no_output_that_leaks() -> None:
    class Coder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encode, self.decode = nn.Linear(32, 16), nn.Linear(16, 32)

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            found = self.decode(torch.tanh(self.encode(x)))
            distance = (found - x).square().mean()  # of the whole batch, for each of its samples
            return {"loss": distance.repeat(len(x)), "found": found}

    report = initlint.audit(Coder, torch.randn(8, 32))
    assert report.findings == ()
    assert str(report.models[0].loss).endswith("(its own)")
