"""The formats other than text, by name; each is loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from initlint.result import Report

__all__ = ["MACHINE", "render"]

MACHINE = ("json", "concise", "sarif", "github", "gitlab", "junit", "html")

Describe = Callable[[Iterable[str]], Mapping[str, Mapping[str, Any]]]
"""``initlint.rulebook.described``: what is to be said of rules, by code."""


def render(report: Report, name: str, describe: Describe) -> str:
    """The report in the format called ``name``, one of ``MACHINE``."""
    if name == "sarif":
        from initlint.report.sarif import render as as_sarif

        return as_sarif(report, describe({finding.code for finding in report.findings}))
    import importlib

    text: str = importlib.import_module(f"initlint.report.{name}").render(report)
    return text
