"""Hostile files: what a stranger's pull request may hold, generated, mutated and named, from a seed.

Every file mentions torch somewhere, for what does not is ruled out by a look at its bytes and never parsed.
"""

from __future__ import annotations

import codecs
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from initlint.engine import load, registry
from tests.rules.harness import snippet

__all__ = ["ESCAPES", "Hostile", "Sources"]

LIMIT = 1_000_000
"""The default ``max-file-size``, in bytes."""

ESCAPES = (
    "\x1b[31m", "\x1b]0;title\x07", "\x1b]8;;http://evil\x1b\\", "\x1b[2J", "\r", "\x08\x08", "\x07", "\x9b31m", "\x7f",
    "\u202e", "\u2066", "\u200f", "\u2028", "\ud800", "\n::error file=a::b", "\n::stop-commands::x", "%0A::error::x",
    "<script>alert(1)</script>", "]]>", "\"'&<>", "<img src=x onerror=alert(1)>", "{{ 7 * 7 }}", "[a](javascript:x)",
)  # fmt: skip
"""What moves a cursor, hides or reorders text, opens a command of a CI service, or is markup."""

ENCODINGS = (
    "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "latin-1", "cp1252", "cp037", "cp1140",
    "koi8-r", "shift_jis", "euc-jp", "iso2022_jp", "gb18030", "hz", "big5", "ascii", "idna", "punycode", "rot13", "hex",
    "base64", "zlib", "bz2", "uu", "quopri", "raw_unicode_escape", "unicode_escape", "undefined", "mbcs", "nonsense",
    "utf-8\x1b[31m", "utf_8_sig", "UTF8", "latin-1-unix", "",
)  # fmt: skip
COOKIES = ("# -*- coding: {} -*-", "# vim: set fileencoding={} :", "#coding:{}", "#!/usr/bin/python\n# coding={}")
MARKS = (b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF8 * 2)

FLAWED = """import torch
from torch import nn


class {name}(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleDict({{{text!r}: nn.Linear(4, 4)}})
        self.fc = nn.Linear(4, 4)
        nn.init.normal_(self.fc.weight, 0.02)  # {raw}
        nn.init.xavier_uniform(self.parts[{text!r}].weight)
        nn.init.kaiming_normal_(self.fc.weight, nonlinearity={text!r})

    def forward(self, x):
        return self.fc(self.parts[{text!r}](x))
"""


class Hostile(NamedTuple):
    """A file to be: of which kind, its name and its bytes."""

    kind: str
    name: bytes
    data: bytes


