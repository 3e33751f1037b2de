"""The GitHub action and the GitLab job: each held against its host's schema, and its script run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integrations.conftest import ROOT, Command
from tests.report.test_machine_formats import valid

ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
FLAWED = "import torch.nn as nn\n\n\ndef init_weights(m):\n    nn.init.normal_(m.weight, 0.02)\n"


@pytest.fixture
def project(tmp_path: Path, command: Command) -> Path:
    (tmp_path / "project" / "model.py").write_text(FLAWED)
    return tmp_path / "project"


def follows(schema: str, path: Path) -> None:
    """Hold a file against a schema that check-jsonschema ships."""
    run = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def act(command: Command, project: Path, **inputs: str) -> tuple[int, str, dict[str, str]]:
    """Run the action's last step as GitHub's runner does: exit code, log and outputs."""
    step = ACTION["runs"]["steps"][-1]
    given = {name: each["default"] for name, each in ACTION["inputs"].items()} | inputs
    written = project.parent / "outputs"
    written.write_text("")
    environment = {
        name: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda match: given[match[1]], text)
        for name, text in step["env"].items()
    }
    run = command("bash", "-e", "-o", "pipefail", "-c", step["run"], GITHUB_OUTPUT=str(written), **environment)
    return run.returncode, run.stdout, dict(line.split("=", 1) for line in written.read_text().splitlines())


def test_the_action_is_one_and_puts_no_input_into_a_script() -> None:
    follows("vendor.github-actions", ROOT / "action.yml")
    assert not [step for step in ACTION["runs"]["steps"] if "${{" in step["run"]]
    assert set(ACTION["inputs"]) == {"args", "format", "output", "baseline"}


def test_the_action_annotates_by_default(command: Command, project: Path) -> None:
    code, log, outputs = act(command, project)
    assert (code, outputs) == (1, {})
    ((severity, where, message),) = valid("github", log)
    assert (severity, where["file"], where["line"]) == ("error", "model.py", "5")
    assert "standard deviation" in message


def test_the_action_writes_a_report_and_knows_a_baseline(command: Command, project: Path) -> None:
    code, log, outputs = act(command, project, format="sarif", output="a b.sarif", args="--static model.py")
    assert code == 1
    assert "model.py:5:5: INI501 [error]" in log
    assert outputs == {"report": "a b.sarif"}
    assert len(valid("sarif", (project / "a b.sarif").read_text())["runs"][0]["results"]) == 1
    code, _, _ = act(command, project, baseline="known.json", args="--static . --update-baseline")
    assert code == 0
    code, log, _ = act(command, project, baseline="known.json")
    assert (code, valid("github", log)) == (0, [])


def test_an_input_is_no_command(command: Command, project: Path) -> None:
    act(command, project, args="--static . $(touch made) ; touch made", output="`touch made`")
    assert not (project / "made").exists()


def gitlab_job() -> dict[str, Any]:
    guide = (ROOT / "docs/guide/ci.md").read_text()
    (job,) = (block for block in re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL) if "codequality" in block)
    parsed: dict[str, Any] = yaml.safe_load(job)
    return parsed


def test_the_gitlab_job_of_the_docs_runs(command: Command, project: Path, tmp_path: Path) -> None:
    (tmp_path / "job.yml").write_text(yaml.safe_dump(gitlab_job()))
    follows("vendor.gitlab-ci", tmp_path / "job.yml")
    job = gitlab_job()["initlint"]
    assert job["script"][0].startswith("pip install")
    command("initlint", "check", "--static", ".", "--baseline", "initlint-baseline.json", "--update-baseline")
    (project / "new.py").write_text(FLAWED)
    run = command("sh", "-e", "-c", "\n".join(job["script"][1:]))
    assert run.returncode == 1, run.stdout
    (entry,) = valid("gitlab", (project / job["artifacts"]["reports"]["codequality"]).read_text())
    assert entry["location"]["path"] == "new.py"
    assert json.dumps(entry).count("INI501") == 2
