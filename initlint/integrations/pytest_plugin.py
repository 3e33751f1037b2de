"""initlint in pytest: the fixture ``initlint``, and with ``--initlint`` a test for each configured model.

pytest loads this module in every run of whoever has initlint installed, so it imports nothing but pytest until it is
used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import torch
    from torch import nn

    from initlint.result import Report
    from initlint.settings import ModelTable

__all__ = ["Checker", "ModelItem"]

MARKER = "initlint"


class Checker:
    """What the fixture ``initlint`` gives."""

    def check(
        self,
        model: nn.Module | Callable[[], nn.Module | tuple[nn.Module, Any]],
        batch: Any = None,
        *,
        fail_on: str = "warning",
        loss: str | Callable[[Any], torch.Tensor] | None = None,
        dtype: str | torch.dtype | None = None,
        device: str | None = None,
        select: str | None = None,
        ignore: str | None = None,
        seed: int = 0,
    ) -> Report:
        """Audit a model, and fail the test with what is found at or above ``fail_on`` (error, warning or advice).

        The rest is as for ``initlint.audit``, which also says what is raised. Returns the report if the test goes on.
        """
        __tracebackhide__ = True
        from dataclasses import replace

        from initlint.api import audit
        from initlint.findings import Severity

        severity = Severity.parse(fail_on)
        report = audit(
            model,
            batch,
            loss=loss,
            dtype=dtype,
            device=device,
            select=select,
            ignore=ignore,
            advice=severity is Severity.ADVICE,
            seed=seed,
        )
        return _passed(replace(report, fail_on=severity))


class ModelItem(pytest.Item):
    """A test that builds and probes one model of the configuration, as ``initlint check`` does."""

    def __init__(self, *, table: ModelTable, **given: Any) -> None:
        super().__init__(**given)
        self.table = table
        self.add_marker(MARKER)

    def runtest(self) -> None:
        """Check the model, and fail with the findings."""
        from initlint.api import check

        _passed(check(models=[self.table]))

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """What the head of a failure says."""
        return self.path, None, f"initlint {self.name}"


@pytest.fixture(scope="session")
def initlint() -> Checker:
    """Checks how a model is initialised: ``initlint.check(build_model(), batch)``."""
    return Checker()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--initlint``."""
    parser.getgroup("initlint").addoption(
        "--initlint", action="store_true", help="Test each [[tool.initlint.model]] of the configuration, too."
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, for ``-m initlint`` and ``--strict-markers``."""
    config.addinivalue_line("markers", f"{MARKER}: a model of initlint's configuration, built and probed (--initlint)")


@pytest.hookimpl(tryfirst=True)  # before -k and -m choose
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add a test for each configured model; a usage error where there is none."""
    if not config.getoption("--initlint"):
        return
    import os

    from initlint.config import Configurations

    try:
        here = Configurations().within(os.getcwd())
    except ValueError as error:
        raise pytest.UsageError(f"--initlint: {error}") from None
    if here.static:
        raise pytest.UsageError(f"--initlint builds models, and static is true in {here.shown}")
    if not here.models:
        raise pytest.UsageError("--initlint: no configuration here has a [[tool.initlint.model]]")
    seen: Counter[str] = Counter()
    for table in here.models:
        name = table.target + (f"[{', '.join(table.args)}]" if table.args else "")
        seen[name] += 1
        name += f" #{seen[name]}" if seen[name] > 1 else ""
        items.append(ModelItem.from_parent(session, name=name, nodeid=f"initlint::{name}", table=table))


def _passed(report: Report) -> Report:
    """The report, unless it fails the test: then the test ends, and its text is that of the findings."""
    __tracebackhide__ = True
    if report.ok:
        return report
    from initlint.printable import printable
    from initlint.report.text import render

    failures = "".join(f"initlint: error: {printable(failure)}\n" for failure in report.failures)
    pytest.fail(f"{render(report, quiet=True)}{failures}".rstrip("\n"), pytrace=False)
