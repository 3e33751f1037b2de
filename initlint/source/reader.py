"""A file of Python source to facts. Nothing of it is run, and nothing it imports is imported.

This is the folder's front door. The path of a file from bytes to facts:

- ``files`` finds and loads files, ``parsing`` makes trees of them, ``suppression`` reads their comments; ``garbage``
  says when what they leave behind is collected, ``frames`` gives calls within calls their room;
- ``scan`` walks the tree once: what is defined, mentioned, and (``sites``) where calls of initialisers may stand;
  ``walking`` goes over parts of it again, ``names`` says what an imported name canonically means, ``places`` where a
  node stands;
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
  they stand in, ``exposure`` and ``project`` what other code may write out of sight, ``evaluated`` what is written
  for a comparison alone, ``roots`` what a file offers to be built, ``concern`` which lines of it are about one of its
  names;
- ``models`` writes the built classes down as facts.
"""

from __future__ import annotations

import re

from initlint.facts import Facts
from initlint.location import Location
from initlint.record import record
from initlint.source.project.project import Project
from initlint.source.tables.initializers import KNOWN, Initializers
from initlint.source.text import garbage
from initlint.source.text.frames import with_room
from initlint.source.text.parsing import decoded, parsed

__all__ = ["Project", "Source", "might_matter", "read"]

_WORDS = "|".join(rf"{word}\b(?<!\w{word})" for word in ("torch", "nn", "timm", "mmcv", "mmengine"))
_PREFIXES = "|".join(rf"{start}(?<!\w{start})" for start in ("xavier", "kaiming"))
_MATTERS = re.compile(rf"{_WORDS}|{_PREFIXES}|init(?<!\winit)\w*_\(|_init\b|\.normal_\(|\.uniform_\(".encode())
"""That nothing stands before a word is looked at last: so most bytes are passed over at once, as none to begin with."""


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
    garbage.collected()
    text = decoded(data)
    held = project.packages.held(path) if project is not None else None
    tree = held[1] if held is not None and held[0] == text else parsed(text, path)
    garbage.set_aside()
    from initlint.source.reading import Reading

    reading = Reading(tree, text, path, project, initializers)
    try:
        return with_room(lambda: reading.source(roots=roots, thorough=thorough))
    except (RecursionError, MemoryError):
        return Source(Facts(origin="source"))
    finally:
        reading.let_go()
