"""Configuration: ``[tool.initlint]`` in a pyproject.toml, or an initlint.toml that holds the same keys at its top.

The nearest configuration holds for a file, alone: two are never merged. In one directory .initlint.toml comes before
initlint.toml, and that before pyproject.toml; a pyproject.toml that says nothing of initlint is passed over. What the
command line says comes before any file.
"""

from __future__ import annotations

import functools
import os
import re
import stat
import sys
from collections.abc import Mapping
from typing import Any

from initlint.findings import Finding, Severity
from initlint.globs import included, relative_to
from initlint.record import record
from initlint.regular import contents

__all__ = ["Config", "ConfigError", "Configurations", "inline"]

MAX_FILE_SIZE = 1_000_000
MAX_BYTES = 1_000_000
"""Of a configuration."""


class ConfigError(ValueError):
    """A configuration that means nothing; the text is one line with the file and the key."""


@record(frozen=True, slots=True)
class Config:
    """What holds for the files of one directory tree: plain data.

    ``path`` is the file it comes from, None for the defaults; ``root`` the directory that its globs and paths are
    relative to. The other fields are the keys of ``initlint.settings.KEYS``, which say what each means.
    """

    path: str | None = None
    root: str = os.sep
    select: tuple[str, ...] | None = None
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    advice: bool = False
    severity: tuple[tuple[str, Severity], ...] = ()
    per_file_ignores: tuple[tuple[str, tuple[str, ...]], ...] = ()
    ignore_parameters: tuple[str, ...] = ()
    exclude: tuple[str, ...] | None = None
    extend_exclude: tuple[str, ...] = ()
    respect_gitignore: bool = True
    force_exclude: bool = False
    fail_on: Severity = Severity.WARNING
    static: bool = False
    seeds: int | None = None
    max_file_size: int = MAX_FILE_SIZE
    python: str | None = None
    timeout: float | None = None
    memory_limit: str | None = None
    loss: str | None = None
    dtype: str | None = None
    baseline: str | None = None
    plugins: tuple[str, ...] = ()
    initializers: tuple[Any, ...] = ()
    models: tuple[Any, ...] = ()

    @property
    def shown(self) -> str:
        """Where it comes from, as messages name it."""
        return "--config" if self.path is None else _shown(self.path)

    @property
    def digest(self) -> str:
        """What stands for everything in it that bears on what reading a file finds: 32 hexadecimal digits."""
        return _digest(self)

    def ignores(self, code: str, path: str) -> bool:
        """Whether ``per-file-ignores`` leaves a code out in the file of that absolute path."""
        relative: str | None = None
        for pattern, codes in self.per_file_ignores:
            if not any(each == "ALL" or code.startswith(each) for each in codes):
                continue
            if relative is None:
                relative = relative_to(self.root, path)
            if pattern.startswith("!") is not bool(included((pattern.removeprefix("!"),), relative)):
                return True
        return False

    def ignores_parameters(self, finding: Finding) -> bool:
        """Whether ``ignore-parameters`` covers every parameter that a finding names; one that names none stays."""
        if not self.ignore_parameters or not finding.parameters:
            return False
        from fnmatch import fnmatchcase

        def covered(name: str) -> bool:
            whole = f"{finding.model or ''}.{name}"
            return any(fnmatchcase(whole, glob) or fnmatchcase(name, glob) for glob in self.ignore_parameters)

        return all(map(covered, finding.parameters))


_STATIC_FIELDS = (
    "root", "select", "extend_select", "ignore", "advice", "severity", "per_file_ignores", "ignore_parameters",
    "max_file_size", "plugins", "initializers",
)  # fmt: skip


@functools.cache
def _digest(config: Config) -> str:
    import hashlib

    text = repr([getattr(config, name) for name in _STATIC_FIELDS])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


_MAY_CONFIGURE = rb"""(?mx) tool["'\s]*\.["'\s]*initlint | ^\s*\[\s*["']?tool["']?\s*\] | ^\s*["']?tool["']?\s*="""
"""The ways to spell [tool.initlint] in TOML; a pyproject.toml that has none of them is not parsed."""

_FILES = (".initlint.toml", "initlint.toml", "pyproject.toml")


