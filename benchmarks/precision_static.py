"""What the static check says of real code bases, as rows to be judged, and held against what was judged.

    python benchmarks/precision_static.py NAME=DIRECTORY [NAME=DIRECTORY ...] [--judged precision_static.md] [--source]

Each directory is a code base as it lies in its wheel or source distribution; it is read from its own root with the
default rules. Every finding at warning or above is one row: its id (the first 8 digits of a digest of code, path and
line of text, which survives moved lines), code base, code, severity, place and message. ``--judged`` names a table in
Markdown whose rows hold such an id and a verdict (true, false or arguable): printed are then the findings that are not
in it and the verdicts that no finding bears out any more, and the precision of what is left. ``--source`` prints the
lines around each finding that is not judged yet.

Exit code 1 with ``--judged`` if a finding is not judged, or fewer than 95% of errors or 90% of warnings are true
(arguable ones count as false).
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import initlint

ENOUGH = {"error": 0.95, "warning": 0.90}
_ROW = re.compile(r"^\|\s*([0-9a-f]{8})\s*\|.*\|\s*(true|false|arguable)\s*\|", re.MULTILINE)


def findings_of(name: str, directory: Path) -> tuple[list[dict[str, Any]], str]:
    """The findings of one code base at warning and above, and a line on the run."""
    os.chdir(directory)
    started = time.perf_counter()
    report = initlint.check(["."], static=True, config=[])
    seconds = time.perf_counter() - started
    found = [finding for finding in report.to_dict()["findings"] if finding["severity"] != "advice"]
    for finding in found:
        finding["base"] = name
        finding["id"] = finding["fingerprint"][:8]
    broken = [note for note in report.notes if "please report" in note]
    count = Counter(finding["severity"] for finding in found)
    line = (
        f"{name}: {report.summary.files} files, {count['error']} errors, {count['warning']} warnings, {seconds:.1f} s"
    )
    return found, "\n".join([line, *broken])


def row(finding: dict[str, Any]) -> str:
    """One line of the table."""
    message = finding["message"].replace("|", "\\|")
    place = f"{finding['path']}:{finding['line']}"
    return f"| {finding['id']} | {finding['base']} | {finding['code']} | {finding['severity']} | {place} | {message} |"


def excerpt(finding: dict[str, Any], directory: Path, around: int = 12) -> str:
    """The lines around a finding."""
    lines = (directory / finding["path"]).read_text(errors="replace").splitlines()
    first = max(finding["line"] - around, 1)
    shown = enumerate(lines[first - 1 : finding["line"] + around], first)
    return "\n".join(f"{'>' if number == finding['line'] else ' '} {number:5} {line}" for number, line in shown)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bases", nargs="+", metavar="NAME=DIRECTORY")
    parser.add_argument("--judged", type=Path, help="the table of verdicts")
    parser.add_argument("--source", action="store_true", help="show the lines around what is not judged")
    options = parser.parse_args()
    verdicts = dict(_ROW.findall(options.judged.read_text())) if options.judged else {}
    directories = {name: Path(path).resolve() for name, _, path in (base.partition("=") for base in options.bases)}
    found: list[dict[str, Any]] = []
    for name, directory in directories.items():
        some, line = findings_of(name, directory)
        found += some
        print(line, file=sys.stderr)
    new = [finding for finding in found if finding["id"] not in verdicts]
    for finding in new:
        print(row(finding))
        if options.source:
            print(excerpt(finding, directories[finding["base"]]) + "\n")
    if not options.judged:
        return 0
    gone = sorted(set(verdicts) - {finding["id"] for finding in found})
    print(
        f"\n{len(new)} not judged; judged and not found (any more, or in these code bases): {' '.join(gone) or 'none'}"
    )
    enough = not new
    for severity, least in ENOUGH.items():
        count = Counter(verdicts[f["id"]] for f in found if f["severity"] == severity and f["id"] in verdicts)
        total = sum(count.values())
        share = count["true"] / total if total else 1.0
        print(f"{severity}s: {count['true']} of {total} true ({share:.0%}), {count['arguable']} arguable")
        enough = enough and share >= least
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
