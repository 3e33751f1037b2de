"""The pytest plugin in pytest runs of their own."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

pytest.importorskip("torch")
import initlint.api  # pytester takes back what a run imports, and torch cannot be imported twice
import initlint.live.inprocess  # noqa: F401

pytest_plugins = ("pytester",)
pytestmark = pytest.mark.torch

NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width=16, value=None):
        super().__init__()
        self.first, self.last = nn.Linear(8, width), nn.Linear(width, 8)
        if value is not None:
            nn.init.constant_(self.last.weight, value)
            nn.init.constant_(self.first.weight, value)

    def forward(self, x):
        return self.last(torch.relu(self.first(x)))
"""
SOUND = '[[tool.initlint.model]]\ntarget = "net.py::Net"\nbatch = "4x8"\n'
FLAWED = f"{SOUND}args = {{ value = 0.1 }}\n"


@pytest.fixture
def run(pytester: pytest.Pytester):
    """Run pytest in an empty project; the plugin comes by its entry point where the installation has that."""
    pytester.makepyfile(net=NET)
    by_name = (
        () if list(entry_points(group="pytest11", name="initlint")) else ("-p", "initlint.integrations.pytest_plugin")
    )

    def start(*arguments: str, subprocess: bool = False) -> pytest.RunResult:
        method = pytester.runpytest_subprocess if subprocess else pytester.runpytest_inprocess
        return method(*by_name, "-p", "no:xdist", "-p", "no:cacheprovider", *arguments)

    return start


def test_a_flawed_model_fails_with_its_finding_and_a_sound_one_passes(pytester: pytest.Pytester, run) -> None:
    pytester.makepyfile(
        test_models="""
        import torch
        from net import Net

        def test_sound(initlint):
            report = initlint.check(Net(), torch.randn(4, 8))
            assert report.ok

        def test_flawed(initlint):
            initlint.check(lambda: Net(value=0.1), torch.randn(4, 8))

        def test_lenient(initlint):
            initlint.check(Net(value=0.1), torch.randn(4, 8), ignore="INI1,INI2,INI7")

        def test_unusable(initlint):
            initlint.check(Net(), torch.randn(4, 9))
        """
    )
    result = run()
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(
        [
            "*__ test_flawed __*",
            "net.py:1?:13: INI10? [[]error[]] *",
            "*| nn.init.constant_(self.*.weight, value)*",
            "*help: *",
            "*__ test_unusable __*",
            "initlint: error: Net was not run: *",
        ]
    )
    assert "initlint/integrations/pytest_plugin.py" not in result.stdout.str()  # no traceback


def test_the_option_tests_what_is_configured(pytester: pytest.Pytester, run) -> None:
    pytester.makepyprojecttoml(SOUND + FLAWED)
    pytester.makepyfile(test_other="def test_other(): pass")
    result = run("--initlint", "-m", "initlint", "--strict-markers", "-v")
    result.assert_outcomes(passed=1, failed=1, deselected=1)
    result.stdout.fnmatch_lines(
        [
            "initlint::net.py::Net PASSED*",
            "initlint::net.py::Net[[]value=0.1[]] FAILED*",
            "*__ initlint net.py::Net[[]value=0.1[]] __*",
            "net.py:1?:13: INI10? [[]error[]] *",
            "FAILED initlint::net.py::Net[[]value=0.1[]]*INI10*",
        ]
    )


@pytest.mark.parametrize(
    ("configuration", "line"),
    [
        ("", "*--initlint: no configuration here has a [[][[]tool.initlint.model[]][]]"),
        (f"[tool.initlint]\nstatic = true\n{SOUND}", "*--initlint builds models, and static is true in pyproject.toml"),
        ("[tool.initlint]\nselct = []\n", "*--initlint: pyproject.toml: *selct*did you mean select*"),
    ],
)
def test_what_cannot_be_meant_is_one_line(pytester: pytest.Pytester, run, configuration: str, line: str) -> None:
    pytester.makepyprojecttoml(configuration)
    result = run("--initlint")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([line])


def test_a_run_that_does_not_use_it_loads_nothing_of_it(pytester: pytest.Pytester, run) -> None:
    pytester.makepyfile(
        test_light="""
        import sys

        def test_light(initlint):
            heavy = {"torch", "numpy", "rich", "click", "libcst"} & set(sys.modules)
            ours = {name for name in sys.modules if name.startswith("initlint")}
            assert not heavy
            assert ours == {
                "initlint", "initlint.version", "initlint.integrations", "initlint.integrations.pytest_plugin"
            }
        """
    )
    run(subprocess=True).assert_outcomes(passed=1)
