"""The rules as plain data: listed, looked up, documented."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from initlint.config import Configurations
from initlint.engine import load, no_such_rule, registry
from initlint.findings import Severity
from initlint.judgement import Judgement

if TYPE_CHECKING:
    from initlint.rule import Entry, Rule

__all__ = ["catalogue", "described", "explanation"]


def catalogue(
    codes: Iterable[str] = (), *, severity: str | None = None, needs: str | None = None, fixable: bool = False
) -> list[dict[str, Any]]:
    """Every rule as plain data: code, name, family, severity, the highest it may raise a finding to, needs,
    since, summary.

    ``codes`` leaves those that one of the codes, prefixes or families names; ``severity`` those that may say so,
    ``needs`` those that stand on that evidence, ``fixable`` those that propose a fix. The rules of plugins that the
    working directory's configuration names are among them, if a static check would take them. Raises ValueError for a
    code that no rule has, and for a configuration that means nothing.
    """
    _plugins_here()
    chosen = [code for code, entry in registry().items() if not codes or any(_named(entry, text) for text in codes)]
    for text in codes:
        if not any(_named(registry()[code], text) for code in chosen):
            raise ValueError(_no_such_family(text) or no_such_rule(text))
    return [
        entry
        for entry in map(_described, chosen)
        if severity in (None, entry["severity"], entry["highest"])
        and (needs is None or needs in entry["needs"])
        and (entry["fixable"] or not fixable)
    ]


def _named(entry: Entry, text: str) -> bool:
    """Whether a code, a prefix, a name or a family means a rule."""
    return entry.code.startswith(text.upper()) or text.lower().replace("-", "_") in (
        entry.name.replace("-", "_"),
        _family(entry),
    )


def _no_such_family(text: str) -> str | None:
    """What to say of a word that is nearly a family's name; None of all others."""
    from difflib import get_close_matches

    families = sorted({_family(entry) for entry in registry().values()})
    near = get_close_matches(text.lower().replace("-", "_"), families, n=1, cutoff=0.75)
    return f"no family of rules is called {text!r}: did you mean {near[0]}?" if near else None


def _family(entry: Entry) -> str:
    """The folder of a built-in rule, the package of a plugin's."""
    package, _, rest = entry.module.partition(".")
    return rest.partition(".")[0] if package == "initlint_rules" else package


def described(codes: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The rules of these codes as ``catalogue`` has them, by code, with their ``documentation`` in Markdown."""
    return {
        code: {**_described(code), "documentation": _documentation(load(code))} for code in codes if code in registry()
    }


def _described(code: str) -> dict[str, Any]:
    entry, rule = registry()[code], load(code)
    return {
        "code": code,
        "name": entry.name,
        "family": _family(entry),
        "severity": entry.severity.label,
        "highest": (rule.highest or entry.severity).label,
        "default": entry.severity > Severity.ADVICE,
        "needs": list(rule.needs),
        "fixable": any(example.fixed is not None for example in rule.bad),
        "since": rule.since,
        "summary": _documentation(rule).partition("\n")[0],
    }


def explanation(code: str) -> str:
    """The documentation of a rule, by its code or name; ValueError, naming near misses, for neither.

    Rules of plugins as in ``catalogue``.
    """
    wanted = code.strip()
    if not any(wanted.lower() in (entry.code.lower(), entry.name) for entry in registry().values()):
        _plugins_here()
    named = {entry.name: known_code for known_code, entry in registry().items()}
    found = named.get(wanted.lower(), wanted.upper())
    if found not in registry():
        raise ValueError(no_such_rule(wanted))
    rule = load(found)
    highest = f", at most {rule.highest.label}" if rule.highest not in (None, rule.severity) else ""
    return f"{rule.code} {rule.name} [{rule.severity.label}{highest}]\n\n{_documentation(rule)}\n"


def _plugins_here() -> None:
    """Make the rules known of plugins that the working directory's configuration names."""
    root = Configurations().within(os.getcwd())
    Judgement((os.getcwd(),)).plugins(root)


def _documentation(rule: Rule) -> str:
    return inspect.cleandoc(type(rule).__doc__ or "")
