"""Models with layers that have no shape before the first batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch import nn

import initlint
from initlint.cli import main

pytestmark = pytest.mark.torch


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.LazyConv2d(8, 3)  # made here
        self.norm = nn.LazyBatchNorm2d()
        self.body = nn.Sequential(nn.LazyLinear(16), nn.ReLU())
        self.head = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.body(self.norm(self.conv(x)).mean((2, 3))))
        return out


def test_what_the_first_batch_draws_belongs_to_the_statement_that_made_the_layer() -> None:
    report = initlint.audit(Net, torch.randn(8, 3, 12, 12), select="INI306")  # the bias that the norm takes away
    (model,) = report.to_dict()["models"]
    shapes = {layer["name"]: layer["shape"] for layer in model["layers"]}
    assert model["status"] == "audited"
    assert (shapes["conv"], shapes["body.0"]) == ([8, 3, 3, 3], [16, 8])
    (finding,) = report.findings
    made = next(n for n, line in enumerate(Path(__file__).read_text().splitlines(), 1) if "# made here" in line)
    assert finding.location is not None
    assert finding.location.line == made


def test_a_module_that_is_given_is_left_as_it_is() -> None:
    module = nn.Sequential(nn.LazyLinear(4), nn.ReLU())
    report = initlint.audit(module, torch.randn(4, 3))
    assert isinstance(module[0], nn.LazyLinear)
    assert [(row.name, row.shape) for row in report.models[0].layers] == [("0", (4, 3))]
    assert not report.notes


@pytest.mark.parametrize(
    ("batch", "said"),
    [(None, "before a batch gives them one: give it with --batch"), (torch.zeros(2), "from this batch: RuntimeError")],
)
def test_what_lacks_a_shape_is_said_in_one_line_with_what_to_do(batch: torch.Tensor | None, said: str) -> None:
    report = initlint.audit(nn.Sequential(nn.LazyLinear(4), nn.LazyConv1d(4, 3)), batch)
    (line,) = (*report.notes, *report.failures)
    assert said in line
    assert "\n" not in line


@pytest.mark.slow
def test_a_model_that_a_file_holds_ready_is_given_shapes_by_the_batch(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(
        "from torch import nn\n\nnet = nn.Sequential(nn.LazyLinear(4), nn.LazyLinear(2))\n"
    )
    target = str(tmp_path / "nets.py")
    ready = CliRunner().invoke(main, ["check", f"{target}::net", "--batch", "8x3"])
    assert ready.exit_code == 0, ready.output
    assert "26 parameters" in ready.output
    for arguments, code in (([f"{target}::net"], 2), ([target], 0)):
        lacking = CliRunner().invoke(main, ["check", *arguments])
        assert lacking.exit_code == code, lacking.output
        assert "give it with --batch" in lacking.output
