"""What comes from the process that runs models: read as data, within bounds, and disbelieved where it makes no sense.

A model shares its process with the code that reports on it, and may find the pipe. What it writes there without the
key is passed over; that it cannot lie about itself is not claimed, for it could look for the key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from initlint import wire
from initlint.facts import Facts, known

__all__ = ["Inbox", "Outcome", "TooMuch", "outcome_of"]

_LONGEST = 1 << 28
"""Bytes that one message may have: some hundred times what a thousand layers take."""
_LONGEST_REASON = 2000
"""Characters."""


class TooMuch(Exception):
    """A message does not end."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one model.

    ``status`` is "audited" (there are ``facts``; ``others`` are those of further seeds), or "skipped" or "failed"
    (there is a ``reason``, one line). ``torch_missing``: the interpreter has no torch. ``unmet``: what the job asks for
    cannot be had here whatever the model is (a device, an interpreter). ``takes`` are the arguments that an audited
    model could be given, None for any.
    """

    target: str
    status: str
    reason: str | None = None
    facts: Facts | None = None
    others: tuple[Facts, ...] = ()
    notes: tuple[str, ...] = ()
    torch_missing: bool = False
    unmet: bool = False
    takes: tuple[str, ...] | None = None


class Inbox:
    """Bytes in, messages out: a message is one line, a JSON object that has the ``key``."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._rest = bytearray()

    def take(self, data: bytes) -> list[dict[str, Any]]:
        """The messages that these bytes complete. Raises TooMuch."""
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = bytes(self._rest) + lines[0]
            self._rest = bytearray(rest)
        else:
            self._rest += rest
        if len(self._rest) > _LONGEST:
            raise TooMuch
        return [message for line in lines if (message := self._read(line)) is not None]

    def _read(self, line: bytes) -> dict[str, Any] | None:
        try:
            message = json.loads(line) if line.startswith(b"{") else None
        except (ValueError, RecursionError):
            return None
        return message if isinstance(message, dict) and message.get("key") == self._key else None


def outcome_of(target: str, message: Mapping[str, Any]) -> Outcome:
    """The outcome that a message tells of; one that makes no sense is a failure that says so."""
    reason = message.get("reason")
    if message.get("status") != "audited":
        status = "skipped" if message.get("status") == "skipped" else "failed"
        return Outcome(target, status, str(reason)[:_LONGEST_REASON], unmet=message.get("unmet") is True)
    try:
        facts, *others = (_facts(text) for text in _texts(message.get("facts")))
        takes = message.get("takes")
        return Outcome(
            target,
            "audited",
            None,
            facts,
            tuple(others),
            _texts(message.get("notes")),
            takes=None if takes is None else _texts(takes),
        )
    except ValueError as error:
        return Outcome(target, "failed", f"what its process says of it cannot be read: {error}"[:_LONGEST_REASON])


def _facts(text: str) -> Facts:
    """Facts about one model. Raises ValueError for anything else."""
    facts = wire.loads(text)
    if not isinstance(facts, Facts) or not known(facts.models) or len(facts.models) != 1:
        raise ValueError("not facts of one model")
    return facts


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ValueError("not a list of texts")
    return tuple(value)
