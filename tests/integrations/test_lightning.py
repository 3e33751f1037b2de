"""The callback in trainings by the real Lightning."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import initlint

if not all(map(importlib.util.find_spec, ("torch", "lightning"))):
    pytest.skip("Lightning is not installed", allow_module_level=True)

pytestmark = pytest.mark.torch
further = pytest.mark.slow  # a framework takes seconds to import, and each of the processes that tests run in would


@pytest.fixture
def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The models and how they are trained."""
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        yield importlib.import_module(".lightning_trainings", __package__)


def test_a_sound_training_is_the_same_with_and_without_and_a_flawed_one_ends(on: Any) -> None:
    audit = on.InitAudit()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.filterwarnings("ignore", module="lightning")
        assert on.trained(audit) == on.trained()
    report = audit.report
    assert report is not None
    assert report.ok
    (run,) = report.models
    assert (run.target, run.reason, run.batch) == ("Net", None, "16x8 int64[16]")
    assert run.loss is not None
    assert run.loss.endswith("(its own)")
    assert [row.name for row in run.layers] == ["first", "norm", "last"]

    net = on.Net(0.1)
    ran = on.trainer(on.InitAudit())
    with pytest.raises(initlint.InitError, match=r"first\.weight: INI102 \[error\]"):
        ran.fit(net, on.loader())
    assert ran.global_step == 0
    assert net.diary == []
    assert (net.first.weight == 0.1).all()


@further
def test_it_can_warn_instead_and_be_asked_for_less(on: Any) -> None:
    with pytest.warns(UserWarning, match=r"(?s)initlint: . findings? before the first step\n  .*INI102.*\n    help: "):
        on.trainer(on.InitAudit(fail_on="never")).fit(net := on.Net(0.1), on.loader())
    assert len(net.diary) == 8
    silent = on.InitAudit(ignore="INI1,INI2,INI7")
    on.trainer(silent).fit(on.Net(0.1), on.loader())
    assert silent.report is not None
    assert silent.report.findings == ()


@further
def test_what_was_loaded_is_only_judged_by_what_no_training_makes(on: Any) -> None:
    loaded = on.InitAudit(loaded="*")
    on.trainer(loaded).fit(on.Net(0.1), on.loader())
    assert loaded.report is not None
    assert loaded.report.findings == ()
    with pytest.raises(initlint.InitError, match="INI105"):
        on.trainer(on.InitAudit(loaded="*")).fit(on.Net(float("nan")), on.loader())
    half = on.InitAudit(loaded="first.*", fail_on="never")
    on.torch.manual_seed(0)  # by its biases, which are drawn, the rows of the last layer may part
    with pytest.warns(UserWarning, match=r"last\.weight"):
        on.trainer(half).fit(on.Net(0.1), on.loader())
    assert half.report is not None
    assert not any("first.weight" in finding.parameters for finding in half.report.findings)


@further
@pytest.mark.parametrize(("kind", "data"), [("Manual", "named"), ("Stepping", "loader")])
def test_a_training_step_that_steps_is_left_alone_and_forward_is_run(on: Any, kind: str, data: str) -> None:
    audit = on.InitAudit()
    ran = on.trainer(audit, limit_train_batches=1)
    ran.fit(getattr(on, kind)(), getattr(on, data)())
    assert audit.report is not None
    (run,) = audit.report.models
    assert run.reason is None
    assert run.loss is not None
    assert "mean square" in run.loss
    assert ran.global_step == 2
    with pytest.raises(initlint.InitError, match="INI102"):
        on.trainer(on.InitAudit(), limit_train_batches=1).fit(getattr(on, kind)(0.1), getattr(on, data)())


@further
def test_a_model_that_cannot_be_run_is_judged_by_its_parameters(on: Any) -> None:
    audit = on.InitAudit(fail_on="warning")
    with pytest.warns(UserWarning, match="initlint: Odd was not run: .*not yet"):
        on.trainer(audit).fit(on.Odd(), on.loader())


@further
def test_a_second_training_is_audited_and_a_resumed_one_is_not(on: Any, tmp_path: Path) -> None:
    audit = on.InitAudit()
    ran = on.trainer(audit)
    ran.fit(on.Net(), on.loader())
    ran.save_checkpoint(tmp_path / "last.ckpt")
    first = audit.report
    on.trainer(audit).fit(on.Net(), on.loader())
    second = audit.report
    assert second is not first
    more = on.trainer(audit)
    more.fit_loop.max_epochs = 3
    more.fit(on.Net(), on.loader(), ckpt_path=tmp_path / "last.ckpt")
    assert audit.report is second


@further
@pytest.mark.parametrize("wrong", [{"fail_on": "sometimes"}, {"select": "INI999"}, {"ignore": "XYZ"}])
def test_what_cannot_be_meant_is_said_at_once(on: Any, wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong.values()))):
        on.InitAudit(**wrong)


@further
def test_workers_and_a_generator_of_the_loaders_own(on: Any) -> None:
    def order(*callbacks: Any) -> list[float]:
        on.pl.seed_everything(3, verbose=False)
        net = on.Net()
        on.trainer(*callbacks).fit(net, on.loader(5, workers=1))
        return [x for x, *_ in net.diary]

    assert order(on.InitAudit()) == order()
