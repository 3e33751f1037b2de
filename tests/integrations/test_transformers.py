"""The callback in trainings by the real transformers.Trainer, on a model of one layer."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import initlint

if not all(map(importlib.util.find_spec, ("torch", "transformers", "accelerate"))):
    pytest.skip("transformers or accelerate is not installed", allow_module_level=True)

pytestmark = pytest.mark.torch
further = pytest.mark.slow  # a framework takes seconds to import, and each of the processes that tests run in would

CONFIG = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "vocab_size": 50,
    "max_position_embeddings": 16,
    "num_labels": 3,
}


def model() -> Any:
    torch.manual_seed(0)
    return transformers.BertForSequenceClassification(transformers.BertConfig(**CONFIG))


def data(count: int = 32) -> list[dict[str, Any]]:
    words = torch.randint(1, 50, (count, 6), generator=torch.Generator().manual_seed(1))
    return [{"input_ids": row, "labels": int(row[0]) % 3} for row in words]


@pytest.fixture(scope="module", autouse=True)
def _imported() -> Iterator[None]:
    """What takes seconds to import, for the tests that run alone."""
    global InitAuditCallback, nn, torch, transformers
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")  # nothing here needs it
        import torch
        import transformers
        from torch import nn

        from initlint.integrations.transformers import InitAuditCallback

        yield


@pytest.fixture(autouse=True)
def quiet(_imported: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    transformers.logging.set_verbosity_error()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        yield


def trainer(net: Any, *callbacks: Any, **more: Any) -> Any:
    settings = {"max_steps": 2, "per_device_train_batch_size": 8, "logging_steps": 1, **more}
    arguments = transformers.TrainingArguments(
        "out", use_cpu=True, disable_tqdm=True, report_to="none", save_strategy="no", **settings
    )
    made = transformers.Trainer(net, arguments, train_dataset=data(), callbacks=list(callbacks))
    made.remove_callback(transformers.PrinterCallback)
    return made


def trained(*callbacks: Any) -> dict[str, Any]:
    """What a training leaves behind."""
    net = model()
    ran = trainer(net, *callbacks)
    seen: list[Any] = []
    net.register_forward_pre_hook(lambda _, __, kwargs: seen.append(kwargs["input_ids"].tolist()), with_kwargs=True)
    ran.train()
    quick = ("train_runtime", "train_samples_per_second", "train_steps_per_second")
    return {
        "batches": seen[-2:],
        "logged": [{k: v for k, v in line.items() if k not in quick} for line in ran.state.log_history],
        "state": {name: tensor.tolist() for name, tensor in net.state_dict().items()},
        "random": float(torch.rand(())),
        "attributes": sorted(net.__dict__),
        "hooks": len(net._forward_pre_hooks),
    }


def test_a_sound_training_is_the_same_with_and_without_and_a_flawed_one_ends() -> None:
    audit = InitAuditCallback()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert trained(audit) == trained()
    report = audit.report
    assert report is not None
    assert report.findings == ()
    (run,) = report.models
    assert (run.reason, run.inferred) == (None, False)
    assert run.loss is not None
    assert run.loss.endswith("(its own)")

    net = model()
    nn.init.constant_(net.bert.pooler.dense.weight, 0.02)
    nn.init.constant_(net.classifier.weight, 0.02)
    ran = trainer(net, InitAuditCallback())
    with pytest.raises(initlint.InitError, match=r"pooler\.dense\.weight: INI102 \[error\]"):
        ran.train()
    assert ran.state.global_step == 0
    assert not net._forward_pre_hooks


@pytest.fixture(scope="module")
def checkpoint(_imported: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose weights no initialiser would give: shifted, of odd scales, one layer hardly alive."""
    net = model()
    with torch.no_grad():
        for index, parameter in enumerate(net.bert.parameters()):
            parameter.mul_(0.01 if index % 3 else 30).add_(0.05)
        net.bert.encoder.layer[0].output.dense.weight.fill_(0.01)
    path = tmp_path_factory.mktemp("checkpoint")
    net.bert.save_pretrained(path)
    return path


@further
def test_a_fine_tuned_model_is_not_told_how_to_start(checkpoint: Path) -> None:
    net = transformers.BertForSequenceClassification.from_pretrained(checkpoint, num_labels=3)
    audit = InitAuditCallback(fail_on="advice")
    trainer(net, audit, max_steps=1).train()
    assert audit.report is not None
    assert audit.report.findings == ()
    fresh = InitAuditCallback(fail_on="never")  # the same values, of which nobody knows where they are from
    for parameter in net.parameters():
        parameter.__dict__.pop("_is_hf_initialized", None)
    with pytest.warns(UserWarning, match="INI"):
        trainer(net, fresh, max_steps=1).train()


@further
def test_the_head_that_a_fine_tuned_model_gets_is_judged(checkpoint: Path) -> None:
    net = transformers.BertForSequenceClassification.from_pretrained(checkpoint, num_labels=3)
    nn.init.normal_(net.classifier.weight, std=30.0)
    audit = InitAuditCallback(fail_on="never")
    with pytest.warns(UserWarning, match=r"classifier\.weight"):
        trainer(net, audit, max_steps=1).train()
    assert audit.report is not None
    assert {finding.parameter for finding in audit.report.findings} == {"classifier.weight"}


@further
def test_what_is_broken_in_any_weights_is_told(checkpoint: Path) -> None:
    net = transformers.BertForSequenceClassification.from_pretrained(checkpoint, num_labels=3)
    with torch.no_grad():
        net.bert.pooler.dense.weight[0, 0] = float("nan")
    with pytest.raises(initlint.InitError, match="INI105"):
        trainer(net, InitAuditCallback(), max_steps=1).train()
