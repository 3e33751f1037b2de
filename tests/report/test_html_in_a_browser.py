"""The HTML report where it is read: in Chromium, from a file, with keys alone. Skipped where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from initlint.proposal import Suggestion
from initlint.result import LayerRow, ModelRun, Report
from tests.report.test_formats import REPORT
from tests.report.test_html import hostile, suggestion, values

selenium = pytest.importorskip("selenium")

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(BROWSER is None or DRIVER is None, reason="needs chromium and its driver")

STDS = (3.0, 0.0, None, 0.02, float("nan"), 11.0)
ROWS = tuple(
    LayerRow(
        f"blocks.{index}.fc",
        "Linear",
        (8, 8),
        "normal",
        forward_std=std,
        gradient_std=std,
        total_std=std,
        values=tuple(values(f"blocks.{index}.fc.{leaf}") for leaf in ("weight", "bias", "scale")),
    )
    for index, std in enumerate(STDS)
)
PLAIN = replace(
    REPORT, models=(ModelRun("net.py::Net", "audited", layers=(*ROWS[:5], replace(ROWS[5], verdict="INI501"))),)
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser without a window, which keeps its console's log."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


def opened(driver: Any, report: Report | Suggestion, folder: Path, *, width: int = 1400, scheme: str = "light") -> None:
    """Show the page of a report in a window that is so many CSS pixels wide."""
    report.to_html(folder / "report.html")
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    driver.get((folder / "report.html").as_uri())


def first_cells(driver: Any, column: int) -> list[str]:
    """The texts of a column, in the rows that are shown."""
    return list(
        driver.execute_script(
            "return [...document.querySelectorAll('table.layers tbody tr')].filter(r => r.offsetParent !== null)"
            f".map(r => r.cells[{column}].textContent)"
        )
    )


@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_fits_its_window_and_its_charts_are_there(
    chromium: Any, tmp_path: Path, width: int, scheme: str
) -> None:
    opened(chromium, PLAIN, tmp_path, width=width, scheme=scheme)
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= width
    boxes = chromium.execute_script(
        "const drawn = [...document.querySelectorAll('.charts svg')];"
        "return drawn.map(e => [e.clientWidth, e.clientHeight, e.getBBox().width])"
    )
    assert len(boxes) == 2
    assert all(min(box) > 100 for box in boxes)
    points = chromium.execute_script("return [...document.querySelectorAll('figure g title')].map(e => e.textContent)")
    assert "blocks.5.fc: 11 over all values" in points
    assert len(points) == 3 * 5
    small = chromium.execute_script(
        "return [...document.querySelectorAll('.histograms svg')].map(e => [e.clientWidth, e.clientHeight])"
    )
    assert len(small) == 12
    assert all(min(box) > 50 for box in small)
    colors = chromium.execute_script(
        "const color = (e, p) => getComputedStyle(document.querySelector(e))[p];"
        "return [color('body', 'backgroundColor'), color('figure svg text', 'fill'), color('figure circle', 'fill'),"
        " color('.histograms .bars', 'fill'), color('path.follows', 'stroke'), color('path.fitting', 'stroke')]"
    )
    page, point, follows = colors[0], colors[2], colors[4]
    assert len(set(colors)) == 5
    assert point == follows  # the colour of the signal
    assert (page == "rgb(255, 255, 255)") == (scheme == "light")
    assert chromium.get_log("browser") == []


def test_hostile_names_stay_text(chromium: Any, tmp_path: Path) -> None:
    opened(chromium, hostile(), tmp_path)
    assert chromium.execute_script("return document.querySelectorAll('img, main script, body > title').length") == 0
    assert chromium.execute_script("return document.scripts.length") == 1
    assert first_cells(chromium, 1)[0].startswith("<img src=x onerror=alert(1)>\"'</script>")
    assert chromium.get_log("browser") == []
    chromium.execute_script(
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title=1\">');"
        "const s = document.createElement('script'); s.textContent = 'document.title = 2'; document.body.append(s)"
    )
    assert chromium.title.startswith("initlint")
    assert any("Content Security Policy" in line["message"] for line in chromium.get_log("browser"))


def test_the_table_is_sorted_and_filtered_with_keys_alone(chromium: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    opened(chromium, PLAIN, tmp_path)

    def press(*keys: str) -> None:
        for key in keys:
            chromium.switch_to.active_element.send_keys(key)

    def tab_to(selector: str) -> None:
        for _ in range(60):
            press(Keys.TAB)
            if chromium.execute_script(f"return document.activeElement.matches({selector!r})"):
                return
        raise AssertionError(selector)

    def sorted_by() -> list[str]:
        return list(
            chromium.execute_script(
                "return [...document.querySelectorAll('thead th')].filter(h => h.ariaSort !== 'none')"
                ".map(h => h.textContent + ' ' + h.ariaSort)"
            )
        )

    def histograms() -> list[str]:
        captions = "return [...document.querySelectorAll('.histograms figcaption')].map(e => e.textContent)"
        return list(chromium.execute_script(captions))

    tab_to("th:nth-child(8) button")
    press(Keys.ENTER)
    assert first_cells(chromium, 7) == ["0", "0.02", "3", "11", "", "nan"]
    assert sorted_by() == ["fwd std ascending"]
    press(Keys.SPACE)
    assert first_cells(chromium, 7) == ["11", "3", "0.02", "0", "", "nan"]
    assert sorted_by() == ["fwd std descending"]
    chromium.get(chromium.current_url)
    tab_to("input[type=search]")
    press("3.fc LINEAR")
    assert first_cells(chromium, 1) == ["blocks.3.fc"]
    status = "return document.querySelector('output').textContent"
    assert chromium.execute_script(status) == "1 of 6 layers"
    press(*[Keys.BACKSPACE] * 11)
    tab_to("input[type=checkbox]")
    press(Keys.SPACE)
    assert first_cells(chromium, 1) == ["blocks.5.fc"]
    assert histograms() == [f"blocks.5.fc.{leaf}" for leaf in ("weight", "bias", "scale")]
    press(Keys.SPACE)
    assert histograms()[:4] == [*[f"blocks.5.fc.{leaf}" for leaf in ("weight", "bias", "scale")], "blocks.0.fc.weight"]
    assert len(histograms()) == 12
    tab_to(".more button")
    press(Keys.ENTER)
    assert len(histograms()) == 18
    assert chromium.execute_script("return document.activeElement.textContent").split()[0] == histograms()[12]
    assert chromium.get_log("browser") == []


def test_a_suggestion_shows_before_and_after_and_prints(chromium: Any, tmp_path: Path) -> None:
    opened(chromium, suggestion(), tmp_path, width=390, scheme="dark")
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= 390
    lines = chromium.execute_script(
        "return [...document.querySelectorAll('.charts svg')].map(e => [...e.querySelectorAll('path')]"
        ".map(p => getComputedStyle(p)).filter(s => s.strokeDasharray !== 'none').length)"
    )
    assert lines == [2, 2]  # what was before is dashed: its line, and its sample in the legend
    opened(chromium, PLAIN, tmp_path)
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    hidden = "return ['nav', '.controls', '.more', '.skip'].map(e => document.querySelector(e).offsetParent)"
    assert chromium.execute_script(hidden) == [None] * 4
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert chromium.get_log("browser") == []
