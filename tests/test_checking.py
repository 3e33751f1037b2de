"""What is not read because no rule would speak of it, no rule would have spoken of."""

from __future__ import annotations

from pathlib import Path

import pytest

from initlint import api
from initlint.engine import load, registry

from .rules.harness import examples, marked, snippet

CODES = sorted({code for code, *_ in examples("bad", "source") if "suppression" not in registry()[code].subjects})


@pytest.mark.parametrize("code", CODES)
def test_a_rule_finds_its_examples_as_a_user_would_select_it(code: str, tmp_path: Path) -> None:
    wanted = {}
    for number, example in enumerate(load(code).bad):
        if "source" in example.by:
            path = tmp_path / str(number) / "model.py"
            path.parent.mkdir()
            (path.parent / "pyproject.toml").touch()  # a project of its own
            path.write_text(text := snippet(example))
            wanted[str(path)] = marked(text)
    report = api.check([str(tmp_path)], static=True, select=[code], jobs=1)
    found: dict[str, list[int]] = {path: [] for path in wanted}
    for finding in report.findings:
        assert finding.location is not None
        found[finding.location.path].append(finding.location.line)
    assert {path: sorted(set(lines)) for path, lines in found.items()} == wanted


def test_what_is_left_out_says_nothing(tmp_path: Path) -> None:
    """A rule that does not ask for every model says the same with them and without."""
    for kind in ("bad", "good"):
        for code, number, example in examples(kind, "source"):
            (tmp_path / f"{kind}_{code}_{number}.py").write_text(snippet(example))
    every = [code for code, entry in registry().items() if not entry.defaults]
    greedy = next(code for code, entry in registry().items() if entry.defaults)
    pruned = api.check([str(tmp_path)], static=True, select=every, jobs=1)
    thorough = api.check([str(tmp_path)], static=True, select=[*every, greedy], jobs=1)
    assert [f for f in thorough.findings if f.code != greedy] == list(pruned.findings)
