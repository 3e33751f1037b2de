"""Which runs of an initialiser went over several layers: ``Module.apply``, and loops over modules or parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from torch import nn

from initlint.facts import UNKNOWN, Application
from initlint.live.recorder.events import Applied, Birth, Event, place
from initlint.live.recorder.provenance import Activation, Site

__all__ = ["Applications", "Owner", "unique"]

Written = tuple[Event, list["Owner"]]


@dataclass(frozen=True, slots=True)
class Owner:
    """A place where a model keeps a tensor: the layer's name and kind, and the attribute."""

    layer: str
    kind: str
    attribute: str


class Applications:
    """The initialiser runs among the events that wrote a model's tensors.

    A loop is known by its effect: one statement, in one run of one function, wrote several layers, all of which were
    there before it began. So a constructor that initialises what it makes is none, however often it runs.
    """

    def __init__(
        self, root: nn.Module, written: Iterable[Written], birth_of: Callable[[nn.Module], Birth | None]
    ) -> None:
        self._layers = dict(root.named_modules())
        self._names = {id(module): name for name, module in root.named_modules()}
        self._birth_of = birth_of
        self._found: dict[Applied | Activation, Application] = {}
        self._loop_of: dict[int, Activation] = {}
        direct: list[Written] = []
        applied: dict[Applied, list[Owner]] = {}
        for event, owners in written:
            if event.applied is not None:
                applied.setdefault(event.applied, []).extend(owners)
            elif event.author in ("user", "library"):
                direct.append((event, owners))
        for run, owners in applied.items():
            application = self._application(run.name, run.order, run.sites, run.root(), owners)
            self._found[run] = replace(application, whole=True)
        self._find_loops(direct)

    def all(self) -> tuple[Application, ...]:
        """Every run, in order."""
        return tuple(sorted(self._found.values(), key=lambda application: application.order))

    def of(self, event: Event) -> Application | None:
        """The run that an event was part of, None if it was addressed to its tensor alone."""
        key = event.applied if event.applied is not None else self._loop_of.get(event.order)
        return None if key is None else self._found.get(key)

    def _find_loops(self, direct: list[Written]) -> None:
        statements: dict[tuple[Activation, int], list[Written]] = {}
        for event, owners in direct:
            for site in _outwards(event.sites):
                statements.setdefault((site.activation, site.offset), []).append((event, owners))
        loops = {statement for statement, written in statements.items() if self._is_loop(written)}
        initialisers = {activation for activation, _ in loops if activation.code.co_name not in _MAKERS}
        runs: dict[Activation, list[tuple[Event, int, list[Owner]]]] = {}
        for event, owners in direct:
            chosen = None
            for index, site in enumerate(_outwards(event.sites)):
                maker = site.code.co_name in _MAKERS
                if (site.activation, site.offset) in loops or site.activation in initialisers:
                    # The outermost initialiser counts, for one may call itself; a constructor only where it has none.
                    chosen = index if chosen is None or not maker else chosen
            if chosen is not None:
                activation = event.sites[chosen].activation
                runs.setdefault(activation, []).append((event, chosen, owners))
                self._loop_of[event.order] = activation
        for activation, members in runs.items():
            first, index, _ = min(members, key=lambda member: member[0].order)
            outer = first.sites[index:] if activation.code.co_name in _MAKERS else first.sites[index + 1 :]
            subject = None if activation.module is None else activation.module()
            owners = [owner for _, _, owned in members for owner in owned]
            sites = outer or first.sites[index:]
            self._found[activation] = self._application(activation.code.co_name, first.order, sites, subject, owners)

    def _is_loop(self, written: list[Written]) -> bool:
        if len({owners[0].layer for _, owners in written}) < 2:
            return False
        births = [self._birth_of(self._layers[owners[0].layer]) for _, owners in written]
        first = min(event.order for event, _ in written)
        return all(birth is not None and birth.order < first for birth in births)

    def _application(
        self, name: str, order: int, sites: tuple[Site, ...], subject: nn.Module | None, owners: list[Owner]
    ) -> Application:
        location, _ = place(sites)
        return Application(
            initializer=name,
            location=location,
            order=order,
            root=UNKNOWN if subject is None else self._names.get(id(subject), UNKNOWN),
            kinds=unique(owner.kind for owner in owners),
            covered=unique(owner.layer for owner in owners),
            within=next((site.function for site in sites if site.location == location), UNKNOWN),
        )


_MAKERS = ("__init__", "<module>")
"""Where single layers are written beside the loop; any other function that loops over layers is an initialiser."""


def _outwards(sites: tuple[Site, ...]) -> tuple[Site, ...]:
    """The frames of an event up to the first constructor: what a constructor writes belongs to what it makes."""
    for index, site in enumerate(sites):
        if site.code.co_name in _MAKERS:
            return sites[: index + 1]
    return sites


def unique(values: Iterator[str]) -> tuple[str, ...]:
    """The values without repetitions, in order."""
    return tuple(dict.fromkeys(values))