class Sources:
    """Draws hostile files; the same seed and corpus give the same ones.

    ``corpus`` are real files to be cut and flipped. ``generated`` are programs of a grammar.
    """

    def __init__(self, seed: int, corpus: Sequence[Path], generated: Sequence[str] = ()) -> None:
        self._random = random.Random(seed)
        self._corpus = corpus
        self._generated = generated
        self._snippets = _snippets()
        self._kinds: tuple[tuple[int, Callable[[], bytes]], ...] = (
            (160, self.flipped), (140, self.truncated), (120, self.spliced), (80, self.whole), (120, self.rearranged),
            (80, self.speaking), (80, self.encoded), (50, self.grammar), (60, self.nulls), (50, self.notebook),
            (30, self.nested), (30, self.noise), (4, self.sized), (4, self.repeated),
        )  # fmt: skip

    def draw(self) -> Hostile:
        """The next file."""
        make = self._random.choices([make for _, make in self._kinds], [weight for weight, _ in self._kinds])[0]
        data = make()
        suffix = b".ipynb" if make == self.notebook else b".pyi" if self._random.random() < 0.03 else b".py"
        name = self.name() if self._random.random() < 0.2 else b"net"
        return Hostile(make.__name__, name + suffix, data)

    def name(self) -> bytes:
        """A file's name without its ending: any bytes but a slash and a null, 200 at most."""
        draw = self._random
        shape = draw.randrange(6)
        if shape == 0:
            name = bytes(draw.choice([*range(1, 47), *range(48, 256)]) for _ in range(draw.randint(1, 60)))
        elif shape == 1:
            name = draw.choice(
                ["-", "--fix", "-j", " ", ".", "..a", "~", "$HOME", "*", "?", "a b", "'", "@file"]
            ).encode()
        elif shape == 2:
            name = ("n" * draw.choice([1, 100, 199])).encode()
        elif shape == 3:
            name = bytes([draw.choice([0xFF, 0xC3, 0xED, 0x80, 0xFE])]) + b"net"
        else:
            name = draw.choice(ESCAPES).replace("/", "\\").encode("utf-8", "surrogatepass") + b"net"
        return name[:200].replace(b"::", b":;") or b"_"  # two colons part a file from a model in a target

    def real(self, most: int = 16_000) -> bytes:
        """A real file's bytes, of which a line mentions torch; seldom a large one."""
        for _ in range(40):
            path = self._random.choice(self._corpus) if self._corpus else None
            if path is None:
                break
            try:
                data = path.read_bytes()
            except OSError:
                continue
            if len(data) <= most or self._random.random() < 0.01:
                return data if b"torch" in data else data + b"\nimport torch\n"
        return self._random.choice(self._snippets).encode()

    def whole(self) -> bytes:
        return self.real(most=40_000)

    def truncated(self) -> bytes:
        data = self.real()
        return data[: self._random.randrange(len(data) + 1)] + self._random.choice([b"", b"\nimport torch"])

    def flipped(self) -> bytes:
        data = bytearray(self.real())
        for _ in range(self._random.choice([1, 1, 2, 4, 30])):
            if data:
                data[self._random.randrange(len(data))] ^= 1 << self._random.randrange(8)
        return bytes(data)

    def spliced(self) -> bytes:
        """Lines of two real files, or one's middle in the other's."""
        one, other = self.real().splitlines(keepends=True), self.real().splitlines(keepends=True)
        at, start = self._random.randrange(len(one) + 1), self._random.randrange(len(other) + 1)
        return b"".join([*one[:at], *other[start : start + self._random.randint(1, 40)], *one[at:]])

    def rearranged(self) -> bytes:
        """A rule's example with its lines dropped, repeated, moved and indented otherwise."""
        lines = self._random.choice(self._snippets).splitlines(keepends=True)
        for _ in range(self._random.randint(1, 5)):
            at = self._random.randrange(len(lines))
            change = self._random.randrange(5)
            if change == 0:
                lines[at] = ""
            elif change == 1:
                lines[at:at] = [lines[at]] * self._random.choice([1, 2, 50])
            elif change == 2:
                lines.insert(self._random.randrange(len(lines)), lines.pop(at))
            elif change == 3:
                lines[at] = self._random.choice(["    ", "\t", "  ", "\x0c"]) + lines[at]
            else:
                lines[at : at + 1] = self._random.choice(self._snippets).splitlines(keepends=True)
        return ("import torch\n" + "".join(lines)).encode("utf-8", "surrogatepass")

    def speaking(self) -> bytes:
        """A flawed file whose names, texts and comments would speak to a terminal, a CI service or a browser."""
        text, raw = self._random.choice(ESCAPES), self._random.choice(ESCAPES)
        name = self._random.choice(["Net", "N\u00e9t", "\u202eNet", "Net\x1b", "\ufb01Net", "N" * 3000])
        filled = FLAWED.format(name=name, text=text, raw=raw.replace("\n", " "))
        return filled.encode("utf-8", "surrogatepass")

    def encoded(self) -> bytes:
        """A file that says an encoding, be it its own, another's or none there is, after a byte order mark or none."""
        draw = self._random
        said, meant = draw.choice(ENCODINGS), draw.choice(ENCODINGS)
        text = draw.choice(COOKIES).format(said) + "\n" + FLAWED.format(name="N\u00e9t", text="\u20ac", raw="\u540d")
        try:
            data = text.encode(draw.choice([said, meant, "utf-8"]), "replace")
        except (LookupError, UnicodeError, ValueError):
            data = text.encode("utf-8", "surrogatepass")
        return draw.choice(MARKS) + data

    def grammar(self) -> bytes:
        """A program of a grammar, or two, or with a rule's example in it."""
        pieces = [self._random.choice(self._generated or ("",)), "\nimport torch\n"]
        if self._random.random() < 0.7:
            pieces.insert(
                self._random.randrange(3), self._random.choice([*self._generated, self._random.choice(self._snippets)])
            )
        return "\n".join(pieces).encode("utf-8", "surrogatepass")

    def nulls(self) -> bytes:
        data = bytearray(self.real())
        for _ in range(self._random.choice([1, 1, 100])):
            data.insert(self._random.randrange(len(data) + 1), self._random.choice([0, 0, 0, 0x1A, 0x0C, 0xFF]))
        return bytes(data)

    def notebook(self) -> bytes:
        """A notebook of hostile cells, sometimes cut or flipped, sometimes not one at all."""
        draw = self._random
        cells = [
            {
                "cell_type": draw.choice(["code", "code", "markdown", 7]),
                "source": draw.choice([each, each.splitlines(True), None]),
            }
            for each in draw.choices(self._snippets, k=draw.randint(0, 3))
        ]
        book = {"cells": cells, "metadata": {"language_info": {"name": draw.choice(["python", "R", "\x1b[31m"])}}}
        data = json.dumps(draw.choice([book, book, book, [book], {"cells": book}, "torch"])).encode()
        if draw.random() < 0.3:
            data = data[: draw.randrange(len(data) + 1)]
        if draw.random() < 0.05:
            data = b"[" * 100_000 + b"torch"
        return data

    def nested(self) -> bytes:
        draw = self._random
        deep = draw.choice([90, 199, 201, 1000, 100_000])
        opening, closing = draw.choice(
            [("(", ")"), ("[", "]"), ("{", "}"), ("f(", ")"), ("-", ""), ("not ", ""), ("x.", ""), ("lambda: ", "")]
        )
        body = opening * deep + "x" + (closing * deep if draw.random() < 0.8 else "")
        if draw.random() < 0.2:
            body = "\n".join(" " * level + "if x:" for level in range(min(deep, 1000))) + " pass"
        return f"import torch\n{draw.choice(['', 'y = ', 'torch.nn.init.zeros_('])}{body}\n".encode()

    def noise(self) -> bytes:
        return (
            b"import torch\n" * self._random.randrange(2)
            + self._random.randbytes(self._random.randint(0, 3000))
            + b" torch"
        )

    def sized(self) -> bytes:
        """A file just under, at or just over what is read."""
        size = LIMIT + self._random.choice([-1, 0, 1, 5000])
        head = b"import torch\n"
        line = self._random.choice(
            [b"x = 1\n", b"#" * 79 + b"\n", b"nn.init.zeros_(w)\n", b"x = [" + b"1," * 500 + b"]\n"]
        )
        data = head + line * ((size - len(head)) // len(line))
        return data + b"#" * (size - len(data))

    def repeated(self) -> bytes:
        """One statement, very often."""
        draw = self._random
        line = draw.choice(
            ["x = nn.Sequential(x, x)", "x = x + x", "x = [*x, x]", "nn.init.normal_(w, 0.02)", "x = {x: x}",
             "x = f'{x}{x}'", "for i in range(9): x = lambda: x", "x = 'a' * 10 ** 9", "x = nn.Linear(9 ** 999, x)"]
        )  # fmt: skip
        head = "from torch import nn\nx = nn.Linear(2, 2)\nw = x.weight\n"
        return (head + (line + "\n") * draw.choice([60, 2000])).encode()


def _snippets() -> list[str]:
    return [snippet(example) for code in registry() for example in (*load(code).bad, *load(code).good)]
