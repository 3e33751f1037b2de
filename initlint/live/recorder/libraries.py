"""Initialisers of installed libraries: which call of one stands behind a write, and what it draws as a whole.

A function of a library's that is handed a tensor does what the statement that calls it asks for: the write is the
user's, as with torch.nn.init, and its steps (uniform_, erfinv_, mul_, add_, clamp_) are one event.
"""

from __future__ import annotations

from dataclasses import replace

from initlint.live.recorder.events import Event, Law
from initlint.live.recorder.provenance import Activation, Home, Site
from initlint.theory.library_schemes import LAWS

__all__ = ["as_one", "library_call"]

_KNOWN = {(name.partition(".")[0], name.rpartition(".")[2]): name for name in LAWS} | {
    ("timm", "trunc_normal_"): "torch.nn.init.trunc_normal_"
}


def library_call(sites: tuple[Site, ...]) -> Activation | None:
    """The outermost run of a library's function, among the innermost frames, that was handed the tensor it writes."""
    found = None
    for site in sites:
        if site.home is not Home.LIBRARY or site.activation.handed is None:
            break
        found = site.activation
    return found


def as_one(event: Event, call: Activation, before: Event | None) -> Event:
    """The event that stands for a library's call so far; ``before`` is the one that its last step was noted as."""
    assert call.handed is not None
    name = f"{call.module_name}.{call.code.co_name}"
    known = _KNOWN.get((name.partition(".")[0], call.code.co_name))
    law = event.law if known is None else Law(known, call.handed, event.shape)
    event = replace(event, function=name, arguments=call.handed, law=law, call=call)
    if before is None:
        return event
    return replace(event, order=before.order, whole=before.whole or event.whole)
