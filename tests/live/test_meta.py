"""``--meta``: models audited without a weight of theirs being made, and what is predicted of them."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import initlint
from initlint.facts import Range, UnknownFact, bounds, known
from initlint.live.inprocess import audit_inprocess
from initlint.report.text import render as as_text
from initlint.theory.drift import beyond, drift

pytestmark = pytest.mark.torch
EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def predicted(factory: Callable[[], Any], batch: Any = None) -> initlint.Report:
    return initlint.audit(factory, batch, meta=True)


def codes(report: initlint.Report) -> set[str]:
    assert not report.failures, report.failures
    assert not report.notes, report.notes
    return {finding.code for finding in report.findings}


class Stack(nn.Module):
    """Linear layers before one activation, each weight drawn by ``draw``."""

    def __init__(
        self, draw: Callable[[torch.Tensor], Any], depth: int = 24, width: int = 256, act: Any = F.relu
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        for layer in self.layers:
            draw(layer.weight)  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        self.act = act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = self.act(layer(x))
        return x


@pytest.mark.parametrize(
    ("draw", "expected"),
    [
        (lambda w: nn.init.normal_(w, std=0.8), "INI203"),
        (lambda w: nn.init.normal_(w, std=0.01), "INI204"),
        (lambda w: w.data.normal_(0, 0.01), "INI204"),
        (lambda w: nn.init.trunc_normal_(w, std=0.01), "INI204"),
        (lambda w: nn.init.uniform_(w, 0, 1), "INI108"),
        (lambda w: w.data.normal_(0.5, 0.5), "INI109"),
    ],
)
def test_a_badly_scaled_stack_is_found_and_the_finding_says_that_it_is_predicted(draw: Any, expected: str) -> None:
    report = predicted(lambda: Stack(draw))
    assert expected in codes(report)
    finding = next(f for f in report.findings if f.code == expected)
    assert finding.location is not None
    assert finding.location.path.endswith("test_meta.py")
    if expected in ("INI203", "INI204"):
        assert finding.evidence["known_by"] == "predicted"
        low, high = finding.evidence["signal_ratio"]
        assert low < high
        assert re.search(r"^  predicted: .*signal ratio \S+ to \S+$", as_text(report), re.MULTILINE)


@pytest.mark.parametrize(
    ("draw", "act"),
    [
        (lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"), F.relu),
        (lambda w: nn.init.orthogonal_(w, math.sqrt(2)), F.relu),
        (lambda w: nn.init.xavier_normal_(w, gain=5 / 3), torch.tanh),
        (lambda w: nn.init.normal_(w, std=1 / 16), F.selu),
    ],
)
def test_a_sound_stack_gives_nothing(draw: Any, act: Any) -> None:
    assert codes(predicted(lambda: Stack(draw, act=act))) == set()


class Head(nn.Module):
    """What is flawed without a drift: memory that nobody wrote, a norm drawn around 0, layers that are clones."""

    def __init__(self, flaw: str) -> None:
        super().__init__()
        import copy

        self.body = nn.Linear(512, 512)
        self.norm = nn.LayerNorm(512)
        self.free = nn.Parameter(torch.empty(512, 512) if flaw == "empty" else torch.randn(512, 512) / 512**0.5)
        if flaw == "norm":
            nn.init.normal_(self.norm.weight, std=0.02)
        twins = [nn.Linear(512, 512)]
        twins += [copy.deepcopy(twins[0]) if flaw == "clones" else nn.Linear(512, 512) for _ in range(2)]
        self.twins = nn.ModuleList(twins)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.body(x)) @ self.free
        for twin in self.twins:
            x = F.relu(twin(x))
        return x


@pytest.mark.parametrize(
    ("flaw", "expected"), [("empty", "INI104"), ("norm", "INI305"), ("clones", "INI106"), ("", "")]
)
def test_rules_on_parameters_work_without_values(flaw: str, expected: str) -> None:
    found = codes(predicted(lambda: Head(flaw)))
    assert expected in found if expected else not found  # a norm that small lets next to nothing pass, which shows too


def test_initialisers_under_another_name_that_return_before_a_meta_tensor_are_seen() -> None:
    trunc_normal_, orthogonal_ = nn.init.trunc_normal_, nn.init.orthogonal_  # as a library keeps them

    def build() -> nn.Module:
        first, second = nn.Parameter(torch.empty(512, 512)), nn.Parameter(torch.empty(512, 512))
        trunc_normal_(first, std=0.05)
        orthogonal_(second)
        model = nn.Sequential(nn.Linear(512, 512), nn.Linear(512, 512))
        model[0].weight, model[1].weight = first, second
        return model

    report = predicted(build)
    assert codes(report) == set()
    assert [row.scheme for row in report.models[0].layers] == ["truncated_normal 0.05", "orthogonal"]


class Everything(nn.Module):
    """What constructors do besides drawing weights: they read small tensors, make tables, wrap layers."""

    def __init__(self) -> None:
        super().__init__()
        self.rates = [rate.item() for rate in torch.linspace(0, 0.1, 4)]
        table = torch.zeros(600, 64)
        table[:, 0::2] = torch.sin(torch.arange(600.0)[:, None] * torch.exp(torch.arange(0, 64, 2) * -0.1))
        self.register_buffer("table", table)
        self.embedding = nn.Embedding(1000, 64, padding_idx=0)
        self.recurrent = nn.LSTM(64, 64, batch_first=True)
        self.normed = nn.utils.parametrizations.weight_norm(nn.Linear(64, 64))
        self.norm = nn.LayerNorm(64)
        self.head = nn.Linear(64, 1000)
        if table[:10].sum().item() < 0:
            raise ValueError("a table that can be read")

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens) + self.table[: tokens.shape[1]]  # type: ignore[index]
        x, _ = self.recurrent(x)
        return self.head(self.norm(self.normed(x)))  # type: ignore[no-any-return]


def test_what_constructors_compute_with_stays_real() -> None:
    assert codes(predicted(Everything)) == set()


def test_no_weight_is_made() -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.Linear(200_000, 100_000), nn.ReLU(), nn.Linear(100_000, 10))  # 80 GB

    report = predicted(build)
    assert codes(report) == set()
    assert report.models[0].parameters == 200_000 * 100_000 + 100_000 + 1_000_000 + 10


def test_weights_that_are_written_as_out_are_not_made_either() -> None:
    def build() -> nn.Module:
        weight = torch.empty(2048, 2048)
        torch.normal(0.0, 0.02, (2048, 2048), out=weight)
        model = nn.Sequential(nn.Linear(2048, 2048), nn.Linear(2048, 10))
        model[0].weight = nn.Parameter(weight)
        return model

    report = predicted(build)
    assert codes(report) == set()
    assert report.models[0].layers[0].scheme == "normal 0.02"


class Divides(nn.Module):
    """A parameter over a signal, which is no signal over a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(256, 256), nn.Linear(256, 256)
        self.scale = nn.Parameter(torch.full((256,), 4.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.second(self.scale / (1 + F.softplus(self.first(x))))
        return y


def test_what_is_told_of_a_quotient_is_what_is_measured() -> None:
    batch = torch.randn(64, 256)
    told, measured = (initlint.audit(Divides, batch, meta=meta).models[0].layers for meta in (True, False))
    for there, here in zip(told, measured, strict=True):
        if there.forward_std is not None and here.forward_std is not None:
            assert 0.5 < there.forward_std / here.forward_std < 2, here.name


def test_a_module_that_is_there_already_is_left_as_it_is() -> None:
    model = Stack(lambda w: nn.init.normal_(w, std=0.01), depth=12, width=64)
    model.eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    assert codes(initlint.audit(model, meta=True)) >= {"INI204"}
    assert not model.training
    assert torch.equal(state, torch.get_rng_state())
    assert all(type(p) is nn.Parameter and torch.equal(p, before[name]) for name, p in model.named_parameters())


class Reads(nn.Module):
    """Asks of a weight or a signal what it is."""

    def __init__(self, when: str) -> None:
        super().__init__()
        self.fc = nn.Linear(2048, 2048)
        self.when = when
        if when == "built" and self.fc.weight.norm().item() < 0:
            raise ValueError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.fc(x)
        return y * 2 if self.when == "run" and y.sum() > 0 else y


def test_what_needs_values_says_so_in_one_line_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be built without weights: leave meta out"):
        predicted(lambda: Reads("built"))
    report = predicted(lambda: Reads("run"))
    assert len(report.notes) == 1
    assert "has no values" in report.notes[0]
    assert "leave --meta out" in report.notes[0]


def check(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "initlint", "check", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_the_command_line_and_the_configuration_take_it(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(
        "from torch import nn\n\n"
        "def build():\n"
        "    return nn.Sequential(nn.Linear(200_000, 100_000), nn.ReLU(), nn.Linear(100_000, 10))\n"
    )
    (tmp_path / "initlint.toml").write_text('[[model]]\ntarget = "nets.py::build"\nmeta = true\n')
    run = check("--memory-limit", "1G", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    refused = check("nets.py", "--meta", "--static", cwd=tmp_path)
    assert refused.returncode == 2
    assert "--meta is for building models" in refused.stderr
    for option in (("--loss", "mse"), ("--dtype", "fp16"), ("--device", "cuda"), ("--widths", "8,16,32")):
        refused = check("nets.py", "--meta", *option, cwd=tmp_path)
        assert refused.returncode == 2
        assert f"{option[0][2:]} " in refused.stderr
        assert "goes without meta" in refused.stderr


@pytest.mark.parametrize("layers", [4, pytest.param(80, marks=pytest.mark.slow)])
def test_a_decoder_of_70_billion_parameters_is_audited_on_any_machine(layers: int) -> None:
    """Four of its layers alone would take 14 GB."""
    target = str(EXAMPLES / "sound/decoder_70b.py") + "::decoder_70b"
    run = check(target, "--arg", f"layers={layers}", "--meta", "--memory-limit", "2G", cwd=EXAMPLES)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""


def test_a_range_answers_only_what_all_of_it_answers() -> None:
    ratio = drift([Range(1.0, 2.0), Range(100.0, 300.0)])
    assert isinstance(ratio, Range)
    assert (ratio.low, ratio.high) == (50.0, 300.0)
    assert ratio > 10
    assert not ratio > 1000
    with pytest.raises(UnknownFact):
        assert ratio > 100
    assert beyond(ratio, 10)
    assert not beyond(ratio, 100)
    assert (ratio**0.5).low == pytest.approx(50.0**0.5)
    assert (Range(1e10, 1e300) ** 2).high == math.inf


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(64, 64) for _ in range(10)])
        for block in self.blocks:
            nn.init.normal_(block.weight, std=1.0)  # type: ignore[arg-type]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = x + block(F.relu(x))
        return x


def test_the_growth_of_a_residual_stream_is_predicted() -> None:
    report = initlint.audit(Residual, torch.randn(8, 64), meta=True, select=["INI211"])
    assert codes(report) == {"INI211"}


@pytest.mark.parametrize(("std", "expected"), [(0.04, {"INI703"}), (0.8, {"INI704"}), (0.18, set())])
def test_what_becomes_of_the_gradient_over_depth_is_predicted(std: float, expected: set[str]) -> None:
    report = initlint.audit(
        lambda: Stack(lambda w: nn.init.normal_(w, std=std), width=64), meta=True, select=["INI703", "INI704"]
    )
    assert codes(report) == expected
    for finding in report.findings:
        assert finding.severity is initlint.Severity.ERROR
        assert finding.evidence["known_by"] == "predicted"


class Stopped(nn.Module):
    """Eight layers, and something in the middle of what comes back."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.first, self.last = Stack(nn.init.kaiming_normal_, 4, 64), Stack(nn.init.kaiming_normal_, 4, 64)
        if how == "frozen":
            self.first.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.how == "no_grad":
            with torch.no_grad():
                x = self.first(x)
        else:
            x = self.first(x)
        x = x.detach() if self.how == "detach" else Doubled.apply(x) if self.how == "function" else x  # type: ignore[no-untyped-call]
        y: torch.Tensor = self.last(x)
        return y.square().sum() if self.how == "loss" else y


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return gradient * 1000


@pytest.mark.parametrize(
    ("how", "told"), [("", 8), ("frozen", 4), ("no_grad", 4), ("function", 4), ("detach", 0), ("loss", 0)]
)
def test_a_gradient_that_comes_back_in_no_known_way_is_not_predicted(how: str, told: int) -> None:
    batch = torch.randn(16, 64)
    (facts,), _ = audit_inprocess(lambda: Stopped(how), batch, loss=None, device=None, seed=0, meta=True)
    probes = [layer.probe for layer in facts.models[0].layers]
    assert all(known(probe.forward_std) for probe in probes)
    assert [known(probe.gradient_std) for probe in probes] == [False] * (8 - told) + [True] * told


class Branches(nn.Module):
    """A norm, a gate, a shortcut, a convolution with a stride, a pool."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.down = nn.Conv2d(3, 32, 3, padding=1), nn.Conv2d(32, 64, 3, stride=2, padding=1)
        self.norm = nn.GroupNorm(8, 64)
        self.gate, self.value, self.out = (nn.Conv2d(64, 64, 1) for _ in range(3))
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.down(F.max_pool2d(F.relu(self.stem(x)), 2))
        y = self.norm(x)
        x = x + self.out(torch.sigmoid(self.gate(y)) * self.value(y))
        z: torch.Tensor = self.head(F.gelu(x).mean((2, 3)))
        return z


def test_the_gradient_measured_lies_in_the_range_predicted() -> None:
    batch = torch.randn(8, 3, 32, 32)
    told, measured = (
        audit_inprocess(Branches, batch, loss=None, device=None, seed=0, meta=meta)[0][0].models[0].layers
        for meta in (True, False)
    )
    for there, here in zip(told, measured, strict=True):
        low, high = bounds(there.probe.gradient_std)
        assert 0 < low <= here.probe.gradient_std <= high < 40 * low, here.name


class Pixels(nn.Module):
    """A stem that brings pixels up to 255 to unit scale: its bias takes their mean away."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 16, 3, padding=1), nn.Linear(16, 4)
        self.layers = nn.ModuleList([nn.Conv2d(16, 16, 3, padding=1, bias=False) for _ in range(3)])
        with torch.no_grad():
            self.stem.weight.div_(255)
            self.stem.bias.fill_(0.6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for layer in self.layers:
            x = x + F.relu(layer(x))
        return self.head(x.mean((2, 3)))


def test_a_small_batch_without_values_is_followed_and_its_scale_is_not_guessed() -> None:
    report = initlint.audit(Pixels, torch.empty(4, 3, 8, 8, device="meta"), meta=True)
    assert "INI303" not in codes(report)
