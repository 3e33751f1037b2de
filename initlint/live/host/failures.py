"""What an exception of the user's has to say, in one line."""

from __future__ import annotations

import os

__all__ = ["first_line", "said", "told_at"]

_OWN = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "")

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


def told_at(error: BaseException, most: int = 200) -> str:
    """The same with the innermost line that it came through outside torch and outside this package."""
    import torch  # not above: what is told of a missing torch is cut here too

    installed = os.path.join(os.path.dirname(torch.__file__), "")
    place, trace = "", error.__traceback__
    while trace is not None:
        path = trace.tb_frame.f_code.co_filename
        if not path.startswith((installed, _OWN)) and os.path.isabs(path):
            below = os.path.join(os.getcwd(), "")
            place = f" ({path.removeprefix(below)}:{trace.tb_lineno})"
        trace = trace.tb_next
    return said(error, most) + place
