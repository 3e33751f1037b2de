"""Running a rule's own examples, through the front ends that a user runs."""

from __future__ import annotations

import importlib.util
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from initlint.engine import judge, judges_defaults, load, registry
from initlint.facts import Facts
from initlint.findings import Finding
from initlint.rule import Bad, Good
from initlint.suppressed import suppressions_of

PRELUDE = "import math, torch; from torch import nn; import torch.nn.functional as F\n"
MARK = "#~"


def snippet(example: Bad | Good) -> str:
    """The example as a module: the prelude is its first line, so marks move down by one."""
    return PRELUDE + textwrap.dedent(example.code).lstrip("\n")


def marked(text: str) -> list[int]:
    return [number for number, line in enumerate(text.splitlines(), 1) if line.rstrip().endswith(MARK)]


def read_facts(text: str, path: str, code: str | None = None) -> Facts:
    """What reading says of a snippet, and what its comments silence of that.

    With a ``code`` it is read as for a user who selects that rule alone, which leaves classes unbuilt.
    """
    from initlint.source.reader import read
    from initlint.source.text.suppression import read as read_suppressions

    facts, comments = (
        read(text.encode(), path, thorough=code is None or judges_defaults({code})).facts,
        read_suppressions(text.encode()),
    )
    if not comments.codes:
        return facts
    findings = judge([facts], registry())
    lines = [(comments.silencing(each.code, each.location.line), each.code) for each in findings if each.location]
    used = {(line, code) for line, code in lines if line is not None}
    said = suppressions_of(path, comments, used, registry(), ["source"])
    return replace(facts, suppressions=said.suppressions)


def built_facts(text: str, directory: Path) -> list[Facts]:
    """Build what the snippet defines under the recorder and audit it, in this process.

    That is ``build()``, or else the last class: examples write the parts first.
    """
    from torch import nn

    from initlint.live.audit import audit_module
    from initlint.live.probing.width_spec import WidthSpec, width_argument
    from initlint.live.probing.widths import scaled
    from initlint.live.recorder.build import accepted, build

    path = directory / "snippet.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location("snippet", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["snippet"] = module  # inspect looks for a class there
    spec.loader.exec_module(module)
    classes = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, nn.Module)]
    factory = getattr(module, "build", None) or classes[-1]
    built = build(factory.__name__, factory, {}, project_root=str(directory))
    facts = audit_module(
        built.module,
        built.batch,
        recording=built.recording,
        name=factory.__name__,
        differing=built.differing,
        dtype="fp16",  # which only INI712 asks about
    )
    widths = getattr(module, "widths", None)
    if widths is not None:
        argument = width_argument(WidthSpec(widths), accepted(factory))
        assert argument is not None
        facts, said = scaled(facts, lambda width: factory(**{argument: width}), argument, widths, None, 0, "cpu")
        assert not said
    return [facts]


def examples(kind: str, by: str) -> Iterator[tuple[str, int, Bad | Good]]:
    for code in registry():
        for number, example in enumerate(getattr(load(code), kind)):
            if by in example.by:
                yield code, number, example


def lines(findings: list[Finding]) -> list[int]:
    return [finding.location.line if finding.location else 0 for finding in findings]


def said(facts: list[Facts], code: str) -> list[Finding]:
    return judge(facts, {code})
