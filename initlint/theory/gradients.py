"""What the operations of a network make of a gradient on its way back, when all that is known are bounds.

A gradient is told by its mean square over all elements of a value. Where weights are independent and of mean 0, a
linear map hands fan_out Var(w) times the mean square of what comes back to it on to its input, a nonlinearity
E[phi'(x)^2] times it (Glorot & Bengio 2010; He et al. 2015, arXiv 1502.01852), and gradients that come back by ways
whose weights the others have not met add in the square (Schoenholz et al. 2017, arXiv 1611.01232).
"""

from __future__ import annotations

import math

from initlint.record import NamedTuple
from initlint.theory.signals import scattered

__all__ = ["NONE", "Gradient", "added", "back_through", "random_targets"]


class Gradient(NamedTuple):
    """Bounds of the mean square, as if what comes back had nothing in common with the weights it meets.

    ``scatter`` is as a Band's (theory.signals). ``echo`` is the share of it, at most, that comes of the output itself,
    which those weights made: of a mean square loss the gradient is 2 (y - t) / n, and y = J x comes back as J'J x. For
    a product of independent maps that is larger, by the part that the inputs have of the outputs' number, times
    1 + ``excess``, in which each map adds (inputs / outputs) (1 + ``peak``), where 1 + ``peak`` is
    E[phi'^4] / E[phi'^2]^2 of the nonlinearity behind it (moments of products of free matrices; Pennington et al. 2017,
    arXiv 1711.04735).
    """

    least: float
    most: float
    scatter: float = 0.0
    echo: float = 0.0
    excess: float = 0.0
    peak: float = 0.0

    def std(self, share: float = 1.0) -> tuple[float, float]:
        """Bounds of the root mean square, scatter included; ``share``: outputs for each element of the value."""
        louder = max(1.0, share * (1 + self.excess + self.peak))
        return scattered((self.least, self.most * (1 + self.echo * (louder - 1))), self.scatter)

    def times(self, least: float, most: float, scatter: float = 0.0) -> Gradient:
        """The gradient with its mean square multiplied by something between two factors."""
        return self._replace(least=self.least * least, most=self.most * most, scatter=self.scatter + scatter)

    def peaked(self, kurtosis: float) -> Gradient:
        """The gradient behind factors of that E[f^4] / E[f^2]^2."""
        return self._replace(peak=(1 + self.peak) * kurtosis - 1)

    def mapped(self, ratio: float) -> Gradient:
        """The gradient behind a map of ``ratio`` inputs for each output."""
        return self._replace(excess=self.excess + (1 + self.peak) * ratio, peak=0.0)


NONE = Gradient(0.0, 0.0)
"""No gradient at all."""


def added(a: Gradient, b: Gradient, *, independent: bool) -> Gradient:
    """The sum of two gradients; of any correlation where they are not known to be ``independent``."""
    if a.most <= 0 or b.most <= 0:
        return a if b.most <= 0 else b
    least, most = a.least + b.least, a.most + b.most
    if not independent:
        least = max(math.sqrt(a.least) - math.sqrt(b.most), math.sqrt(b.least) - math.sqrt(a.most), 0.0) ** 2
        most = (math.sqrt(a.most) + math.sqrt(b.most)) ** 2
    part = a.most / (a.most + b.most)

    def mean(x: float, y: float) -> float:
        return part * x + (1 - part) * y

    scatter, echo = max(a.scatter, b.scatter), max(a.echo, b.echo)
    return Gradient(least, most, scatter, echo, mean(a.excess, b.excess), mean(a.peak, b.peak))


def back_through(
    gradient: Gradient, terms: float, mean: tuple[float, float], variance: tuple[float, float], ratio: float
) -> Gradient:
    """What a linear map hands back to its input, each element of which goes into ``terms`` products with a weight.

    ``ratio``: inputs for each output. ``mean`` and ``variance`` are bounds of the weights'. Where they have a mean, the
    terms may have any part in common.
    """
    common = max(abs(end) for end in mean) ** 2 * terms * terms
    return gradient.times(terms * variance[0], terms * variance[1] + common).mapped(ratio)


def random_targets(second: tuple[float, float], elements: int, scatter: float) -> Gradient:
    """The gradient of a mean square difference from targets drawn of N(0, 1): of mean (y - t)^2, 2 (y - t) / n each.

    ``second`` are bounds of the output's mean square, ``elements`` how many it has.
    """
    factor = (2 / max(1, elements)) ** 2
    echo = second[1] / (second[1] + 1) if math.isfinite(second[1]) else 1.0
    return Gradient(factor * (second[0] + 1), factor * (second[1] + 1), scatter, echo)
