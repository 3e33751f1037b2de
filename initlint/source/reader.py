"""A file of Python source to facts. Nothing of it is run, and nothing it imports is imported.

This is the folder's front door. The path of a file from bytes to facts:

- ``files`` finds and loads files, ``reader`` (here) decodes and parses them, ``suppression`` reads their comments;
  ``garbage`` says when what they leave behind is collected;
- ``scan`` walks the tree once: what is defined, mentioned, and where calls of initialisers may stand; ``names`` says
  what an imported name canonically means, ``places`` where a node stands;
- ``reading`` then leads one file through an abstract interpreter, whose ``values`` stand for modules, tensors and
  constants. It is one class in layers, each on the one before: ``state`` (time, branches rolled back and joined),
  ``conditions`` (what a test says), ``expressions``, ``modules`` (what modules and tensors hold, and who writes them),
  ``statements``, ``attributes``, ``calls``. What these look up stands in files of functions beside them:
  ``folding`` (constants), ``comprehensions``, ``container_methods``, ``module_methods``, ``tensor_methods``,
  ``builtin_calls``, ``library_calls``, ``constructing`` (what torch's constructors do), ``tensors`` (factories),
  ``binding`` (arguments of initialisers);
- what is known of libraries is data: ``initializers`` (calls that set values), ``constructors`` and ``shapes`` (the
  classes of torch.nn and their parameters), ``layers`` (how the classes relate), ``operations`` (what functions do to
  a signal);
- ``classes`` are looked up as Python would; each module class is built, and its ``forward`` followed to the ``flows``
  between layers;
- ``imports`` follows names into other files of the ``project``, which ``packages`` finds by the names of their modules
  and whose ``tree`` holds them all;
- ``recorder`` notes every call of an initialiser, ``guards`` the tests around it, ``callers`` who calls the functions
  they stand in, ``exposure`` and ``project`` what other code may write out of sight, ``roots`` what a file offers to be
  built;
- ``models`` writes the built classes down as facts.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings

from initlint.facts import Facts
from initlint.location import Location
from initlint.record import record
from initlint.source import garbage
from initlint.source.initializers import KNOWN, Initializers
from initlint.source.project import Project

__all__ = ["Project", "Source", "SourceError", "might_matter", "read"]

_WORDS = "|".join(rf"{word}\b(?<!\w{word})" for word in ("torch", "nn", "timm", "mmcv", "mmengine"))
_PREFIXES = "|".join(rf"{start}(?<!\w{start})" for start in ("xavier", "kaiming"))
_MATTERS = re.compile(rf"{_WORDS}|{_PREFIXES}|init(?<!\winit)\w*_\(|_init\b|\.normal_\(|\.uniform_\(".encode())
"""That nothing stands before a word is looked at last: so most bytes are passed over at once, as none to begin with."""


class SourceError(Exception):
    """A file that cannot be read; ``line`` and ``column`` are 1-based, None where there is no single place."""

    def __init__(self, message: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


@record(frozen=True, slots=True)
class Source:
    """What one file says.

    ``roots`` names what a model can be built from: module classes that nothing else in the file uses as a part or a
    base, functions that build a model and need no argument, and instances made at module level.
    ``trains_at_import`` is the first statement at module level that trains, None if there is none.
    """

    facts: Facts
    roots: tuple[str, ...] = ()
    trains_at_import: Location | None = None


def might_matter(data: bytes) -> bool:
    """Whether a file can say anything of interest: one look at its bytes. What is ruled out is never an error."""
    return _MATTERS.search(data) is not None


def read(
    data: bytes,
    path: str,
    *,
    project: Project | None = None,
    roots: bool = True,
    thorough: bool = True,
    initializers: Initializers = KNOWN,
) -> Source:
    """Read a file's source.

    ``path`` is reported as it is given. ``project`` answers what stands in other files; without one, this file is
    taken to be all there is. ``roots``: whether anybody asks what the file offers to be built. ``thorough``: whether
    also classes are built in which nothing is written, shared or copied (``demand``). ``initializers`` are those that
    are known. Raises SourceError for a file that Python itself could not parse; nothing else.
    """
    text = decoded(data)
    held = project.packages.held(path) if project is not None else None
    tree = held[1] if held is not None and held[0] == text else parsed(text, path)
    garbage.set_aside()
    from initlint.source.reading import Reading

    try:
        return Reading(tree, text, path, project, initializers).source(roots=roots, thorough=thorough)
    except (RecursionError, MemoryError):
        return Source(Facts(origin="source"))
    finally:
        del tree
        garbage.collected()


def decoded(data: bytes) -> str:
    """The text of a file, by its byte order mark or coding line. Raises SourceError."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
    except SyntaxError as error:
        raise SourceError(str(error.msg or error), 1, 1) from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SourceError(f"cannot be decoded as {error.encoding}: {error.reason}", line) from None
    except (LookupError, ValueError) as error:
        raise SourceError(f"cannot be decoded: {error}", 1) from None
    if "\0" in text:
        raise SourceError("contains null bytes", text.count("\n", 0, text.index("\0")) + 1)
    return text


def parsed(text: str, path: str) -> ast.Module:
    """The tree of a source text. Raises SourceError."""
    try:
        with warnings.catch_warnings(), garbage.paused():
            warnings.simplefilter("ignore")
            return ast.parse(text, path or "<source>")
    except SyntaxError as error:
        raise SourceError(error.msg or "invalid syntax", error.lineno, error.offset) from None
    except (RecursionError, MemoryError):
        raise SourceError("nested too deeply to be parsed") from None
    except ValueError as error:
        raise SourceError(str(error)) from None
