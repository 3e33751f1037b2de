"""What the callbacks for training frameworks share: one audit before the first step, and what follows from it.

A callback hands over the module and the batch that it is about to be trained on. Nothing is fetched for the audit, so
no data loader is asked for a batch more, in another order, or by workers of its own.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Set
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from initlint.api import audit, codes_of
from initlint.engine import check_patterns
from initlint.findings import Finding, Severity
from initlint.live.batches.batch import Batch, as_batch
from initlint.live.host.sharded import is_piece
from initlint.printable import printable
from initlint.report.wording import counted
from initlint.result import InitError, Report

__all__ = ["FirstBatch", "FirstBatchCallback", "batch_of"]

Attempts = Callable[[], Generator[tuple[nn.Module, Any], None, None]]
"""Modules to audit in place of the one in question, each with its batch, until one runs."""


class FirstBatch:
    """What to ask of a model before its first step, and when to stop its training.

    ``fail_on`` is "error", "warning" or "advice", at or above which a finding raises InitError, or "never"; what is
    below is a warning. ``select``, ``ignore`` and ``loss`` are as for ``initlint.audit``. ``loaded`` are globs for the
    names of parameters that come from a checkpoint. Raises ValueError for words and codes that mean nothing.
    """

    def __init__(
        self,
        *,
        fail_on: str,
        select: str | Iterable[str] | None,
        ignore: str | Iterable[str] | None,
        loss: str | Callable[[Any], Tensor] | None,
        loaded: str | Iterable[str],
    ) -> None:
        try:
            self.fail_on = None if fail_on == "never" else Severity.parse(fail_on)
        except ValueError:
            raise ValueError(f"fail_on is error, warning, advice or never, not {fail_on!r}") from None
        self.select = None if select is None else codes_of(select)
        self.ignore = codes_of(ignore or ())
        check_patterns((*(self.select or ()), *self.ignore))
        self.loss = loss
        self.loaded = (loaded,) if isinstance(loaded, str) else tuple(loaded)
        self.report: Report | None = None
        """What was found, on the rank that reports."""

    @staticmethod
    def in_pieces(module: nn.Module) -> bool:
        """Whether its parameters lie in pieces over the ranks: then all of them audit."""
        return any(is_piece(parameter) for parameter in module.parameters())

    def judge(self, module: nn.Module, attempts: Attempts) -> None:
        """Audit ``module`` on the first of ``attempts`` that runs; call it on every rank.

        Raises InitError on all ranks where it is to stop, whatever ``audit`` raises on the rank where it does.
        """
        rank, world = _place()
        pieces = self.in_pieces(module)
        stop: str | None = None
        failure: Exception | None = None
        if rank == 0 or pieces:
            try:
                stop = self._judged(module, attempts, alone=world > 1 and not pieces, speak=rank == 0)
            except Exception as error:  # raised once the others know
                failure = error
        told = _from_first((stop, failure is not None), world)
        if failure is not None:
            raise failure
        if told[0] is not None:
            raise InitError(told[0])
        if told[1]:
            raise InitError("initlint failed on rank 0, and training ends there")

    def _judged(self, module: nn.Module, attempts: Attempts, *, alone: bool, speak: bool) -> str | None:
        """The text to stop with, None to go on; what is no reason to stop is said as a warning."""
        if _flattened(module):
            if speak:
                _warn("the parameters are flattened over the ranks (FSDP 1, DeepSpeed ZeRO 3), and are not audited")
            return None
        with (
            _by_itself(alone),
            _eager(),
            _kept(module),
            _full_precision(module),
            contextlib.closing(attempts()) as every,
        ):
            report = self._first_that_runs(every, (*self.loaded, *_marked(module)))
        fail_on = Severity.ERROR if self.fail_on is None else self.fail_on
        notes = (*report.notes, *report.failures)
        self.report = report = replace(report, failures=(), notes=notes, fail_on=fail_on)
        if not speak:
            return None
        for line in report.notes:
            _warn(line)
        if not report.findings:
            return None
        if self.fail_on is not None:
            try:
                report.raise_for_findings()
            except InitError as error:
                return str(error)
        head = f"{counted(len(report.findings), 'finding')} before the first step"
        _warn("\n".join([head, *map(_line, report.findings)]))
        return None

    def _first_that_runs(self, attempts: Iterable[tuple[nn.Module, Any]], loaded: Iterable[str]) -> Report:
        report: Report | None = None
        for module, batch in attempts:
            report = audit(
                module,
                batch,
                loss=self.loss,
                select=self.select,
                ignore=self.ignore,
                advice=self.fail_on is Severity.ADVICE,
                loaded=loaded,
            )
            if report.models[0].reason is None:
                break
        assert report is not None
        return report


class FirstBatchCallback:
    """What a callback is made with, whichever framework calls it; it comes before the framework's own base."""

    def __init__(
        self,
        *,
        fail_on: str = "error",
        select: str | Iterable[str] | None = None,
        ignore: str | Iterable[str] | None = None,
        loss: str | Callable[[Any], Tensor] | None = None,
        loaded: str | Iterable[str] = (),
    ) -> None:
        super().__init__()
        self._first = FirstBatch(fail_on=fail_on, select=select, ignore=ignore, loss=loss, loaded=loaded)

    @property
    def report(self) -> Report | None:
        """What was found before the latest training, on the rank that reports."""
        return self._first.report