class Configurations:
    """The configurations of a run: one for every directory, each file read once.

    ``file`` is one to use everywhere in place of those that lie about. ``overrides`` are fields that what was asked for
    sets, whatever a file says. Without ``discover`` no file is looked for. Raises ConfigError when a file that is found
    cannot be understood.
    """

    def __init__(
        self, file: str | None = None, overrides: Mapping[str, Any] | None = None, *, discover: bool = True
    ) -> None:
        self._overrides = dict(overrides or {})
        self._found: dict[str, Config] = {}
        self.asked = self._with_overrides({}, None, os.getcwd())
        """The defaults with what was asked for, as where no file lies about."""
        self._only: Config | None = None
        if file is not None:
            full = os.path.abspath(file)
            read = _read(full, whole=True)
            self._only = self._with_overrides(read or {}, full, os.path.dirname(full))
        elif not discover:
            self._only = self.asked

    def of(self, path: str) -> Config:
        """The configuration of the file of an absolute path."""
        return self.within(os.path.dirname(path))

    def within(self, directory: str) -> Config:
        """The configuration of what lies right in a directory, an absolute path."""
        if self._only is not None:
            return self._only
        unknown = []
        current = directory
        found = self._found.get(current)
        while found is None:
            unknown.append(current)
            found = self._here(current)
            parent = os.path.dirname(current)
            if found is None and parent == current:
                found = self.asked
            if found is None:
                current = parent
                found = self._found.get(current)
        for each in unknown:
            self._found[each] = found
        return found

    def _here(self, directory: str) -> Config | None:
        for name in _FILES:
            path = os.path.join(directory, name)
            try:
                if not stat.S_ISREG(os.stat(path).st_mode):
                    continue
            except (OSError, ValueError):
                continue
            values = _read(path)
            if values is not None:
                return self._with_overrides(values, path, directory)
        return None

    def _with_overrides(self, values: dict[str, Any], path: str | None, root: str) -> Config:
        asked = self._overrides
        merged = {**values, **asked}
        for name, separators in (("python", os.sep), ("baseline", "")):
            # a program without a separator is looked up as a shell would
            if name in values and name not in asked and separators in values[name]:
                merged[name] = os.path.join(root, os.path.expanduser(values[name]))
        if "extend_select" in asked:
            merged["extend_select"] = (*values.get("extend_select", ()), *asked["extend_select"])
        if "select" in asked and "extend_select" not in asked:
            merged.pop("extend_select", None)
        if "ignore" not in asked and "ignore" in values:
            # A code that is asked for by the very words in which a file leaves it out is wanted after all.
            wanted = (*(asked.get("select") or ()), *asked.get("extend_select", ()))
            merged["ignore"] = tuple(code for code in values["ignore"] if code not in wanted)
        return Config(path=path, root=root, **merged)


def inline(text: str) -> dict[str, Any]:
    """The fields that ``key = value``, in TOML, sets: an argument of --config. Raises ConfigError."""
    return _fields(_parsed(text, "--config"), "--config", "")


def _read(path: str, *, whole: bool = False) -> dict[str, Any] | None:
    """The fields that a file sets; None for a pyproject.toml that says nothing of initlint.

    ``whole``: the file was named, and not saying anything is a mistake.
    """
    shown = _shown(path)
    try:
        data = contents(path, MAX_BYTES)
    except OSError as error:
        raise ConfigError(f"{shown}: cannot be read ({error.strerror})") from None
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{shown}: has more than {MAX_BYTES:,} bytes")
    is_project = os.path.basename(path) == "pyproject.toml"
    if is_project and not (b"initlint" in data and re.search(_MAY_CONFIGURE, data)):
        if whole:
            raise ConfigError(f"{shown}: has no [tool.initlint]")
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{shown}:{line}: is not UTF-8") from None
    table = _parsed(text, shown)
    if not is_project:
        return _fields(table, shown, "")
    tools = table.get("tool")
    own = tools.get("initlint") if isinstance(tools, dict) else None
    if own is None:
        if whole:
            raise ConfigError(f"{shown}: has no [tool.initlint]")
        return None
    if not isinstance(own, dict):
        raise ConfigError(f"{shown}: tool.initlint is a table")
    return _fields(own, shown, "tool.initlint.")


def _shown(path: str) -> str:
    return os.path.relpath(path) if path.startswith(os.path.join(os.getcwd(), "")) else path


def _parsed(text: str, shown: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        table: dict[str, Any] = tomllib.loads(text)
    except RecursionError:
        raise ConfigError(f"{shown}: is nested too deeply") from None
    except ValueError as error:
        place = re.search(r" \(at line (\d+), column (\d+)\)$", str(error))
        message = str(error)[: place.start()] if place else str(error)
        where = f":{place[1]}:{place[2]}" if place else ""
        raise ConfigError(f"{shown}{where}: is not TOML ({' '.join(message.split())})") from None
    return table


def _fields(table: Mapping[str, Any], shown: str, prefix: str) -> dict[str, Any]:
    from initlint.settings import KEYS, Refused, read_table

    try:
        return read_table(table, KEYS, prefix)
    except Refused as refused:
        raise ConfigError(f"{shown}: {refused}") from None
