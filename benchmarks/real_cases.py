"""Real flaws and real look-alikes: is each flaw found at its line, and does each look-alike stay silent?

    python benchmarks/real_cases.py --corpus DIRECTORY --cases FILE.tsv [--only SLUG ...] [--verbose]

FILE is a table (tabs, a heading) of kind (bad or good), slug, pitfall, repository, path, commit, the first 12 digits
of the SHA-1 of the line in question, stripped, and tags. DIRECTORY holds the repositories as ``owner+name``, or
``owner+name@commit`` where several commits of one are wanted. Each file is checked by itself from the root of its
repository, as its author would, reading only, advice included.

A flaw is found if a finding whose code belongs to its pitfall lies within 3 lines. A look-alike is noisy if any finding
at warning or above lies there, or one, whatever its severity, that names its pitfall. Rows tagged raises,
soft/contested or needs-context are flaws or look-alikes with a reservation (it raises at once; opinions differ; other
files of the project decide) and stand apart in the table; a soft/contested flaw is not counted as decidable, nor is one
in ``UNDECIDABLE``, which has the reason. Exit code 1 if under 90% of the decidable flaws are found, or a look-alike is
noisy.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import initlint

NEAR = 3
ENOUGH = 0.9

CODES = {
    "a": ("INI109", "INI501"),
    "b": ("INI106", "INI107"),
    "c": ("INI401", "INI402", "INI408", "INI414"),
    "d": ("INI403",),
    "e": ("INI406",),
    "f": ("INI405",),
    "g": ("INI104", "INI301", "INI413", "INI418"),
    "h": ("INI504",),
    "i": ("INI502", "INI505", "INI506"),
    "j": ("INI201", "INI202", "INI205"),
    "k": ("INI206",),
    "l": ("INI503", "INI512"),
    "m": ("INI509", "INI510", "INI513"),
    "n": ("INI101", "INI102"),
    "o": ("INI305",),
    "p": ("INI203", "INI213"),
    "p/lora-b-not-zero": ("INI415",),
    "q": ("INI108", "INI303"),
    "r": ("INI601", "INI602", "INI604"),
    "s": ("INI302", "INI304", "INI307"),
    "s/bias-left-default": ("INI302", "INI416"),
    "t": ("INI411", "INI412"),
    "u": ("INI110",),
    "v": ("INI206", "INI212"),
    "x": ("INI404", "INI416", "INI417"),
    "x/no-such-init": ("INI511",),
}
"""The codes that speak of a pitfall: by its full name, else by its letter."""


UNDECIDABLE = {
    "085_deepctr_linear_parameter_to": "Parameter(...).to(device), device 'cpu' unless the caller says otherwise: on "
    "the CPU .to returns the Parameter itself, and only who runs it on a GPU loses it",
    "091_floodforecast_forget_bias_l0": "writes bias_hh_l0 of LSTMs that callers hand over: all that the project makes "
    "have one layer and one direction, so that no other bias is left out",
}
"""Flaws that the source of the project does not decide, and why."""


class Verdict(NamedTuple):
    """One row judged: the findings near its line, those of them that count, and the other warnings of the file."""

    row: dict[str, str]
    lines: list[int]
    near: list[dict[str, Any]]
    hits: list[dict[str, Any]]
    elsewhere: list[dict[str, Any]]
    seconds: float
    problem: str = ""

    @property
    def bad(self) -> bool:
        return self.row["kind"] == "bad"

    @property
    def ok(self) -> bool:
        return not self.problem and (bool(self.hits) if self.bad else not self.hits)


def expected(pitfall: str) -> set[str]:
    """The codes of a pitfall, or of several joined by a plus sign."""
    return {code for part in pitfall.split("+") for code in CODES.get(part) or CODES[part[0]]}


def lines_of(file: Path, digest: str) -> list[int]:
    """The lines whose stripped bytes have that digest, 1-based."""
    lines = file.read_bytes().splitlines()
    return [n for n, line in enumerate(lines, 1) if hashlib.sha1(line.strip()).hexdigest().startswith(digest)]


def judged(row: dict[str, str], corpus: Path) -> Verdict:
    """Check the file that a row names."""
    name = row["repo"].replace("/", "+")
    home = next((path for path in (corpus / f"{name}@{row['commit']}", corpus / name) if path.is_dir()), None)
    if home is None or not (home / row["path"]).is_file():
        return Verdict(row, [], [], [], [], 0, "not in the corpus")
    lines = lines_of(home / row["path"], row["sha1_of_the_stripped_line"])
    if not lines:
        return Verdict(row, [], [], [], [], 0, "the line is not in the file")
    os.chdir(home)
    started = time.perf_counter()
    report = initlint.check([row["path"]], static=True, advice=True)
    seconds = time.perf_counter() - started
    findings = report.to_dict()["findings"]

    def is_near(finding: dict[str, Any]) -> bool:
        last = max(finding["line"], (finding["end_line"] or 1) - (finding["end_column"] == 1))
        return any(finding["line"] - NEAR <= line <= last + NEAR for line in lines)

    near = [finding for finding in findings if finding["line"] and is_near(finding)]
    codes = expected(row["pitfall"])
    hits = [
        finding
        for finding in near
        if finding["code"] in codes or (row["kind"] == "good" and finding["severity"] != "advice")
    ]
    elsewhere = [finding for finding in findings if finding not in near and finding["severity"] != "advice"]
    return Verdict(row, lines, near, hits, elsewhere, seconds, "; ".join(report.failures))


def told(verdict: Verdict) -> str:
    """One line of the table."""
    where = f"{verdict.row['repo']}/{verdict.row['path']}:{','.join(map(str, verdict.lines))}"
    said = " ".join(f"{finding['code']}:{finding['line']}" for finding in verdict.hits)
    others = sorted({finding["code"] for finding in verdict.near if finding not in verdict.hits})
    word = ("found " if verdict.bad else "silent") if verdict.ok else ("MISSED" if verdict.bad else "NOISY ")
    aside = f" (also {' '.join(others)})" if others else ""
    head = f"{word} {verdict.row['slug']:<40} {verdict.row['pitfall']:<38} {said or verdict.problem or '-'}{aside}"
    why = UNDECIDABLE.get(verdict.row["slug"])
    reason = f"\n{'':7}not decided by the source: {why}" if why else ""
    return f"{head}\n{'':7}{where}  {verdict.seconds:.2f} s{reason}"


def ratio(name: str, verdicts: list[Verdict]) -> float:
    """Print how many are as they should be; returns the share."""
    right = sum(verdict.ok for verdict in verdicts)
    share = right / len(verdicts) if verdicts else 1.0
    print(f"{name}: {right}/{len(verdicts)} = {share:.0%}")
    return share


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True, type=Path)
    parser.add_argument("--cases", required=True, type=Path)
    parser.add_argument("--only", nargs="*", metavar="SLUG", help="rows whose slug contains one of these")
    parser.add_argument("--verbose", action="store_true", help="every finding near the line, and those elsewhere")
    options = parser.parse_args()
    with options.cases.open(newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    if options.only:
        rows = [row for row in rows if any(part in row["slug"] for part in options.only)]
    corpus = options.corpus.resolve()
    verdicts = [judged(row, corpus) for row in rows]
    for kind, title in (("bad", "flaws"), ("good", "look-alikes")):
        for tagged in (False, True):
            part = [v for v in verdicts if v.row["kind"] == kind and bool(v.row["tags"]) == tagged]
            if part:
                print(f"\n{title}{', with a reservation' if tagged else ''}")
            for verdict in part:
                print(told(verdict) + (f"  [{verdict.row['tags']}]" if tagged else ""))
                if options.verbose:
                    for label, findings in (("near", verdict.near), ("elsewhere", verdict.elsewhere)):
                        for finding in findings:
                            print(f"{'':9}{label} {finding['line']}: {finding['code']} {finding['message']}")
    print()
    decidable = [
        v for v in verdicts if v.bad and "soft/contested" not in v.row["tags"] and v.row["slug"] not in UNDECIDABLE
    ]
    good = [v for v in verdicts if not v.bad]
    found = ratio("found, of the flaws that are decidable", decidable)
    ratio("found, of all flaws", [v for v in verdicts if v.bad])
    silent = ratio("silent, of all look-alikes", good)
    return 0 if found >= ENOUGH and silent == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