def batch_of(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Batch:
    """What a module is called with, its tensors described."""
    words = [as_batch(value).description for value in args if isinstance(value, Tensor)]
    words += [as_batch({name: value}).description for name, value in kwargs.items() if isinstance(value, Tensor)]
    return Batch(args, kwargs, " ".join(filter(None, words)))


def _place() -> tuple[int, int]:
    """This process's rank, and how many there are."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return 0, 1
    return torch.distributed.get_rank(), torch.distributed.get_world_size()


def _from_first(words: tuple[str | None, bool], world: int) -> tuple[str | None, bool]:
    """What rank 0 has to say."""
    if world == 1:
        return words
    told = [words]
    torch.distributed.broadcast_object_list(told, src=0)
    return told[0]


def _flattened(module: nn.Module) -> bool:
    """Whether a parameter's values are not to be had in its own shape."""
    return any(
        type(parameter).__name__ == "FlatParameter" or hasattr(parameter, "ds_id") for parameter in module.parameters()
    ) or any(type(child).__name__ == "FullyShardedDataParallel" for child in module.modules())


def _marked(module: nn.Module) -> tuple[str, ...]:
    """The parameters that transformers has loaded from a checkpoint."""
    every = module.named_parameters(remove_duplicate=False)
    return tuple(name for name, parameter in every if getattr(parameter, "_is_hf_initialized", False))


def _line(finding: Finding) -> str:
    said = printable(f"  {finding.subject}: {finding.code} [{finding.severity.label}] {finding.message}")
    return f"{said}\n    help: {printable(finding.help)}" if finding.help else said


def _warn(text: str) -> None:
    warnings.warn(f"initlint: {text}", UserWarning, stacklevel=2)


@contextlib.contextmanager
def _by_itself(alone: bool) -> Iterator[None]:
    """With ``alone``, torch.distributed is as if it had not been started: the other ranks answer nothing.

    What can do without them does (SyncBatchNorm, a framework's gathering), and what cannot fails at once.
    """
    if not alone:
        yield
        return
    group: Any = torch.distributed.group
    started, group.WORLD = group.WORLD, None
    try:
        yield
    finally:
        group.WORLD = started


@contextlib.contextmanager
def _eager() -> Iterator[None]:
    """Compiled parts run as they are written, where anything was compiled."""
    set_stance = getattr(torch.compiler, "set_stance", None)
    if "torch._dynamo" not in sys.modules or set_stance is None:
        yield
        return
    with set_stance("force_eager"):
        yield


@contextlib.contextmanager
def _full_precision(module: nn.Module) -> Iterator[None]:
    """Without autocast: half-precision gradients would vanish that a loss scale saves in training."""
    device = next((parameter.device.type for parameter in module.parameters()), "cpu")
    original = module.__dict__.get("_original_forward")  # as accelerate keeps it
    with torch.autocast(device, enabled=False):
        if original is not None:
            module.forward = original
        yield


@contextlib.contextmanager
def _kept(module: nn.Module) -> Iterator[None]:
    """Puts back what ``initlint.audit`` does not: plain tensors, and what is in the lists, sets and dicts of modules.

    Steps collect their outputs there, and metrics count in them.
    """
    own = {id(tensor) for tensor in (*module.parameters(), *module.buffers())}
    seen: set[int] = set()
    undo: list[Callable[[], None]] = []
    for child in module.modules():
        for name, value in list(child.__dict__.items()):
            if name not in _TABLES:
                _note(value, own, seen, undo)
    attributes = dict(module.__dict__)
    try:
        yield
    finally:
        module.__dict__.clear()
        module.__dict__.update(attributes)
        for each in undo:
            each()


_TABLES = frozenset({"_parameters", "_buffers", "_modules"})


def _note(value: Any, own: Set[int], seen: set[int], undo: list[Callable[[], None]]) -> None:
    """Add what puts back the contents of a tensor or container, and of those in it."""
    if id(value) in seen:
        return
    kind = type(value)
    if kind is Tensor and id(value) not in own:
        seen.add(id(value))
        undo.append(_putting(value, value.detach().clone()))
    elif kind in (list, deque, set, dict, OrderedDict, defaultdict):
        seen.add(id(value))
        undo.append(_refilling(value, value.copy()))
        for item in value.values() if isinstance(value, dict) else value:
            _note(item, own, seen, undo)


def _putting(tensor: Tensor, values: Tensor) -> Callable[[], None]:
    def back() -> None:
        if not torch.equal(tensor, values):
            tensor.detach().copy_(values)

    return back


def _refilling(container: Any, contents: Any) -> Callable[[], None]:
    def back() -> None:
        container.clear()
        if isinstance(container, (dict, set)):
            container.update(contents)
        else:
            container.extend(contents)

    return back
