"""The HTML report as text, and what becomes of it without the libraries it is made with."""

from __future__ import annotations

import importlib.util
import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from initlint.findings import Severity
from initlint.proposal import Suggestion
from initlint.report.charts import charts, svg
from initlint.report.suggestion import told
from initlint.result import Curve, LayerRow, ModelRun, Report, Values
from tests.cli.conftest import Result, initlint  # noqa: F401  # the fixture
from tests.report.test_formats import FINDING, HOSTILE, REPORT, WRITE

Run = Callable[..., Result]

NASTY = "<img src=x onerror=alert(1)>\"'</script><script>alert(2)</script></title>{{ 7 * 7 }}&amp;$x_1$" + HOSTILE


def values(name: str, label: str = "normal 0.1") -> Values:
    """A parameter whose values lie as a normal law of std 0.1 does."""
    counts = (1, 6, 24, 38, 24, 6, 1)
    follows, fitting = Curve(label, "normal", 0.0, 0.1), Curve(label, "uniform", 0.0, 1.0, -1.7, 1.7)
    return Values(name, 100, 0.0, 0.1, -0.35, 0.35, counts, follows, fitting)


def hostile() -> Report:
    """A report in which everything that comes from the code under check is NASTY."""
    row = LayerRow(NASTY, NASTY, (2, 2), NASTY, 1.0, NASTY, 1.0, None, 1.0, verdict="INI501", total_std=2.0)
    row = replace(row, values=(values(NASTY, NASTY),))
    finding = replace(
        FINDING,
        message=NASTY,
        help=NASTY,
        location=(where := replace(WRITE, path=NASTY)),
        model=NASTY,
        layer=NASTY,
        parameters=(NASTY,),
        evidence={NASTY: NASTY},
        consequences=(NASTY,),
        related=(replace(FINDING.related[0], message=NASTY),),
    )
    model = ModelRun(NASTY, "audited", NASTY, NASTY, NASTY, 4, (row, replace(row, verdict="ok")), NASTY)
    return replace(
        REPORT, findings=(finding,), models=(model,), notes=(NASTY,), failures=(NASTY,), lines={where: NASTY}
    )


def with_values() -> Report:
    """Fourteen parameters in seven layers, of which the last has a finding."""
    rows = [
        LayerRow(f"fc{i}", "Linear", (9, 9), values=(values(f"fc{i}.weight"), values(f"fc{i}.bias"))) for i in range(7)
    ]
    rows[6] = replace(rows[6], verdict="INI501")
    return replace(REPORT, models=(replace(REPORT.models[0], layers=(*REPORT.models[0].layers, *rows)),))


def suggestion() -> Suggestion:
    """One that mends everything, with hostile text wherever the code under check has a say."""
    before = hostile()
    rows = tuple(replace(row, forward_std=3.0, verdict="ok") for row in before.models[0].layers)
    after = replace(before, findings=(), failures=(), models=(replace(before.models[0], layers=rows),))
    source = f"def init_weights(model):\n    pass  # {NASTY}\n"
    kept, replaced = ((NASTY, NASTY),), (replace(WRITE, path=NASTY),)
    return Suggestion(
        NASTY, "suggested", replace(before, failures=()), after, source, ("INI501",), kept=kept, replaces=replaced
    )


class Page(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), (tag, attrs)
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_the_page_holds_findings_tables_and_charts_and_nothing_from_outside() -> None:
    page = Page(REPORT.to_html())
    assert "name the argument: nn.init.normal_(m.weight, std=0.02)" in page.text
    assert "skipped (needs arguments: width)" in page.text
    assert [attributes["viewbox"] is not None for attributes in page.of("svg")] == [True, True]
    assert [cell["aria-sort"] for cell in page.of("th") if cell.get("scope") == "col"] == ["ascending", *["none"] * 11]
    assert re.search(r"fc1: 27\.7 across the batch", page.text)
    for tag, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "action"):
            assert (attributes.get(name) or "#").startswith("#"), (tag, attributes)
    assert not page.of("link")
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        for name in ("aria-labelledby", "aria-controls"):
            assert attributes.get(name, ids[0]) in ids
        assert (attributes.get("href") or f"#{ids[0]}")[1:] in ids


