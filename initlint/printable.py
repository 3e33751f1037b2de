"""Text that cannot hide anything: what comes from the code under check is printed through it."""

from __future__ import annotations

__all__ = ["printable"]


def printable(text: str) -> str:
    """Text with control characters, bidirectional marks and lone surrogates spelled as escapes.

    A name or a message may come from the code under check, and must not move the cursor or hide what stands there.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
