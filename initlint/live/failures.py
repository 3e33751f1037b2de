"""What an exception of the user's has to say, in one line."""

from __future__ import annotations

__all__ = ["first_line", "said"]

_LONGEST = 10_000
"""Characters of a text that are looked at."""


def first_line(error: BaseException, most: int = 200) -> str:
    """The first line of its text, ``most`` characters at most; "" for none."""
    try:
        lines = str(error)[:_LONGEST].strip().splitlines()
    except Exception:  # the class is the user's as well
        return ""
    return lines[0].rstrip()[:most] if lines else ""


def said(error: BaseException, most: int = 200) -> str:
    """The same behind the name of its class."""
    line = first_line(error, most)
    return f"{type(error).__name__}: {line}" if line else type(error).__name__
