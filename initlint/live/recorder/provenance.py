"""Who runs: from the frames of a running program to the statement of the user's that stands behind an event.

Looking must be cheap, for it happens at every event of a construction: it keeps code objects and instruction
offsets, and turns them into lines and columns only where somebody asks.
"""

from __future__ import annotations

import ast
import enum
import linecache
import os
import sysconfig
import weakref
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from types import CodeType, FrameType
from typing import Any, NamedTuple

import torch
from torch import nn

from initlint.facts import UNKNOWN
from initlint.location import Location

__all__ = ["Activation", "Call", "Glance", "Home", "Site", "Watcher", "call_at", "locate", "method_name"]

_TORCH = os.path.dirname(os.path.abspath(torch.__file__)) + os.sep
_INIT = os.path.join(_TORCH, "nn", "init.py")
_OURS = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep
_STDLIB = tuple(os.path.abspath(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "platstdlib"))
_INSTALLED = ("site-packages", "dist-packages")
_LONGEST = 1_000_000
"""Files beyond this many characters are not parsed for their calls: ast takes gigabytes for a long one-liner."""
_LOADING = nn.Module.load_state_dict.__code__


class Home(enum.Enum):
    """Where the code of a frame lives."""

    PASSING = "neither a place to point at nor anybody's statement: the standard library, generated code, initlint"
    INIT = "torch.nn.init"
    TORCH = "torch"
    LIBRARY = "installed code that is not the project"
    PROJECT = "code of the project"


class Activation:
    """One run of one function; two runs of the same function are two activations.

    ``module`` is the nn.Module that it was given first. ``handed`` is there where that was a tensor: those of the other
    arguments that are numbers or text, by name. ``module_name``: of the Python module that defines it.
    """

    __slots__ = ("code", "handed", "module", "module_name")

    def __init__(self, frame: FrameType) -> None:
        code = self.code = frame.f_code
        self.module_name = str(frame.f_globals.get("__name__", ""))
        subject = _first_argument(frame)
        self.module = weakref.ref(subject) if isinstance(subject, nn.Module) else None
        self.handed: dict[str, Any] | None = None
        if isinstance(subject, torch.Tensor):
            held = {name: frame.f_locals.get(name) for name in code.co_varnames[1 : code.co_argcount]}
            self.handed = {name: value for name, value in held.items() if isinstance(value, (int, float, str))}


class Site(NamedTuple):
    """A statement in somebody's code, while it runs."""

    activation: Activation
    offset: int
    home: Home

    @property
    def code(self) -> CodeType:
        """The function (or module body) that it stands in."""
        return self.activation.code

    @property
    def location(self) -> Location:
        """Its place in the file."""
        return locate(self.code, self.offset)

    @property
    def function(self) -> str:
        """The qualified name of the function that it stands in ("Net.__init__"); UNKNOWN before Python 3.11."""
        return getattr(self.code, "co_qualname", UNKNOWN)  # type: ignore[no-any-return]


class Glance(NamedTuple):
    """One look at the stack: ``inner`` are torch's own frames up to the first that is somebody else's.

    ``sites`` are the frames that belong to the project or to a library, innermost first. ``loading`` says that
    a state dict is being loaded. Use ``inner`` at once: frames must not be kept.
    """

    inner: tuple[FrameType, ...]
    sites: tuple[Site, ...]
    loading: bool


class Watcher:
    """Looks at the stack, and knows the frames it saw last time by identity.

    ``project_root`` is the folder of the project; None takes everything that is not installed for the project.
    """

    def __init__(self, project_root: str | None) -> None:
        self._root = None if project_root is None else os.path.abspath(project_root) + os.sep
        self._homes: dict[str, Home] = {}
        # The frames of the last look are held, so that an id cannot come back as another frame between two looks.
        self._held: dict[int, tuple[FrameType, Activation]] = {}

    def look(self, frame: FrameType | None) -> Glance:
        """What stands behind an event in ``frame``."""
        inner: list[FrameType] = []
        sites: list[Site] = []
        homes, earlier, held = self._homes, self._held, {}
        project, library, passing = Home.PROJECT, Home.LIBRARY, Home.PASSING
        loading = False
        while frame is not None:
            code = frame.f_code
            home = homes.get(code.co_filename) or self.home(code.co_filename)
            if home is project or home is library:
                seen = earlier.get(id(frame)) or (frame, Activation(frame))
                held[id(frame)] = seen
                sites.append(Site(seen[1], frame.f_lasti, home))
            elif home is not passing:
                loading = loading or code is _LOADING
                if not sites:
                    inner.append(frame)
            frame = frame.f_back
        self._held = held
        return Glance(tuple(inner), tuple(sites), loading)

    def forget(self) -> None:
        """Let go of the frames of the last look."""
        self._held = {}

    def home(self, filename: str) -> Home:
        """Where a file's code belongs."""
        found = self._homes.get(filename)
        if found is None:
            found = self._homes[filename] = self._classify(filename)
        return found

    def _classify(self, filename: str) -> Home:
        if filename.startswith("<frozen ") or filename == "<string>":  # dataclasses and named tuples generate these
            return Home.PASSING
        path = os.path.abspath(filename)
        if path == _INIT:
            return Home.INIT
        if path.startswith(_TORCH):
            return Home.TORCH
        if path.startswith(_OURS):
            return Home.PASSING
        if self._root is not None and path.startswith(self._root):
            return Home.LIBRARY if _is_installed(path[len(self._root) :]) else Home.PROJECT
        if _is_installed(path):
            return Home.LIBRARY
        if path.startswith(_STDLIB):
            return Home.PASSING
        return Home.PROJECT if self._root is None else Home.LIBRARY


