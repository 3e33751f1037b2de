"""Begin a rule: its file, with the sections and examples that the tests ask for, and its row in the registry.

    python tools/new_rule.py INI499 gate-never-opens --family wiring --subject parameter

What it writes registers, loads and documents itself; its bad examples fail until the rule finds them. Begin with those.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RULES = ROOT / "rules"

TEMPLATE = '''\
"""{code} {name}."""

from collections.abc import Iterator

from initlint.facts import {fact}
from initlint.findings import Finding, Severity
from initlint.rule import PARAMETERS, SOURCE, Bad, Good, Rule


class {title}(Rule):
    """One sentence: the flaw, as a reader of the code sees it.

    ## What it does

    What it looks at, and when it speaks.

    ## Why it matters

    What it costs in training, with the source that says so: a paper, torch's documentation, an issue.

    ## Example

        nn.init.zeros_(self.fc.weight)

    ## Use instead

        nn.init.xavier_uniform_(self.fc.weight)

    ## When it is right to do this

    The look-alikes that it leaves alone, each of them a good example below.

    ## Fix safety

    No fix: why not, or what is safe about it.
    """

    code, name, severity = "{code}", "{name}", Severity.WARNING
    needs = (SOURCE, PARAMETERS)
    bad = [
        Bad(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(16, 4)
                    nn.init.zeros_(self.fc.weight)  #~

                def forward(self, x):
                    return self.fc(x)
            """,
            by=("source", "live"),
        ),
        Bad("""
            def init_weights(m):
                nn.init.zeros_(m.weight)  #~
        """),
    ]
    good = [
        Good(
            """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(16, 4)

                def forward(self, x):
                    return self.fc(x)
            """,
            by=("source", "live"),
        ),
        Good("""
            def init_weights(m):
                nn.init.xavier_uniform_(m.weight)
        """),
    ]

    def check_{subject}(self, {subject}: {fact}) -> Iterator[Finding]:
        yield from ()
'''
FACTS = {
    "call": "InitCall",
    "guard": "Guard",
    "incident": "Incident",
    "initializer": "Initializer",
    "klass": "ClassFacts",
    "script": "Script",
    "model": "Model",
    "layer": "Layer",
    "parameter": "Parameter",
    "chain": "Chain",
}


def written(code: str, name: str, family: str, subject: str) -> Path:
    """The new rule's file. Raises ValueError, in a line, for what does not fit the rules that are there."""
    folders = sorted(path.name for path in RULES.iterdir() if (path / "__init__.py").exists())
    registry = RULES / "__init__.py"
    rows = registry.read_text(encoding="utf-8")
    if not re.fullmatch(r"INI\d{3}", code):
        raise ValueError(f"{code} is no code: INI and three digits")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)+", name):
        raise ValueError(f"{name} is no name of a rule: words in lower case, joined by hyphens")
    if family not in folders:
        raise ValueError(f"no family {family}: {', '.join(folders)}")
    if f'"{code}"' in rows or f'"{name}"' in rows:
        raise ValueError(f"{code} or {name} is taken: see rules/__init__.py")
    path = RULES / family / f"{name.replace('-', '_')}.py"
    title = "".join(word.capitalize() for word in name.split("-"))
    path.write_text(
        TEMPLATE.format(code=code, name=name, title=title, subject=subject, fact=FACTS[subject]), encoding="utf-8"
    )
    registry.write_text(
        _registered(rows, f'    _entry("{code}", "{name}", _W, "{family}", "{subject}"),'), encoding="utf-8"
    )
    return path


def _registered(text: str, row: str) -> str:
    """The registry with one more row, in the order of the codes."""
    lines = text.splitlines(keepends=True)
    after = max(at for at, line in enumerate(lines) if line.startswith('    _entry("') and line < row)
    return "".join([*lines[: after + 1], row + "\n", *lines[after + 1 :]])


def main() -> int:
    """Write what the command line asks for; 0, or 2 where it does not fit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("code", help="INI and three digits, not taken yet")
    parser.add_argument("name", help="what is wrong, in lower case: gate-never-opens")
    parser.add_argument("--family", required=True, help="the folder of rules/ that it belongs in")
    parser.add_argument("--subject", required=True, choices=FACTS, help="the kind of fact that it looks at")
    asked = parser.parse_args()
    try:
        path = written(asked.code, asked.name, asked.family, asked.subject)
    except ValueError as error:
        print(f"new_rule.py: {error}", file=sys.stderr)
        return 2
    print(f"{path.relative_to(ROOT)} written, and registered. Its examples: pytest tests/rules -k {asked.code}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
