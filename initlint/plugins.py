"""Rules from other packages: ``plugins = ["our_rules"]`` in a configuration.

A plugin is a module that holds rules: subclasses of ``initlint.rule.Rule``, its own or imported into it. It is code
that runs, so a static check takes it from where packages are installed and never from the tree that is checked: what
a stranger's pull request brings along is not run by reading it.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import re
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from importlib.machinery import ModuleSpec

from initlint.engine import enroll
from initlint.findings import Severity
from initlint.rule import EFFECT, FLAW, STUCK, SUBJECTS, UNWRITTEN, Entry, Rule

__all__ = ["load"]

_NEEDS = {"source", "parameters", "graph", "probe"}


def load(name: str, trees: Iterable[str] = ()) -> frozenset[str]:
    """Import a plugin and make its rules known; returns their codes.

    Nothing is run that lies in ``trees`` (directories), but for what is installed in this interpreter's own
    environment. Raises ValueError, in one line, for a plugin that cannot be had or whose rules are none.
    """
    forbidden = tuple(os.path.join(_top(os.path.realpath(tree)), "") for tree in trees)
    with _path_without(()):
        try:
            spec = importlib.util.find_spec(name.partition(".")[0])  # runs nothing: the name has no dot
        except (ImportError, ValueError, AttributeError):
            spec = None
    if spec is None:
        raise ValueError(f"there is no plugin {name!r} among the installed packages")
    for path in _places(spec):
        if _lies_in(path, forbidden):
            raise ValueError(
                f"the plugin {name!r} lies in the tree that is checked ({path}), and a check that only reads runs "
                "nothing of it: install it as a package"
            )
    with _path_without(forbidden):
        try:
            module = importlib.import_module(name)
        except Exception as error:  # whatever its code raises
            raise ValueError(f"the plugin {name!r} cannot be imported ({type(error).__name__}: {error})") from None
        except SystemExit:
            raise ValueError(f"the plugin {name!r} exits when it is imported") from None
    rules = {
        value.__dict__["code"]: value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Rule) and "code" in value.__dict__
    }
    if not rules:
        raise ValueError(f"the plugin {name!r} holds no rules")
    for code, rule in rules.items():
        enroll(_entry(name, code, rule), rule)
    return frozenset(rules)


def _entry(plugin: str, code: object, rule: type[Rule]) -> Entry:
    """A rule's row of the registry. Raises ValueError for a rule that is not finished."""
    subjects = tuple(subject for subject in SUBJECTS if hasattr(rule, f"check_{subject}"))
    name, severity, needs = (getattr(rule, each, None) for each in ("name", "severity", "needs"))
    problem = None
    if not isinstance(code, str) or not re.fullmatch(r"[A-Z]+[0-9]+", code):
        problem = f"its code is {code!r}, and not capital letters with a number"
    elif not isinstance(name, str) or not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        problem = "it has no name such as std-passed-as-mean"
    elif not isinstance(severity, Severity):
        problem = "it has no severity"
    elif not isinstance(needs, (tuple, list)) or not needs or not set(needs) <= _NEEDS:
        problem = "it does not say what it needs"
    elif rule.finds not in (FLAW, EFFECT, UNWRITTEN, STUCK):
        problem = f"it finds {rule.finds!r}, and not FLAW, EFFECT, UNWRITTEN or STUCK"
    elif not subjects:
        problem = "it has no method such as check_call"
    if problem is not None or not isinstance(name, str) or not isinstance(severity, Severity):
        raise ValueError(f"the plugin {plugin!r}: {rule.__name__} is no rule: {problem}")
    return Entry(str(code), name, severity, rule.__module__, subjects, finds=rule.finds, asked_by=rule.asked_by)


@contextlib.contextmanager
def _path_without(forbidden: tuple[str, ...]) -> Iterator[None]:
    """While modules are looked for outside some trees, and never in a working directory that stands for itself."""
    kept = sys.path[:]
    sys.path[:] = [entry for entry in kept if entry and not _lies_in(entry, forbidden)]
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = kept


def _top(tree: str) -> str:
    """The root of the repository that a directory lies in; the directory itself where it lies in none."""
    current = tree
    while not os.path.exists(os.path.join(current, ".git")):
        parent = os.path.dirname(current)
        if parent == current:
            return tree
        current = parent
    return current


def _places(spec: ModuleSpec) -> list[str]:
    """The files and directories that a module's code lies in."""
    found = [spec.origin] if spec.has_location and spec.origin else []
    return [*found, *(spec.submodule_search_locations or ())]


def _lies_in(path: str, trees: tuple[str, ...]) -> bool:
    """Whether a path lies in one of the trees, and not where this interpreter's packages are installed."""
    real = os.path.join(os.path.realpath(path), "")
    if not real.startswith(trees):
        return False
    installed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()}
    installed |= {site.getusersitepackages(), sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    return not real.startswith(tuple(os.path.join(os.path.realpath(each), "") for each in installed))