def _is_installed(path: str) -> bool:
    return any(part in _INSTALLED for part in path.split(os.sep))


def _first_argument(frame: FrameType) -> Any:
    """What a running function was given first: ``self``, for a method."""
    code = frame.f_code
    return frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None


def method_name(frame: FrameType) -> str:
    """The canonical name of the torch function that runs in a frame: "torch.nn.Linear.reset_parameters"."""
    code = frame.f_code
    module = frame.f_globals.get("__name__", "torch")
    subject = _first_argument(frame)
    for owner in type(subject).__mro__:
        if getattr(vars(owner).get(code.co_name), "__code__", None) is code:
            home = "torch.nn" if getattr(nn, owner.__name__, None) is owner else module
            return f"{home}.{owner.__name__}.{code.co_name}"
    return f"{module}.{code.co_name}"


def locate(code: CodeType, offset: int) -> Location:
    """Where the instruction of a code object at a byte offset stands.

    A call is placed as ast places it: it begins where the expression before its parentheses begins. Python
    3.10 knows the line alone.
    """
    line, end_line, column, end_column = _span(code, offset)
    path = code.co_filename
    if column is None or end_line is None or end_column is None:
        return Location(path, line)
    call = _calls(path).get((end_line, end_column))
    if call is not None:
        line, column = call.lineno, call.col_offset
    return Location(path, line, _column(path, line, column), end_line, _column(path, end_line, end_column))


@lru_cache(maxsize=4096)
def _span(code: CodeType, offset: int) -> tuple[int, int | None, int | None, int | None]:
    """Line, end line, column and end column of an instruction; 0-based columns that count bytes of UTF-8."""
    positions = getattr(code, "co_positions", None)
    if positions is not None:
        line, end_line, column, end_column = next(islice(positions(), offset // 2, None), (None,) * 4)
        if line is not None:
            return line, end_line, column, end_column
    line = code.co_firstlineno
    for start, end, number in code.co_lines():
        if start <= offset < end and number is not None:
            line = number
    return line, None, None, None


def _column(path: str, line: int, offset: int) -> int:
    """The 1-based column, in code points, of a byte offset into a line."""
    text = linecache.getline(path, line)
    return len(text.encode()[:offset].decode(errors="replace")) + 1


@dataclass(frozen=True, slots=True)
class Call:
    """How a call is written: the function's text, the arguments by position and by name, and who is in it.

    ``positional`` counts plain positional arguments; None where ``*args`` or ``**kwargs`` hide the rest.
    ``identifiers`` maps a position or a keyword to the name passed there, where it is one ("init_std",
    "config.init_std" as "init_std").
    """

    text: str
    target: str
    positional: int | None
    keywords: tuple[str, ...]
    identifiers: dict[int | str, str]


def call_at(location: Location) -> Call | None:
    """The call that ends where ``location`` ends, None if it cannot be read."""
    if location.end_line is None or location.end_column is None:
        return None
    text = linecache.getline(location.path, location.end_line)
    node = _calls(location.path).get((location.end_line, len(text[: location.end_column - 1].encode())))
    if node is None:
        return None
    starred = any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords)
    passed: dict[int | str, ast.expr] = dict(enumerate(node.args))
    passed |= {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg is not None}
    names = {key: name for key, value in passed.items() if (name := _identifier(value)) is not None}
    target = node.args[0] if node.args else None
    return Call(
        text=ast.unparse(node.func),
        target="" if target is None else ast.unparse(target),
        positional=None if starred else len(node.args),
        keywords=tuple(keyword.arg for keyword in node.keywords if keyword.arg is not None),
        identifiers=names,
    )


def _identifier(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else None


@lru_cache(maxsize=256)
def _calls(path: str) -> dict[tuple[int, int], ast.Call]:
    """The calls of a file by the line and byte column where they end; nothing where it cannot be read."""
    text = "".join(linecache.getlines(path))
    if len(text) > _LONGEST:
        return {}
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    return {
        (node.end_lineno, node.end_col_offset): node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and node.end_lineno is not None and node.end_col_offset is not None
    }
