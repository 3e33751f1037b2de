"""What runs in the child process: import, build and audit each model that was named, and send what came of it.

The child's interpreter may have nothing but torch. Every message is one line of JSON on the pipe that the parent
opened: ``ready``, ``phase`` (what is being done, in words), ``outcome``, ``no-torch``; each has the job's key.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

from initlint.live.child.warden import guarded
from initlint.live.host.failures import said

if TYPE_CHECKING:
    from initlint.live.child.surroundings import Surroundings

__all__ = ["IMPORTING", "PIPE_LOST", "main"]

IMPORTING = "while it was imported"
"""The phase that all models of a file have in common."""
PIPE_LOST = 74
"""The exit status that says the pipe to the parent is gone (EX_IOERR of sysexits.h)."""
_OUT_OF_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "bad allocation",
    "std::bad_alloc",
    "Cannot allocate memory",
)


def main(job: Mapping[str, Any], results: int) -> None:
    """Do a job (the fields of LiveJob) and send its outcomes to the file descriptor ``results``; does not return."""
    os.set_inheritable(results, False)
    guarded()
    channel = _Channel(results, job["key"])
    try:
        import torch
    except ImportError as error:
        channel.send(
            {"kind": "no-torch", "text": f"{type(error).__name__}: {error}", "names": [getattr(error, "name", None)]}
        )
        os._exit(0)
    # What takes long to import is not counted against the first model.
    importlib.import_module("initlint.live.audit")
    importlib.import_module("initlint.live.recorder.build")
    channel.send({"kind": "ready", "torch": torch.__version__})
    limit = _MemoryLimit(job["memory_limit"])
    source = _Source(job["path"], job["module"], job["cwd"])
    before = None
    for name in job["names"]:
        outcome = _attempt(job, name, source, channel, limit)
        before = before or source.surroundings
        last = before is not None and before.changed()
        channel.send({"kind": "outcome", "last": last, **outcome})
        if last:
            break
    os._exit(0)


class Unmet(Exception):
    """What the job asks for cannot be had here, whatever the model is."""


class _Channel:
    """The pipe to the parent; a process that the model forked is stopped when it comes back to use it."""

    def __init__(self, descriptor: int, key: str) -> None:
        self._descriptor = descriptor
        self._key = key
        self._owner = os.getpid()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send one message."""
        if os.getpid() != self._owner:
            os._exit(0)
        data = b"\n" + json.dumps({"key": self._key, **message}).encode() + b"\n"  # not behind what a model wrote
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:  # the model closed it, and nothing more can be said
            os._exit(PIPE_LOST)

    def phase(self, text: str) -> None:
        """Say what is being done, for the case that it ends here."""
        self.send({"kind": "phase", "text": text})


class _MemoryLimit:
    """A limit to the memory that a model may add to what the interpreter and torch have taken."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Let writable memory grow by the limit; address space that is merely reserved does not count."""
        if self._limit is None:
            yield
            return
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        ceiling = _data_in_use() + self._limit
        resource.setrlimit(resource.RLIMIT_DATA, (ceiling if hard < 0 else min(ceiling, hard), hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))

    def reason(self, error: BaseException) -> str | None:
        """Words for an error that comes of the limit, None for another one."""
        if self._limit is None:
            return None
        if isinstance(error, MemoryError) or any(phrase in str(error) for phrase in _OUT_OF_MEMORY):
            return f"exceeded the memory limit of {self._limit / 2**30:.3g} GiB"
        return None


