"""The grammar of --batch: one model input in one word.

8x3x32x32                   float32, the default
float16[8,3,32,32]          another dtype: float32, float64, float16, bfloat16, int64, int32, bool
int64[2,128]<50257          integers from 0 to 50256
input_ids=int64[2,128]<500  a keyword input; without a name inputs are positional, in order
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["DTYPES", "BatchSpec", "parse_spec"]

DTYPES = ("float32", "float64", "float16", "bfloat16", "int64", "int32", "bool")
_INTEGERS = ("int64", "int32")
_MAX_ELEMENTS = 1 << 34

_FORM = re.compile(
    r"""(?:(?P<name>[^\W\d]\w*)=)?
        (?: (?P<plain>\d+(?:x\d+)*) | (?P<dtype>[a-z]+\d*)\[(?P<sizes>\d*(?:,\d+)*)\] )
        (?:<(?P<bound>\d+))?""",
    re.VERBOSE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class BatchSpec:
    """One input: ``shape`` (sizes at least 1), ``dtype``, ``bound`` (integers lie below it), ``name`` (a keyword's)."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    bound: int | None = None
    name: str | None = None

    def __str__(self) -> str:
        """As --batch spells it; ``parse_spec`` reads it back."""
        if self.dtype == "float32" and self.shape:
            text = "x".join(map(str, self.shape))
        else:
            text = f"{self.dtype}[{','.join(map(str, self.shape))}]"
        if self.bound is not None:
            text += f"<{self.bound}"
        return text if self.name is None else f"{self.name}={text}"


def parse_spec(text: str) -> BatchSpec:
    """Read one --batch argument; ValueError, in one line, for text that is none."""
    match = _FORM.fullmatch("".join(text.split()))
    if match is None:
        raise ValueError(f"not a batch: {text!r} (write 8x3x32x32 or int64[2,128]<50257)")
    dtype = match["dtype"] or "float32"
    if dtype not in DTYPES:
        raise ValueError(f"unknown dtype {dtype!r} in batch {text!r}: one of {', '.join(DTYPES)}")
    sizes = match["plain"].split("x") if match["plain"] else [size for size in match["sizes"].split(",") if size]
    if any(len(size) > 12 for size in sizes) or len(match["bound"] or "") > 18:
        raise ValueError(f"a number is too large in batch {text!r}")
    shape = tuple(int(size) for size in sizes)
    elements = 1
    for size in shape:
        elements *= size
    if not elements:
        raise ValueError(f"a size is 0 in batch {text!r}")
    if elements > _MAX_ELEMENTS:
        raise ValueError(f"batch {text!r} has more than {_MAX_ELEMENTS} elements")
    bound = int(match["bound"]) if match["bound"] is not None else None
    if bound is not None and dtype not in _INTEGERS:
        raise ValueError(f"a bound needs integers in batch {text!r}")
    if bound == 0:
        raise ValueError(f"the bound is 0 in batch {text!r}")
    return BatchSpec(shape, dtype, bound, match["name"])
