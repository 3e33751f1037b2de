"""A callback for Lightning's Trainer: ``Trainer(callbacks=[InitAudit()])``.

It works with ``lightning.pytorch`` and with ``pytorch_lightning``: with the one that is imported, else with one that is
installed; it calls no more of either than it is handed.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from initlint.integrations.training import FirstBatchCallback, batch_of
from initlint.live.batches.batch import Batch

__all__ = ["InitAudit"]


def _callback() -> type[Any]:
    """The Callback of the framework at hand."""
    names = ("lightning.pytorch", "pytorch_lightning")
    found = [name for name in names if name in sys.modules]
    found += [name for name in names if importlib.util.find_spec(name.partition(".")[0]) is not None]
    if not found:
        raise ModuleNotFoundError("InitAudit needs Lightning: pip install 'initlint[lightning]'", name="lightning")
    kind: type[Any] = importlib.import_module(found[0]).Callback
    return kind


class InitAudit(FirstBatchCallback, _callback()):  # type: ignore[misc]
    """Audits the module that is to be trained on the first batch that it is to be trained on, before the first step.

    The batch is the training loop's own, on the module's device; none is fetched for this. The loss is that of
    ``training_step``, which is run with nothing logged, where it can be (not with manual optimisation), else that of
    ``forward`` as for ``initlint.audit``, of which ``select``, ``ignore`` and ``loss`` are; with a ``loss``, a function
    of the model's output or the name of one, ``forward`` is run. Only values are known, not who wrote them.
    Parameters, buffers, generators, modes, metrics and the trainer are afterwards as they were. Mixed precision is left
    out. What goes on from a checkpoint of the trainer's is not audited.

    A finding at or above ``fail_on`` ("error", "warning", "advice") ends the training with ``initlint.InitError``, the
    others are one warning; with "never" all are. A model that cannot be run is judged by its parameters, with a warning
    that says why. ``loaded`` names parameters that come from a checkpoint, as globs ("backbone.*"): nothing is said of
    what training has made of them, only what is broken in any weights is (not finite, never written). Parameters that
    transformers has loaded count among them by themselves.

    With several processes rank 0 audits and reports while the others wait, and all end if it says so; of a model in
    pieces (FSDP 2, tensor parallel) all audit and rank 0 reports. ``report`` is what was found, None before.

    Raises ValueError for codes and a ``fail_on`` that mean nothing.
    """

    _due = False

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """A training begins."""
        self._due = True

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Audit before the first batch is trained on. Raises InitError."""
        if not self._due:
            return
        self._due = False
        if trainer.global_step:
            return

        def attempts() -> Generator[tuple[nn.Module, Any], None, None]:
            if self._first.loss is None and pl_module.automatic_optimization and not self._first.in_pieces(pl_module):
                with _unheard(trainer, pl_module):
                    yield _Step(pl_module, batch), _spread(batch)
            yield pl_module, _inputs(pl_module.forward, batch)

        self._first.judge(pl_module, attempts)


class _Step(nn.Module):
    """A module whose forward is another's training_step, with the same parameters and layers under the same names."""

    def __new__(cls, whole: nn.Module, batch: Any) -> _Step:
        """One that goes by the name and the source of the other's class."""
        own = vars(type(whole))
        names = {name: own[name] for name in ("__module__", "__qualname__", "__firstlineno__") if name in own}
        made: _Step = super().__new__(type(type(whole).__name__, (cls,), names))
        return made

    def __init__(self, whole: nn.Module, batch: Any) -> None:
        super().__init__()
        for table in ("_parameters", "_buffers", "_modules"):
            self.__dict__[table] = whole.__dict__[table]
        training_step: Any = whole.training_step
        try:
            inspect.signature(training_step).bind(batch, 0)
            rest: tuple[int, ...] = (0,)
        except TypeError:
            rest = ()

        def step(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            return training_step(_gathered(batch, args, kwargs), *rest)

        def set_mode(mode: bool) -> None:
            whole.training = mode

        self.step, self.set_mode = step, set_mode

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What training_step returns for the batch in these pieces."""
        return self.step(args, kwargs)

    def train(self, mode: bool = True) -> _Step:
        """Set the mode of the other, too."""
        super().train(mode)
        self.set_mode(mode)
        return self


def _spread(batch: Any) -> Batch:
    """A batch whose tensors can be told to be samples: the items of a tuple, list or mapping one by one."""
    if isinstance(batch, Mapping) and all(isinstance(key, str) for key in batch):
        return batch_of((), dict(batch))
    return batch_of(tuple(batch) if isinstance(batch, (tuple, list)) else (batch,), {})


def _gathered(like: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What ``_spread`` has spread, as it came."""
    if isinstance(like, Mapping):
        return kwargs if type(like) is dict else type(like)(kwargs)  # type: ignore[call-arg]
    if isinstance(like, (tuple, list)):
        return type(like)(*args) if hasattr(like, "_fields") else type(like)(args)
    return args[0]


def _inputs(forward: Callable[..., Any], batch: Any) -> Batch:
    """What of a batch is a model's input: by name out of a mapping, else the first, as many as have to be given."""
    every = inspect.signature(forward).parameters.values()
    places = [each for each in every if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    needed = [each for each in places if each.default is each.empty]
    if isinstance(batch, Mapping):
        named = {each.name for each in every if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)}
        taken = {name: value for name, value in batch.items() if name in named}
        return batch_of((), taken) if taken else batch_of((batch,), {})
    if isinstance(batch, (tuple, list)) and (len(needed) > 1 or len(batch) > 1 or isinstance(batch[0], Tensor)):
        return batch_of(tuple(batch[: max(1, len(needed))]), {})
    return batch_of((batch,), {})


class _Silence:
    """Stands for a logger, and for whatever it is asked for."""

    def __getattr__(self, name: str) -> _Silence:
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> _Silence:
        return self


@contextlib.contextmanager
def _unheard(trainer: Any, module: nn.Module) -> Iterator[None]:
    """What a training_step logs goes nowhere, and it gets no hold of optimisers."""

    def ignore(*args: Any, **kwargs: Any) -> None:
        """Log nothing."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("training_step steps by itself")

    loggers = trainer.loggers
    before = dict(module.__dict__)
    module.__dict__.update(log=ignore, log_dict=ignore)
    module.__dict__.update(dict.fromkeys(("optimizers", "lr_schedulers", "manual_backward"), refuse))
    trainer.loggers = [_Silence()] if loggers else []
    try:
        yield
    finally:
        trainer.loggers = loggers
        module.__dict__.clear()
        module.__dict__.update(before)
