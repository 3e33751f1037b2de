"""initlint: whether a PyTorch model's parameters start out right.

``initlint.audit(model, batch)`` judges a model in this process; ``initlint.check(targets)`` does what
``initlint check`` does, and ``initlint.suggest(model, batch)`` writes an init function.
Nothing is imported until it is used.
"""

from initlint.version import __version__

TYPE_CHECKING = False  # for ``python -m`` this module is run while the working directory still stands on the path
if TYPE_CHECKING:
    from typing import Any

    from initlint.api import audit, check
    from initlint.findings import Finding, Severity
    from initlint.proposal import Suggestion
    from initlint.result import InitError, Report
    from initlint.suggesting import suggest

__all__ = ["Finding", "InitError", "Report", "Severity", "Suggestion", "__version__", "audit", "check", "suggest"]

_HOMES = {
    "audit": "initlint.api",
    "check": "initlint.api",
    "suggest": "initlint.suggesting",
    "Suggestion": "initlint.proposal",
    "Finding": "initlint.findings",
    "Severity": "initlint.findings",
    "InitError": "initlint.result",
    "Report": "initlint.result",
}


def __getattr__(name: str) -> "Any":
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
