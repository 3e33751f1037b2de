"""The grammar of --batch: one model input in one word.

8x3x32x32                     float32, the default
float16[8,3,32,32]            another dtype: float64, bfloat16, int64, int32, uint8, bool, complex64 ...
int64[2,128]<50257            integers from 0 to 50256
8x3x32x32:0..1                numbers from 0 to 1; of integers, both ends are among them
64x64:graph                   how a random graph of 64 nodes passes on: to a few others and themselves, 1 in all
input_ids=int64[2,128]<500    a keyword input; without a name inputs are positional, in order
(8x16,8x32)  [3x64x64,3x48x48]  {image=8x3x32x32,age=8x1}     a tuple, a list, a mapping of inputs, as one input
@batch.pt  x=@images.npz      what a file holds (.pt, .npy, .npz, .safetensors)
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

__all__ = ["DTYPES", "BatchSpec", "FileSpec", "NestSpec", "Spec", "parse_spec", "placed"]

_INTEGERS = {"int64": 2**63 - 1, "int32": 2**31 - 1, "int16": 2**15 - 1, "int8": 2**7 - 1, "uint8": 2**8 - 1}
DTYPES = ("float32", "float64", "float16", "bfloat16", *_INTEGERS, "bool", "complex64", "complex128")
_MOST = {dtype: min(most, 2**62) for dtype, most in _INTEGERS.items()} | {"float16": 65504}
"""The largest value that a range may hold."""
FILES = (".pt", ".pth", ".npy", ".npz", ".safetensors")
_MAX_ELEMENTS = 1 << 34
_MAX_DEPTH = 16

_NAME = re.compile(r"[^\W\d]\w*")
_SIZE = re.compile(r"\d+", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_BLANK = re.compile(r"\s*")
_ENDS = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class BatchSpec:
    """One tensor: ``shape`` (sizes at least 1), ``dtype``, ``name`` (a keyword's, or a key's).

    Integers lie below ``bound``; values lie in ``span``, with both ends. ``graph``: it is adjacency matrices of random
    graphs with self-loops, each row divided by its sum.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    bound: int | None = None
    name: str | None = None
    span: tuple[float, float] | None = None
    graph: bool = False

    def __str__(self) -> str:
        """As --batch spells it; ``parse_spec`` reads it back."""
        if self.dtype == "float32" and self.shape:
            text = "x".join(map(str, self.shape))
        else:
            text = f"{self.dtype}[{','.join(map(str, self.shape))}]"
        if self.bound is not None:
            text += f"<{self.bound}"
        if self.span is not None:
            form = "d" if self.dtype in _INTEGERS else "g"
            text += f":{self.span[0]:{form}}..{self.span[1]:{form}}"
        if self.graph:
            text += ":graph"
        return _named(self.name, text)


@dataclass(frozen=True, slots=True)
class NestSpec:
    """Several inputs given as one: ``kind`` is "(", "[" or "{" (whose items have names)."""

    kind: str
    items: tuple[Spec, ...]
    name: str | None = None

    def __str__(self) -> str:
        return _named(self.name, self.kind + ",".join(map(str, self.items)) + _ENDS[self.kind])


@dataclass(frozen=True, slots=True)
class FileSpec:
    """What a file holds: as one keyword input where there is a ``name``, else as inputs by themselves."""

    path: str
    name: str | None = None

    def __str__(self) -> str:
        return _named(self.name, f"@{self.path}")

    @property
    def shown(self) -> str:
        """As ``str``, with a path below the working directory as it is from there."""
        below = os.path.join(os.getcwd(), "")
        return _named(self.name, f"@{self.path.removeprefix(below)}")


Spec = BatchSpec | NestSpec | FileSpec


def _named(name: str | None, text: str) -> str:
    return text if name is None else f"{name}={text}"


def placed(spec: Spec, folder: str) -> Spec:
    """The same, with the paths of files taken from a folder; ValueError, in one line, for a file that is not there."""
    if isinstance(spec, NestSpec):
        return replace(spec, items=tuple(placed(item, folder) for item in spec.items))
    if isinstance(spec, FileSpec):
        path = os.path.join(folder, os.path.expanduser(spec.path))
        if not os.path.isfile(path):
            raise ValueError(f"batch {str(spec)!r}: there is no file {spec.path}")
        return replace(spec, path=path)
    return spec


def parse_spec(text: str) -> Spec:
    """Read one --batch argument; ValueError, in one line that says where, for text that is none."""
    return _Reader(text).whole()


