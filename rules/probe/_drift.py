"""What INI701 to INI704 share: a measured drift along a chain, told at the layer where it sets in."""

from collections.abc import Callable, Iterator
from typing import ClassVar

from initlint.facts import Chain
from initlint.findings import Finding, Severity
from initlint.rule import PROBE, Rule
from initlint.theory.chains import Flow, culprit


class DriftRule(Rule):
    """A rule on the ratio of a chain's ends; below 1 the limits are lower bounds, above 1 upper ones."""

    severity = Severity.WARNING
    highest = Severity.ERROR
    needs = (PROBE,)
    flow: ClassVar[Callable[[Chain], Flow]]
    limits: ClassVar[tuple[float, float]]
    """The ratio from which it is a warning, and the one from which it is an error."""
    fewest: ClassVar[int] = 2
    """How many layers a chain must have to be judged."""
    effect: ClassVar[str]
    remedy: ClassVar[str]

    def check_chain(self, chain: Chain) -> Iterator[Finding]:
        flow = type(self).flow(chain)
        if len(chain.layers) < self.fewest or not self._beyond(flow.ratio, self.limits[0]):
            return
        first, last = flow.ends
        yield self.at(
            culprit(flow.departs),
            f"{self.effect} {flow.start:.2g} -> {flow.end:.2g} over {len(chain.layers)} layers, from {first.name} to "
            f"{last.name}",
            help=self.remedy,
            severity=Severity.ERROR if self._beyond(flow.ratio, self.limits[1]) else None,
            evidence={"start": flow.start, "end": flow.end, "ratio": flow.ratio, "layers": len(chain.layers)},
            layer=flow.departs,
            suspects=flow.upto,
        )

    def _beyond(self, ratio: float, limit: float) -> bool:
        return ratio < limit if limit < 1 else ratio > limit
