"""``initlint.audit`` on the same models: what can be said is said, what is raised goes through, all is as it was."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import pytest

import initlint
from initlint.report import formats
from initlint.report.text import render as text_of
from initlint.rulebook import described

torch = pytest.importorskip("torch")
outputs = pytest.importorskip("tests.hostile.outputs")

has_jinja = find_spec("jinja2") is not None
pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]


@contextmanager
def unchanged(module: Any) -> Iterator[None]:
    """A module and the process are afterwards as before."""

    def state() -> list[Any]:
        tensors = {**dict(module._parameters), **module._buffers, "w": module.fc.weight, "b": module.fc.bias}
        values = [(name, id(t), t.requires_grad, t.grad, t.tolist()) for name, t in tensors.items() if t is not None]
        hooks = [sorted(child._forward_hooks) for child in (module, module.fc)]
        switches = torch.is_grad_enabled(), torch.get_default_dtype(), torch.are_deterministic_algorithms_enabled()
        generators = random.getstate(), torch.get_rng_state().tolist(), torch.overrides._len_torch_function_stack()
        return [values, module.training, module.fc.training, hooks, switches, generators]

    before = state()
    yield
    assert state() == before


@pytest.mark.parametrize("name", ["GivesNothing", "GivesComplex", "GivesSparse", "HoldsStrangeNames", "HookRaises"])
def test_what_can_be_said_is_said(name: str) -> None:
    model, batch = getattr(outputs, name)(), torch.randn(8, 8)
    with unchanged(model):
        report = initlint.audit(model, batch)
    assert report.models[0].status == "audited"
    assert (report.models[0].reason is None) == (name in ("GivesComplex", "GivesSparse", "HoldsStrangeNames"))
    assert all(line.isprintable() for line in str(report.to_dict()).splitlines())


@pytest.mark.parametrize(
    ("name", "raised"),
    [("ForwardInterrupts", KeyboardInterrupt), ("ForwardExits", SystemExit), ("BackwardExits", SystemExit)],
)
def test_what_ends_a_program_ends_it(name: str, raised: type[BaseException]) -> None:
    model, batch = getattr(outputs, name)(), torch.randn(8, 8)
    with unchanged(model), pytest.raises(raised):
        initlint.audit(model, batch)


@pytest.mark.parametrize("turn", ["gradients", "inference", "double", "deterministic", "autocast", "meta"])
def test_whatever_is_switched_on_outside(turn: str) -> None:
    model = outputs.Sound()
    around: dict[str, Any] = {
        "gradients": torch.no_grad(),
        "inference": torch.inference_mode(),
        "autocast": torch.autocast("cpu", dtype=torch.bfloat16),
        "meta": torch.device("meta"),
    }
    usual = torch.get_default_dtype()
    try:
        if turn == "double":
            torch.set_default_dtype(torch.float64)
        if turn == "deterministic":
            torch.use_deterministic_algorithms(True)
        if turn in around:
            with around[turn], unchanged(model):
                report = initlint.audit(model)
        else:
            with unchanged(model):
                report = initlint.audit(model)
    finally:
        torch.set_default_dtype(usual)
        torch.use_deterministic_algorithms(False)
    assert report.models[0].status == "audited"
    assert report.findings == ()


def test_no_format_lets_a_name_through_that_moves_the_cursor() -> None:
    report = initlint.audit(outputs.HoldsUnwritten)
    assert "INI104" in [finding.code for finding in report.findings]
    shown = {form: formats.render(report, form, described) for form in formats.MACHINE if form != "html" or has_jinja}
    for form, text in {**shown, "text": text_of(report)}.items():
        assert "gone" in text, form
        assert [c for c in text if c not in "\n\t" and not c.isprintable()] == [], form