def test_nothing_that_a_name_holds_becomes_markup() -> None:
    text = hostile().to_html()
    page, usual = Page(text), Page(with_values().to_html())
    assert {tag for tag, _ in page.elements} <= {tag for tag, _ in usual.elements} | {"strong", "use"}
    assert len(page.of("script")) == 1
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert "{{ 7 * 7 }}&amp;$x_1$" in page.text
    assert not set(text) & set("\x1b\x07\x9b\u202e\u2028\ud800")
    text.encode()


def test_values_are_drawn_against_their_laws_and_those_of_flawed_layers_lead() -> None:
    page = Page(with_values().to_html())
    shown = re.findall(r"fc\d\.\w+(?=: histogram from -0.35 to 0.35)", page.text)
    assert shown[:2] == ["fc6.weight", "fc6.bias"]
    assert shown[2:] == [f"fc{i}.{leaf}" for i in range(6) for leaf in ("weight", "bias")]
    assert "100 values, mean 0, std 0.1" in page.text
    marks = [attributes["class"] for attributes in page.of("path") if attributes.get("class")]
    assert marks.count("bars") == marks.count("follows") == marks.count("fitting") == 14
    assert len(page.of("template")) == 1  # what the script shows on demand
    assert "histogram" not in json.dumps(with_values().to_dict())


@pytest.mark.torch
def test_what_is_drawn_was_counted_in_the_model_and_a_parametrization_is_told_with_its_layer() -> None:
    import torch
    from torch import nn

    from initlint import audit

    def make() -> nn.Module:
        net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1200), nn.LayerNorm(1200), nn.Linear(1200, 8))
        nn.init.constant_(net[0].bias, 0.0)
        nn.init.kaiming_normal_(net[2].weight, nonlinearity="relu")
        nn.utils.parametrizations.spectral_norm(net[4])
        return net

    rows = audit(make, torch.randn(16, 64)).models[0].layers
    assert [row.name for row in rows] == ["0", "2", "3", "4"]  # and none for what spectral_norm keeps
    held = {each.name: each for row in rows for each in row.values}
    assert list(held) == ["0.weight", "2.weight", "2.bias", "4.bias", "4.parametrizations.weight.original"]
    for each in held.values():  # bias 0 and the norm's scale 1 have nothing to be drawn
        assert sum(each.counts) == each.size
    first, second = held["0.weight"], held["2.weight"]
    assert first.fitting is not None
    assert first.fitting.std == pytest.approx(math.sqrt(2 / 64))  # He et al. 2015
    assert first.fitting.family == "uniform"  # as the layer is drawn
    middle, outer = sum(second.counts[16:24]), sum(second.counts[:4]) + sum(second.counts[-4:])
    assert second.follows is not None
    assert second.follows.family == "normal"
    assert middle > 20 * outer
    assert second.fitting is None  # a norm comes next, and the scale is its to choose
    predicted = audit(make, torch.randn(16, 64), meta=True)  # its figures are ranges
    assert "Signal std over depth" in predicted.to_html()


@pytest.mark.parametrize("width", [60, 80])
def test_what_is_told_of_a_suggestion_keeps_to_the_terminal(width: int) -> None:
    seen = replace(with_values(), models=with_values().models[:1])
    kept = (("blocks.0.norm.weight, blocks.1.norm.weight, blocks.2.norm.weight", "as the model has it"),)
    text = told(Suggestion("net.py::Net", "suggested", seen, seen, "", ("INI501",), kept=kept), width)
    assert max(map(len, text.splitlines())) <= width
    assert "(as the model has it)" in " ".join(text.split())


@pytest.mark.parametrize("failed", [False, True])
def test_the_codes_in_a_suggestions_table_lead_to_the_findings_that_its_page_shows(failed: bool) -> None:
    whole = suggestion()
    advice = replace(FINDING, code="INI110", severity=Severity.ADVICE)
    before = replace(
        whole.before, findings=(advice, *whole.before.findings), failures=("it ran out",) if failed else ()
    )
    page = Page(replace(whole, before=before).to_html())
    links = {link for each in page.of("a") if (link := each["href"]) is not None}
    assert ("#finding-1" in links) is not failed
    assert links <= {f"#{each['id']}" for _, each in page.elements if "id" in each}


