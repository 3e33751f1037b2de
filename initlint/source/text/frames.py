"""Room for the frames of functions that call one another deeply.

Since 3.11 CPython keeps the frames of running functions in chunks of 16 KB, each for some eighty of them, and gives a
chunk back to the system when the last function in it returns. What happens to run just where one ends asks the system
for memory at every call, 27,000 times in a check of timm. A function whose own frame is large gets a chunk twice its
size, and leaves the rest of it to those that it calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

__all__ = ["with_room"]

Result = TypeVar("Result")

WORDS = 1 << 15
"""Of the frame, nearly all of which is never touched: a thousand calls, the deepest there may be, take no more."""


def with_room(work: Callable[[], Result]) -> Result:
    """What ``work`` returns, called where there is room for the frames of all that it calls."""
    return work()


with_room.__code__ = with_room.__code__.replace(co_stacksize=WORDS)
