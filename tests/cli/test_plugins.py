"""Rules from other packages: taken from where packages are installed, never from the tree that is checked."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

RULE = textwrap.dedent('''\
    """A team's own rules."""

    from initlint.findings import Severity
    from initlint.rule import SOURCE, Rule


    class SmallStd(Rule):
        """A standard deviation of 0.02 is not what this team uses.

        ## What it does
        Points at it.
        """

        code, name, severity = "OURS001", "small-std", Severity.WARNING
        needs = (SOURCE,)

        def check_call(self, call):
            if call.arguments["std"] == 0.02:
                yield self.at(call, "std is 0.02", help="ask the team")
    ''')
MODEL = "import torch.nn as nn\n\n\ndef init(m):\n    nn.init.normal_(m.weight, std=0.02)\n"
TRAP = "open('ran', 'w')\n"


@dataclass
class Result:
    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose configuration names the plugin."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "model.py").write_text(MODEL)
    (folder / "pyproject.toml").write_text('[tool.initlint]\nplugins = ["our_rules"]\n')
    return folder


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A directory of packages that lies elsewhere, with the plugin in it."""
    package = tmp_path / "site" / "our_rules"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from our_rules.small import SmallStd\n")
    (package / "small.py").write_text(RULE)
    return package.parent


@pytest.fixture
def run(project: Path) -> Run:
    def start(*arguments: str, path: Path | None = None) -> Result:
        paths = [str(path)] if path is not None else []
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")]).strip(os.pathsep),
        }
        command = [sys.executable, "-m", "initlint", *arguments]
        done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr
        return Result(done.returncode, done.stdout, done.stderr)

    return start


def settings(project: Path) -> set[str]:
    """The different circumstances under which verdicts are remembered."""
    with sqlite3.connect(project / ".initlint_cache/static.sqlite") as store:
        return {mark for (mark,) in store.execute("SELECT settings FROM verdicts")}


def codes(result: Result) -> list[str]:
    return [finding["code"] for finding in json.loads(result.out)["findings"]]


def refused(result: Result) -> str:
    assert result.code == 2
    assert result.out == ""
    assert len(result.err.splitlines()) == 1
    return result.err


def test_its_rules_are_rules_like_ours(run: Run, site: Path) -> None:
    check = ("check", "--static", "--format", "json", "model.py")
    assert codes(run(*check, path=site)) == ["OURS001"]
    assert codes(run(*check, "--select", "OURS", path=site)) == ["OURS001"]
    assert codes(run(*check, "--select", "INI5", path=site)) == []
    assert codes(run(*check, "--ignore", "OURS001", path=site)) == []
    assert "OURS002" in refused(run(*check, "--select", "OURS002", path=site))
    listed = json.loads(run("rules", "--format", "json", path=site).out)
    assert ("OURS001", "small-std", "warning") in [(e["code"], e["name"], e["severity"]) for e in listed]
    assert run("explain", "OURS001", path=site).out.startswith("OURS001 small-std [warning]\n\nA standard deviation")


def test_a_comment_silences_them(run: Run, site: Path, project: Path) -> None:
    (project / "model.py").write_text(MODEL.rstrip() + "  # noqa: OURS001\n")
    assert run("check", "--static", path=site).code == 0


def test_they_hold_where_they_are_configured(run: Run, site: Path, project: Path) -> None:
    (project / "other").mkdir()
    (project / "other/model.py").write_text(MODEL)
    (project / "other/initlint.toml").write_text("")
    report = json.loads(run("check", "--static", "--format", "json", path=site).out)
    assert [finding["path"] for finding in report["findings"]] == ["model.py"]
    report = json.loads(run("check", "--static", "--select", "OURS001", "--format", "json", path=site).out)
    assert [finding["path"] for finding in report["findings"]] == ["model.py"]


STERNER = RULE.replace("== 0.02", "== 0.05")


@pytest.mark.parametrize("kind", ["package", "module", "namespace"])
def test_what_it_said_is_forgotten_when_its_code_changes(run: Run, site: Path, project: Path, kind: str) -> None:
    package = site / "our_rules"
    package.mkdir(exist_ok=True)
    code = package / "small.py"
    name = "our_rules"
    if kind == "module":
        code = site / "one_rule.py"
        code.write_text(RULE)
        name = "one_rule"
    elif kind == "namespace":
        (package / "__init__.py").unlink()
        name = "our_rules.small"
    (project / "pyproject.toml").write_text(f'[tool.initlint]\nplugins = ["{name}"]\n')
    for folder in (site, package):
        (folder / "gone.py").symlink_to(folder / "nowhere.py")
    (package / "round").symlink_to(package)
    check = ("check", "--static", "--format", "json")

    assert codes(run(*check, path=site)) == ["OURS001"]
    (site / "neighbour.py").write_text("")  # no code of the plugin's
    assert codes(run(*check, path=site)) == ["OURS001"]
    assert len(seen := settings(project)) == 1
    code.write_text(STERNER)
    assert codes(run(*check, path=site)) == []
    assert settings(project) != seen


@pytest.mark.parametrize("where", ["", "src", "deep/src"])
def test_nothing_in_the_tree_that_is_checked_is_run(run: Run, project: Path, where: str) -> None:
    folder = project / where
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "our_rules.py").write_text(TRAP + RULE)
    for path, said in ((None, "among the installed packages"), (folder, "lies in the tree that is checked")):
        for target in (".", "model.py"):
            assert said in refused(run("check", "--static", target, path=path))
        assert said in refused(run("rules", path=path))
    config = project / "pyproject.toml"
    config.write_text(config.read_text() + "static = true\n")
    assert "lies in the tree" in refused(run("check", "model.py", path=folder))
    assert not list(project.rglob("ran"))


def test_nothing_that_has_the_name_of_what_is_needed_is_run(run: Run, project: Path) -> None:
    for name in ("conftest", "click", "pathspec", "tomllib", "setup", "initlint_rules", "libcst", "difflib"):
        (project / f"{name}.py").write_text(TRAP + "raise SystemExit(3)\n")
    (project / "pyproject.toml").write_text(
        '[tool.initlint]\nextend-exclude = ["x"]\n[[tool.initlint.model]]\ntarget = "setup.py"\n'
    )
    (project / ".gitignore").write_text("y\n")
    assert run("check", "--static").code == 0
    assert run("check", "--static", "--diff").code == 0
    assert run("check", "--static", "--config", "selct = []").code == 2
    assert not list(project.rglob("ran"))


def test_the_whole_repository_counts(run: Run, project: Path, site: Path) -> None:
    (project.parent / ".git").mkdir()
    assert "lies in the tree that is checked" in refused(run("check", "--static", path=site))


def test_a_run_that_may_run_code_takes_it_from_the_tree(run: Run, project: Path) -> None:
    (project / "lint").mkdir()
    (project / "lint/our_rules.py").write_text(RULE)
    assert codes(run("check", "--format", "json", path=project / "lint")) == ["OURS001"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no rules"),
        ("raise RuntimeError('no\\nluck')", "cannot be imported (RuntimeError: no luck)"),
        ("import sys; sys.exit(0)", "exits when it is imported"),
        ("import nothing_of_the_kind", "cannot be imported (ModuleNotFoundError"),
        (RULE.replace("OURS001", "INI501"), "has the code INI501, and so has initlint_rules.api.std_passed_as_mean"),
        (RULE.replace("small-std", "std-passed-as-mean"), "has the name std-passed-as-mean"),
        (RULE.replace("OURS001", "ours"), "SmallStd is no rule: its code is 'ours'"),
        (RULE.replace("small-std", "Small Std"), "SmallStd is no rule: it has no name"),
        (RULE.replace("Severity.WARNING", "3"), "SmallStd is no rule: it has no severity"),
        (RULE.replace("(SOURCE,)", "()"), "SmallStd is no rule: it does not say what it needs"),
        (RULE.replace("check_call", "check_all"), "SmallStd is no rule: it has no method"),
    ],
)
def test_a_plugin_that_is_none_is_one_line_and_exit_2(run: Run, site: Path, text: str, said: str) -> None:
    (site / "our_rules/__init__.py").write_text(text)
    error = refused(run("check", "--static", path=site))
    assert error.startswith("initlint: error: pyproject.toml: ")
    assert said in error


def test_two_plugins_may_not_share_a_code(run: Run, site: Path, project: Path) -> None:
    (site / "more_rules.py").write_text(RULE)
    (project / "pyproject.toml").write_text('[tool.initlint]\nplugins = ["our_rules", "more_rules"]\n')
    assert "more_rules.SmallStd has the code OURS001, and so has our_rules.small" in refused(
        run("check", "--static", path=site)
    )


def test_no_such_plugin(run: Run) -> None:
    assert "pyproject.toml: there is no plugin 'our_rules' among the installed packages" in refused(
        run("check", "--static")
    )


BROKEN = RULE + textwrap.dedent('''\


    class Unlucky(Rule):
        """Fails on whatever it is shown.

        ## What it does
        Divides by zero.
        """

        code, name, severity = "OURS002", "unlucky", Severity.ERROR
        needs = (SOURCE, "parameters")

        def check_call(self, call):
            yield self.at(call, f"{1 / 0}", help="none")

        def check_layer(self, layer):
            yield self.at(layer, f"{1 / 0}", help="none")
    ''')
TWO_CALLS = MODEL + "    nn.init.zeros_(m.bias)\n"
NET = "class Net(nn.Sequential):\n    def __init__(self):\n        super().__init__(nn.Linear(4, 4), nn.Linear(4, 2))\n"


def test_a_rule_that_fails_takes_nothing_down(run: Run, site: Path, project: Path) -> None:
    """One line on stderr, however often it fails; findings and exit code are those of the other rules."""
    (site / "our_rules/__init__.py").write_text("from our_rules.small import SmallStd, Unlucky\n")
    (site / "our_rules/small.py").write_text(BROKEN)
    (project / "model.py").write_text(f"{TWO_CALLS}\n\n{NET}        self[0].apply(init)\n")
    result = run("check", "--static", "--format", "json", path=site)
    assert (result.code, codes(result)) == (1, ["OURS001"])
    (note,) = [line for line in result.err.splitlines() if "OURS002" in line]
    assert "failed" in note
    assert "ZeroDivisionError: division by zero" in note
    assert "model.py:5" in note
    result = run("check", "--format", "json", "--batch", "8x4", "model.py::Net", path=site)
    report = json.loads(result.out)
    assert result.code == 1
    assert (report["findings"][0]["code"], report["models"][0]["status"]) == ("OURS001", "audited")
    assert len([line for line in result.err.splitlines() if "OURS002" in line]) == 1