def test_a_suggestion_is_a_page_with_before_and_after_in_one_chart(tmp_path: Path) -> None:
    text = suggestion().to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == text
    page, usual = Page(text), Page(with_values().to_html())
    assert "INI501 gone, nothing new" in page.text
    titles = re.findall(r": (\S+) (before|after)", page.text)
    assert ("1", "before") in titles
    assert ("3", "after") in titles
    assert len([each for each in page.of("svg") if "aria-labelledby" in each]) == 2
    assert {tag for tag, _ in page.elements} <= {tag for tag, _ in usual.elements} | {"use"}
    assert not set(text) & set("\x1b\x07\x9b\u202e\u2028\ud800")
    assert "def init_weights(model):\n    pass" in page.text
    assert len(page.of("script")) == 1
    page = Page(suggestion()._repr_html_())
    assert len(page.of("svg")) == 2
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "img", "html"})
    for bare in (Suggestion("Net", "fine", REPORT), Suggestion("Net", "failed", replace(REPORT, models=()))):
        assert "The function" not in Page(bare.to_html()).text


def test_a_chart_marks_zero_and_what_is_not_finite() -> None:
    values = [1.0, 0.0, None, float("inf"), float("nan"), 1e-30]
    rows = [LayerRow(f"layer{index}", "Linear", forward_std=value) for index, value in enumerate(values)]
    (chart,) = charts(rows)
    assert chart.alternative == (
        "Signal std over depth, 5 layers: 1 at layer0, 1.0e-30 at layer5, least 0 at layer1, largest 1 at layer0, "
        "not finite at 2."
    )
    assert chart.marks == "triangle: exactly 0, cross: not finite"
    titles = re.findall(r"<(?:use|circle) .*?<title>(.*?) across the batch</title>", svg(chart, "x"))
    assert sorted(titles) == ["layer0: 1", "layer1: 0", "layer3: inf", "layer4: nan", "layer5: 1.0e-30"]


def test_a_model_that_was_not_run_has_no_chart_but_its_table(tmp_path: Path) -> None:
    report = replace(REPORT, models=(ModelRun("a.py::A", "audited", layers=(LayerRow("fc", "Linear", (2, 2)),)),))
    page = Page(report.to_html(tmp_path / "report.html"))
    assert not page.of("svg")
    assert page.of("table")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == report.to_html()
    with pytest.raises(ValueError, match="no model was run"):
        report.to_png()


def test_a_notebook_gets_the_charts(tmp_path: Path) -> None:
    assert REPORT.to_png(tmp_path / "charts.png").startswith(b"\x89PNG")
    assert (tmp_path / "charts.png").stat().st_size > 10_000
    page = Page(hostile()._repr_html_())
    assert len(page.of("svg")) == 2
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "img", "html"})


def test_the_command_line_writes_it(initlint: Run, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "model.py").write_text("import torch.nn as nn\nnn.init.normal_(nn.Linear(2, 2).weight, 0.02)\n")
    output = tmp_path / "report.html"
    result = initlint("check", "--static", tmp_path / "model.py", "--format", "html", "--output", output)
    assert (result.code, result.err) == (1, "")
    assert "std-passed-as-mean" in Page(output.read_text(encoding="utf-8")).text


def test_without_the_libraries_one_line_tells_how_to_get_them(
    initlint: Run,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name))
    result = initlint("check", "--static", "--format", "html")
    assert (result.code, result.out) == (2, "")
    assert result.err == "initlint: error: an HTML report needs matplotlib: pip install 'initlint[report]'\n"
    with pytest.raises(ModuleNotFoundError, match="pip install"):
        REPORT.to_html()
    assert "<svg" not in REPORT._repr_html_()


def test_a_report_is_made_without_loading_what_draws_it(tmp_path: Path) -> None:
    program = (
        "import json, sys, initlint\n"
        "initlint.check([sys.argv[1]], static=True).to_dict()\n"
        "print(json.dumps([m for m in ('jinja2', 'matplotlib', 'numpy', 'initlint.report.html') if m in sys.modules]))"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    loaded: list[Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert loaded == []
