"""A callback for transformers' Trainer: ``Trainer(..., callbacks=[InitAuditCallback()])``."""

from __future__ import annotations

import importlib
from collections.abc import Generator
from typing import Any

import torch
from torch import nn

from initlint.integrations.training import FirstBatchCallback, batch_of
from initlint.live.batches.batch import Batch

__all__ = ["InitAuditCallback"]


def _callback() -> type[Any]:
    """transformers' TrainerCallback."""
    try:
        kind: type[Any] = importlib.import_module("transformers.trainer_callback").TrainerCallback
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        message = "InitAuditCallback needs transformers: pip install 'initlint[transformers]'"
        raise ModuleNotFoundError(message, name="transformers") from None
    return kind


class InitAuditCallback(FirstBatchCallback, _callback()):  # type: ignore[misc]
    """Audits the model that is to be trained on the first batch that it is given, before it has run on it.

    That is the Trainer's own first call of the model, its labels included: no data loader is asked for anything. The
    loss is the model's where it returns one, else as for ``initlint.audit``, of which ``select``, ``ignore`` and
    ``loss`` (a function of the model's output, or the name of one) are. Only values are known, not who wrote them.
    Parameters, buffers, generators, modes and the Trainer are afterwards as they were. Mixed precision is left out.
    What is resumed from a checkpoint of the Trainer's is not audited.

    Of a model that ``from_pretrained`` has loaded, the parameters that were in the checkpoint are left alone: nothing
    is said of what training has made of them, only what is broken in any weights is (not finite, never written, samples
    that leak into each other). Those that it had to make anew (a classifier's head) and those added since (LoRA) are
    judged like those of a fresh model. ``loaded`` names further ones that were loaded otherwise, as globs
    ("encoder.*").

    A finding at or above ``fail_on`` ("error", "warning", "advice") ends the training with ``initlint.InitError``, the
    others are one warning; with "never" all are. A model that cannot be run is judged by its parameters, with a warning
    that says why. With several processes rank 0 audits and reports while the others wait, and all end if it says so; of
    a model in pieces (FSDP 2, tensor parallel) all audit and rank 0 reports. With several devices in one process
    (DataParallel) the batch is inferred. ``report`` is what was found, None before.

    Raises ValueError for codes and a ``fail_on`` that mean nothing.
    """

    _waiting: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, *, model: nn.Module, **kwargs: Any) -> None:
        """Wait for the first batch. Raises InitError where there is no waiting for it."""
        self.on_train_end(args, state, control)
        if state.global_step:
            return
        if args.n_gpu > 1:  # DataParallel calls copies of the model, each in a thread
            self._judge(model, None)
            return

        def before(module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
            if module.training and torch.is_grad_enabled():
                self.on_train_end(args, state, control)
                # without how many labels the whole step has, the loss is this batch's mean
                given = {name: value for name, value in named.items() if name != "num_items_in_batch"}
                self._judge(module, batch_of(inputs, given))

        hook = torch.compiler.disable(before) if args.torch_compile else before  # type: ignore[no-untyped-call]
        self._waiting = model.register_forward_pre_hook(hook, with_kwargs=True, prepend=True)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Wait no longer."""
        if self._waiting is not None:
            self._waiting.remove()
            self._waiting = None

    def _judge(self, model: nn.Module, batch: Batch | None) -> None:
        def attempts() -> Generator[tuple[nn.Module, Any], None, None]:
            yield model, batch

        self._first.judge(model, attempts)