class _Reader:
    """Reads one text from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def whole(self) -> Spec:
        spec = self.item(0)
        self.blank()
        if self.at < len(self.text):
            raise self.wrong("nothing more was expected")
        return spec

    def wrong(self, what: str, at: int | None = None) -> ValueError:
        """``what`` is wrong, where in the text, and how one is written."""
        at = self.at if at is None else at
        where = f"at character {at + 1} ({self.text[at : at + 20]!r})" if at < len(self.text) else "at its end"
        return ValueError(f"not a batch: {self.text!r}: {what} {where}; write 8x3x32x32 or int64[2,128]<50257")

    def blank(self) -> None:
        self.at = _BLANK.match(self.text, self.at).end()  # type: ignore[union-attr]  # it matches nothing too

    def take(self, pattern: re.Pattern[str]) -> str:
        """What the pattern matches here, "" where it does not."""
        self.blank()
        match = pattern.match(self.text, self.at)
        if match is None:
            return ""
        self.at = match.end()
        return match[0]

    def eat(self, sign: str) -> bool:
        """Whether the text goes on with a sign, which is then passed."""
        self.blank()
        if not self.text.startswith(sign, self.at):
            return False
        self.at += len(sign)
        return True

    def item(self, depth: int, named: bool = False) -> Spec:
        start = self.at
        name: str | None = self.take(_NAME)
        if not name or not self.eat("="):
            if named:
                raise self.wrong("a name and = were expected", start)
            self.at, name = start, None
        self.blank()
        sign = self.text[self.at : self.at + 1]
        if sign in ("(", "[", "{"):
            return self.nest(sign, name, depth + 1)
        if sign == "@":
            return self.file(name, depth)
        return self.tensor(name)

    def nest(self, sign: str, name: str | None, depth: int) -> NestSpec:
        if depth > _MAX_DEPTH:
            raise self.wrong("brackets lie too deep")
        self.at += 1
        items: list[Spec] = []
        while not self.eat(_ENDS[sign]):
            if items and not self.eat(","):
                raise self.wrong(f"a comma or {_ENDS[sign]} was expected")
            start = self.at
            item = self.item(depth, named=sign == "{")
            if sign != "{" and item.name is not None:
                raise self.wrong("a name stands where none can be", start)
            items.append(item)
        if not items:
            raise self.wrong("there is nothing in the brackets", self.at - 2)
        return NestSpec(sign, tuple(items), name)

    def file(self, name: str | None, depth: int) -> FileSpec:
        start = self.at
        self.at += 1
        end = len(self.text)
        if depth:
            end = min((i for i in range(self.at, end) if self.text[i] in ",)]}"), default=end)
        path = self.text[self.at : end].strip()
        if not path:
            raise self.wrong("a file was expected after @", start)
        if "\0" in path or not path.lower().endswith(FILES):
            raise self.wrong(f"a file ({', '.join(FILES)}) was expected", start)
        self.at = end
        return FileSpec(path, name)

    def tensor(self, name: str | None) -> BatchSpec:
        start = self.at
        dtype = self.take(_NAME)
        if dtype:
            if dtype not in DTYPES:
                raise self.wrong(f"unknown dtype {dtype!r} (one of {', '.join(DTYPES)})", start)
            if not self.eat("["):
                raise self.wrong("[ and sizes were expected")
            shape: tuple[int, ...] = () if self.eat("]") else self.sizes(",")
            if shape and not self.eat("]"):
                raise self.wrong("a comma or ] was expected")
        else:
            dtype, shape = "float32", self.sizes("x")
        elements = 1
        for size in shape:
            elements *= size
        if elements > _MAX_ELEMENTS:
            raise self.wrong(f"a tensor of more than {_MAX_ELEMENTS} elements stands", start)
        bound, span, graph = None, None, False
        if self.eat("<"):
            bound = self.bound(dtype)
        elif self.eat(":graph"):
            graph = self.square(dtype, shape)
        elif self.eat(":"):
            span = self.span(dtype)
        return BatchSpec(shape, dtype, bound, name, span, graph)

    def square(self, dtype: str, shape: tuple[int, ...]) -> bool:
        """True for what can be an adjacency matrix."""
        if len(shape) < 2 or shape[-1] != shape[-2] or not dtype.startswith(("float", "bfloat")):
            raise self.wrong("a graph is a square of floating point numbers such as 64x64:graph, and none stands", 0)
        return True

    def sizes(self, between: str) -> tuple[int, ...]:
        sizes = [self.whole_number("a size", 12)]
        while self.eat(between):
            sizes.append(self.whole_number("a size", 12))
        return tuple(sizes)

    def whole_number(self, what: str, digits: int) -> int:
        """A number of at least 1."""
        self.blank()
        start = self.at
        text = self.take(_SIZE)
        if not text:
            raise self.wrong(f"{what} was expected")
        if len(text) > digits:
            raise self.wrong("too large a number stands", start)
        if not int(text):
            raise self.wrong(f"{what} of 0 stands", start)
        return int(text)

    def bound(self, dtype: str) -> int:
        start = self.at
        if dtype not in _INTEGERS:
            raise self.wrong("a bound needs integers (write a range, :0..1, for others)", start - 1)
        bound = self.whole_number("a bound", 18)
        if bound - 1 > _INTEGERS[dtype]:
            raise self.wrong(f"a bound beyond {dtype} stands", start)
        return bound

    def span(self, dtype: str) -> tuple[float, float]:
        start = self.at
        if dtype == "bool" or dtype.startswith("complex"):
            raise self.wrong(f"{dtype} has no range", start - 1)
        read: Callable[[str], float] = int if dtype in _INTEGERS else float
        ends = []
        for between in ("..", ""):
            self.blank()
            at = self.at
            try:
                ends.append(read(self.take(_NUMBER)[:40]))
            except ValueError:
                kind = "a whole number" if dtype in _INTEGERS else "a number"
                raise self.wrong(f"{kind} was expected", at) from None
            if not self.eat(between):
                raise self.wrong(".. and the other end of the range were expected")
        low, high = ends
        if not low <= high or max(abs(low), abs(high)) > _MOST.get(dtype, 3e38):
            raise self.wrong("a range that holds nothing, or more than the dtype, stands", start)
        if dtype == "uint8" and low < 0:
            raise self.wrong("a number below 0 stands", start)
        return low, high