def _data_in_use() -> int:
    """The bytes of private writable memory of this process, as RLIMIT_DATA counts them."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmData:"))
    except (OSError, StopIteration):
        return 0


class _Source:
    """The file or module that the models are in; imported when first asked for."""

    def __init__(self, path: str | None, module: str | None, cwd: str) -> None:
        self._path = None if path is None else os.path.abspath(path)
        folder = own = cwd
        self._dotted = module
        if self._path is not None:
            own = os.path.dirname(self._path)
            folder, self._dotted = _package_of(self._path)
        installed = [entry for entry in sys.path if entry]
        sys.path[:] = list(dict.fromkeys([folder, *installed, own, *_outer(folder, cwd)]))
        self._name = ""
        self._module: ModuleType | None = None
        self._error: BaseException | None = None
        self.surroundings: Surroundings | None = None
        """As they were when the module had been imported."""

    def load(self, channel: _Channel) -> ModuleType:
        """The module; raises again what it raised the first time."""
        if self._error is not None:
            raise self._error
        if self._module is None:
            from initlint.live.child.surroundings import Surroundings

            channel.phase(IMPORTING)
            try:
                self._module = self._import()
            except BaseException as error:
                self._error = error
                raise
            self.surroundings = Surroundings()
        return self._module

    def again(self) -> ModuleType:
        """The module, run once more from its beginning."""
        assert self._module is not None
        del sys.modules[self._name]
        self._module = self._import()
        return self._module

    def _import(self) -> ModuleType:
        if self._dotted is not None:
            self._name = self._dotted
            return importlib.import_module(self._dotted)
        assert self._path is not None
        stem = os.path.splitext(os.path.basename(self._path))[0]
        self._name = stem if stem not in sys.modules and stem != "__main__" else f"_{stem}_"
        spec = importlib.util.spec_from_file_location(self._name, self._path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{os.path.basename(self._path)} is no Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[self._name] = module  # dataclasses and pickle look for it there
        spec.loader.exec_module(module)
        return module


_MARKS = (".git", "pyproject.toml", "setup.py", "setup.cfg")
"""What lies at the top of a project."""


def _outer(folder: str, cwd: str) -> list[str]:
    """The folders to look in for what is found nowhere else: as scripts at the top of a project, and those that are run
    where one stands, would import from there what lies below."""
    above = [os.path.abspath(folder)]
    while not any(os.path.exists(os.path.join(above[-1], mark)) for mark in _MARKS):
        parent = os.path.dirname(above[-1])
        if parent == above[-1]:
            return [cwd]
        above.append(parent)
    return [*above[1:], cwd]


def _package_of(path: str) -> tuple[str, str | None]:
    """The folder to import a file from, and its dotted name; None for one that lies in no package.

    A folder without ``__init__.py`` is a package too (PEP 420) where the file's relative imports take it for one, and
    nothing else goes by its name.
    """
    own, name = os.path.split(os.path.splitext(path)[0])
    reach = _reach(path)
    if name == "__main__" or not (reach or _is_regular(own)):
        return own, None
    folder = own
    parts: list[str] = []
    while os.path.dirname(folder) != folder and (len(parts) < reach or _is_regular(folder)):
        folder, package = os.path.split(folder)
        parts.insert(0, package)
    regular = _is_regular(os.path.join(folder, parts[0])) if parts else True
    if name != "__init__":
        parts.append(name)
    if not all(part.isidentifier() for part in parts) or not (regular or _is_free(parts[0], folder)):
        return own, None
    return folder, ".".join(parts)


def _is_regular(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, "__init__.py"))


def _is_free(name: str, folder: str) -> bool:
    """Whether nothing but what lies in a folder would be imported by a name."""
    if name in sys.modules:
        return False
    spec = importlib.util.find_spec(name)
    places = () if spec is None else spec.submodule_search_locations or ()
    return spec is None or os.path.join(folder, name) in map(os.path.abspath, places)


def _reach(path: str) -> int:
    """How many folders above a file its relative imports look into, its own counted."""
    try:
        with open(path, "rb") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return 0
    return max((node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)), default=0)


def _attempt(
    job: Mapping[str, Any], name: str, source: _Source, channel: _Channel, limit: _MemoryLimit
) -> dict[str, Any]:
    """Import, build and audit one model; whatever it raises is its outcome."""
    from initlint.live.recorder.build import NotAModel, NotBuilt

    try:
        with limit():
            return _audit(job, name, source, channel)
    except NotBuilt as error:
        return {"status": "skipped", "reason": str(error)}
    except NotAModel as error:
        return {"status": "failed", "reason": str(error)}
    except Unmet as error:
        return {"status": "failed", "reason": str(error), "unmet": True}
    except BaseException as error:
        reason = limit.reason(error) or _describe(error, job)
        return {"status": "failed", "reason": reason}


def _audit(job: Mapping[str, Any], name: str, source: _Source, channel: _Channel) -> dict[str, Any]:
    from torch import nn

    from initlint import wire
    from initlint.live.audit import audit_module
    from initlint.live.host.state import is_lazy
    from initlint.live.offers import makers
    from initlint.live.probing.width_spec import WidthSpec, width_argument
    from initlint.live.probing.widths import scaled
    from initlint.live.recorder.build import (
        Built,
        NeedsArguments,
        NotAModel,
        NotBuilt,
        accepted,
        arguments_for,
        build,
        keep,
        literals,
        needs,
    )
    from initlint.live.recorder.lazy import shapeless
    from initlint.live.suggested import initializer_of

    module = source.load(channel)
    subject = _attribute(module, name)
    device = "cpu" if job["meta"] else _device(job["device"])
    given = literals(job["arguments"])
    widths, argument = tuple(job["widths"]), None
    how: dict[str, Any] = {
        "device": device,
        "project_root": job["project_root"],
        "initialize": None if job["initializer"] is None else initializer_of(job["initializer"]),
        "meta": job["meta"],
    }
    if isinstance(subject, nn.Module) or (isinstance(subject, tuple) and subject and isinstance(subject[0], nn.Module)):
        takes: tuple[str, ...] | None = ()
        channel.phase("while it was imported again")

        def made(seed: int, twice: bool, batch: Any) -> Built:  # what was kept is not built twice
            return keep(name, lambda: _attribute(source.again(), name), seed=seed, batch=batch, **how)

    elif isinstance(subject, type) and not issubclass(subject, nn.Module):
        raise NotAModel(f"{name} is a class, and no nn.Module")
    elif callable(subject):
        channel.phase("in __init__" if isinstance(subject, type) else f"in {name}()")
        takes = accepted(subject)
        if widths:
            argument = width_argument(WidthSpec(widths, job["width_argument"]), takes)
        if argument is not None and needs(subject, argument):
            given.setdefault(argument, widths[0])

        def made(seed: int, twice: bool, batch: Any) -> Built:
            try:
                return build(name, subject, given, seed=seed, twice=twice, batch=batch, **how)
            except NeedsArguments as error:
                others = makers(module, subject) if isinstance(subject, type) else ""
                where = f"{module.__name__}:" if job["path"] is None else f"{_short(job['path'], job['cwd'])}::"
                another = f"try {where}{others}" if others else "name a function that makes one"
                raise NotBuilt(f"{error}, or {another}") from None

    else:
        raise NotAModel(f"{name} is a {type(subject).__name__}, and no model")
    every = []
    for seed in range(job["seed"], job["seed"] + job["seeds"]):
        chosen = _batch(job["batches"], seed)
        built = made(seed, seed == job["seed"], chosen)
        came = built.batch if chosen is None else chosen
        if all(map(is_lazy, built.module.parameters())) and (
            lacking := shapeless(built.module, came, meta=job["meta"])
        ):
            raise NotBuilt(lacking)
        channel.phase("in the forward or backward pass")
        facts = audit_module(
            built.module,
            came,
            recording=built.recording,
            name=name,
            seed=seed,
            device=device,
            loss=_loss(job["loss"], module),
            dtype=job["dtype"],
            differing=built.differing,
            meta=job["meta"],
        )
        every.append(facts)
        del built
    why = every[0].models[0].why_not_run
    notes = [] if why is None else [f"{name} was not run: {why}"]
    if argument is not None:
        channel.phase(f"at another {argument}")
        batch = _batch(job["batches"], job["seed"])
        others = arguments_for(name, subject, given)

        def at(width: int) -> Any:
            return subject(**{**others, argument: width})

        for number, facts in enumerate(every):
            every[number], said = scaled(facts, at, argument, widths, batch, job["seed"] + number, device)
            notes += [f"{name} {line}" for line in said]
    texts = [wire.dumps(facts) for facts in every]
    return {
        "status": "audited",
        "reason": None,
        "facts": texts,
        "notes": notes,
        "takes": takes,
    }


def _attribute(module: ModuleType, name: str) -> Any:
    from initlint.live.offers import instead
    from initlint.live.recorder.build import NotAModel

    subject: Any = module
    for part in name.split("."):
        try:
            subject = getattr(subject, part)
        except AttributeError:
            told = instead(module, name)
            raise NotAModel(f"{module.__name__} has no {name}" + (f": {told}" if told else "")) from None
    return subject


def _loss(wanted: str | None, module: ModuleType) -> Any:
    """The loss asked for. Raises Unmet where there is none such."""
    from initlint.live.probing.objective import named_loss

    if wanted is None:
        return None
    sys.path.append(os.getcwd())  # behind the model's own folder
    try:
        return named_loss(wanted, module)
    except ValueError as error:
        raise Unmet(f"--loss {error}") from None
    finally:
        sys.path.pop()


def _device(wanted: str) -> str:
    """As ``device.usable``. Raises Unmet where there is none such."""
    from initlint.live.host.device import usable

    try:
        return usable(wanted)
    except ValueError as error:
        raise Unmet(str(error)) from None


def _batch(given: list[str], seed: int) -> Any:
    """The batch that was asked for, None where none was. Raises Unmet for a broken file."""
    if not given:
        return None
    from initlint.live.batches.batch import make
    from initlint.live.batches.batch_spec import parse_spec
    from initlint.live.recorder.build import seed_all

    seed_all(seed)
    try:
        return make([parse_spec(text) for text in given])
    except ValueError as error:
        raise Unmet(str(error)) from None


def _describe(error: BaseException, job: Mapping[str, Any]) -> str:
    """One line: the exception's type and message, and the user's line."""
    text = f"{type(error).__name__}: {error.msg}" if isinstance(error, SyntaxError) else said(error, 300)
    place = _place(error, job)
    text = f"{text} ({place})" if place else text
    return f"{text}: --python names an interpreter that has it" if isinstance(error, ModuleNotFoundError) else text


def _place(error: BaseException, job: Mapping[str, Any]) -> str | None:
    """The innermost line of the project's that an exception came through, else of anybody's who is not torch."""
    from initlint.live.recorder.provenance import Home, Watcher

    if isinstance(error, SyntaxError) and error.filename:
        return f"{_short(error.filename, job['cwd'])}:{error.lineno}"
    watcher = Watcher(job["project_root"])
    found: dict[Home, str] = {}
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        path = trace.tb_frame.f_code.co_filename
        found[watcher.home(path)] = f"{_short(path, job['cwd'])}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found.get(Home.PROJECT) or found.get(Home.LIBRARY)


def _short(path: str, cwd: str) -> str:
    below = os.path.join(cwd, "")
    return path[len(below) :] if path.startswith(below) else path
