"""``import initlint``: auditing a model in one's own process, and what a report does."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import initlint

torch = pytest.importorskip("torch")
nn = torch.nn

pytestmark = pytest.mark.torch


class Zeros(nn.Module):  # type: ignore[misc,name-defined]
    """Two zero layers in sequence: neither ever gets a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(16, 32)
        self.mixer = nn.Linear(32, 32)
        self.head = nn.Linear(32, 4)
        for layer in (self.mixer, self.head):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Any) -> Any:
        return self.head(torch.relu(self.mixer(torch.relu(self.body(x)))))


LINE = next(n for n, line in enumerate(Path(__file__).read_text().splitlines(), 1) if "zeros_(layer.weight)" in line)


def sound() -> Any:
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))


def test_a_module_has_values_and_no_places() -> None:
    report = initlint.audit(Zeros(), torch.randn(64, 16))
    finding = next(f for f in report.findings if f.code == "INI101")
    assert finding.location is None
    assert set(finding.parameters) == {"mixer.weight", "head.weight"}
    assert finding.severity is initlint.Severity.ERROR
    assert not report.ok
    with pytest.raises(initlint.InitError, match="INI101"):
        report.raise_for_findings()
    data = report.to_dict()
    assert {f["path"] for f in data["findings"]} == {None}
    assert data["models"][0]["layers"][0]["shape"] == [32, 16]


@pytest.mark.parametrize("factory", [Zeros, lambda: Zeros(), lambda: (Zeros(), torch.randn(64, 16))])
def test_a_factory_tells_who_wrote_what(factory: Any) -> None:
    report = initlint.audit(factory)
    finding = next(f for f in report.findings if f.code == "INI101")
    assert finding.location is not None
    assert Path(finding.location.path).name == "test_api.py"
    assert finding.location.line == LINE
    assert report.lines[finding.location].strip() == "nn.init.zeros_(layer.weight)"


def test_a_sound_model_is_ok() -> None:
    report = initlint.audit(sound, torch.randn(64, 16))
    assert report.ok
    assert report.findings == ()
    report.raise_for_findings()
    assert report.models[0].parameters == 676
    assert "no findings" in report._repr_html_()


def test_codes_can_be_chosen() -> None:
    module, batch = Zeros(), torch.randn(64, 16)
    assert initlint.audit(module, batch, select="INI5").ok
    assert not initlint.audit(module, batch, select=["ini101"]).ok
    assert initlint.audit(module, batch, ignore=["INI1", "INI7", "INI2"]).ok


def test_a_loss_of_ones_own() -> None:
    seen = []

    def loss(output: Any) -> Any:
        seen.append(tuple(output.shape))
        return output.square().mean()

    assert initlint.audit(sound(), torch.randn(64, 16), loss=loss).ok
    assert seen
    assert seen[0][-1] == 4


def test_model_and_generators_are_left_as_they_were() -> None:
    torch.manual_seed(3)
    random.seed(3)
    module = nn.Sequential(nn.Linear(16, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 4)).eval()
    module[0].weight.requires_grad_(False)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    states = torch.get_rng_state(), random.getstate()
    initlint.audit(module, torch.randn(8, 16, generator=torch.Generator().manual_seed(1)))
    initlint.audit(lambda: nn.Linear(4, 4))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert not module.training
    assert [p.requires_grad for p in module.parameters()] == [False, True, True, True, True, True]
    assert all(p.grad is None for p in module.parameters())
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_a_batch_that_does_not_fit_is_a_failure_and_not_a_traceback() -> None:
    report = initlint.audit(sound(), torch.randn(8, 3))
    assert not report.ok
    assert len(report.failures) == 1
    with pytest.raises(initlint.InitError):
        report.raise_for_findings()


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        (("model",), {}, TypeError, "nn.Module"),
        ((lambda: 3,), {}, TypeError, "int"),
        ((nn.Linear,), {}, TypeError, "in_features"),
        ((nn.Linear(4, 4), 3), {}, TypeError, "batch"),
        ((nn.Linear(4, 4), "8xx4"), {}, ValueError, "8xx4"),
        ((nn.Linear(4, 4),), {"select": "INI999"}, ValueError, "INI999"),
        ((nn.Linear(4, 4),), {"ignore": [501]}, TypeError, "int"),
        ((nn.Linear(4, 4),), {"device": "toaster"}, ValueError, "toaster"),
        ((nn.Linear(4, 4),), {"loss": 3}, TypeError, "loss"),
        ((nn.Linear(4, 4),), {"seed": "one"}, TypeError, "seed"),
    ],
)
def test_wrong_arguments(arguments: Any, options: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        initlint.audit(*arguments, **options)


def test_what_a_factory_raises_goes_through() -> None:
    def factory() -> Any:
        raise KeyError("width")

    with pytest.raises(KeyError, match="width"):
        initlint.audit(factory)


def test_check_from_python(tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    path.write_text("import torch.nn as nn\n\ndef init(m):\n    nn.init.normal_(m.weight, 0.02)\n")
    report = initlint.check([str(path)], static=True)
    assert [(f.code, f.location and f.location.line) for f in report.findings] == [("INI501", 4)]
    with pytest.raises(ValueError, match="NONSENSE"):
        initlint.check([str(path)], static=True, select=["NONSENSE"])


def test_importing_initlint_imports_next_to_nothing() -> None:
    program = (
        "import sys, initlint; dir(initlint); print(*(m for m in sys.modules if m[:8] == 'initlint' or m == 'torch'))"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert set(out.split()) == {"initlint", "initlint.version"}
    with pytest.raises(AttributeError, match="nothing"):
        _ = initlint.nothing  # type: ignore[attr-defined]


def test_what_is_seen_to_come_from_a_checkpoint_is_not_judged_and_what_is_drawn_behind_it_is() -> None:
    trained = [{"weight": torch.randn(64, 64), "bias": torch.zeros(64)} for _ in range(4)]

    class Tuned(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self, *, loads: bool) -> None:
            super().__init__()
            self.body = nn.ModuleList([nn.Linear(64, 64) for _ in trained])
            self.head = nn.Linear(64, 4)
            nn.init.normal_(self.head.weight, std=8.0)
            for layer, state in zip(self.body, trained, strict=True):
                if loads:
                    layer.load_state_dict(state)
                else:
                    nn.init.normal_(layer.weight)

        def forward(self, x: Any) -> Any:
            for layer in self.body:
                x = torch.relu(layer(x))
            return self.head(nn.functional.layer_norm(x, (64,)))

    def named(*, loads: bool) -> set[str]:
        report = initlint.audit(lambda: Tuned(loads=loads), torch.randn(8, 64), seed=3)
        return {name for finding in report.findings for name in finding.parameters}

    assert {"body.0.weight", "body.1.weight", "head.weight"} <= named(loads=False)
    assert named(loads=True) == {"head.weight"}
