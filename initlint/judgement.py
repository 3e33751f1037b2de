"""Which rules judge what a configuration holds for, and how severely."""

from __future__ import annotations

from collections.abc import Iterable

from initlint.config import Config
from initlint.engine import Selection, ask, check_patterns, weighed
from initlint.facts import Facts
from initlint.findings import Finding, Severity
from initlint.record import record

__all__ = ["Judgement"]


@record(frozen=True, slots=True)
class _Panel:
    """What one configuration selects."""

    config: Config
    selection: Selection
    codes: frozenset[str]


class Judgement:
    """The rules of every configuration of a run, each looked up once.

    ``trees`` are directories of which no code is run: the plugins in them are refused.
    """

    def __init__(self, trees: Iterable[str] = ()) -> None:
        self._trees = tuple(trees)
        self._panels: dict[int, _Panel] = {}

    def codes(self, config: Config) -> frozenset[str]:
        """The codes that a configuration selects. Raises ValueError for one that there is not."""
        return self._panel(config).codes

    def ask(self, config: Config, facts: Facts, notes: list[str]) -> list[Finding]:
        """What each rule that a configuration selects says of one bundle of facts; ``notes`` as in ``engine.ask``."""
        panel = self._panel(config)
        severity_of = panel.selection.severity_of if config.severity else None
        measuring = panel.selection.left_out() if facts.origin == "live" else frozenset()
        said = ask(facts, panel.codes | measuring, notes=notes, severity_of=severity_of)
        return weighed(said, panel.codes) if measuring else said

    def _panel(self, config: Config) -> _Panel:
        panel = self._panels.get(id(config))
        if panel is None:
            advice = config.advice or config.fail_on is Severity.ADVICE
            selection = Selection(
                config.select, config.extend_select, config.ignore, advice, config.severity, self.plugins(config)
            )
            try:
                codes = selection.codes()
                check_patterns(code for _, ignored in config.per_file_ignores for code in ignored)
            except ValueError as error:
                raise ValueError(f"{config.shown}: {error}" if config.path is not None else str(error)) from None
            panel = self._panels[id(config)] = _Panel(config, selection, codes)
        return panel

    def plugins(self, config: Config) -> frozenset[str]:
        """The codes of the rules that a configuration's plugins bring. Raises ValueError for a plugin that is none."""
        if not config.plugins:
            return frozenset()
        from initlint.plugins import load

        trees = (*self._trees, config.root) if self._trees else ()
        try:
            return frozenset(code for name in config.plugins for code in load(name, trees))
        except ValueError as error:
            raise ValueError(f"{config.shown}: {error}") from None
