"""Precision on sound models: audit every model of a zoo and compare with what is known to be wrong in it.

    python benchmarks/zoo.py --zoo DIRECTORY [--jobs N] [--only NAME ...] [--verbose]

DIRECTORY holds ``zoo.py`` (``MODELS``: name -> factory, ``sample(name)`` -> batch) and ``expected_public.csv``
(``name,kind,what``: the models that are not sound). Its own requirements have to be installed beside initlint.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import multiprocessing
import statistics
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any


def load(directory: str) -> Any:
    spec = importlib.util.spec_from_file_location("zoo", Path(directory) / "zoo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["zoo"] = module
    spec.loader.exec_module(module)
    return module


def audit(directory: str, name: str, seed: int) -> dict[str, Any]:
    """One model in a worker: its findings, or how it crashed."""
    import torch

    import initlint

    torch.set_num_threads(1)
    zoo = sys.modules.get("zoo") or load(directory)
    began = time.perf_counter()
    try:
        report = initlint.audit(zoo.MODELS[name], zoo.sample(name), seed=seed)
    except Exception:
        return {"name": name, "crash": traceback.format_exc(), "seconds": time.perf_counter() - began}
    return {
        "name": name,
        "seconds": time.perf_counter() - began,
        "report": report.to_dict(),
        "failures": list(report.failures),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--zoo", required=True)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--verbose", action="store_true", help="print every finding with its evidence")
    parser.add_argument("--json", help="write all reports to this file")
    arguments = parser.parse_args()
    names = arguments.only or sorted(load(arguments.zoo).MODELS)
    with open(Path(arguments.zoo) / "expected_public.csv", newline="") as table:
        expected = {row["name"]: row for row in csv.DictReader(table)}
    results = []
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(arguments.jobs, mp_context=spawn) as pool:
        for result in pool.map(audit, [arguments.zoo] * len(names), names, [arguments.seed] * len(names), chunksize=1):
            results.append(result)
            tell(result, expected, arguments.verbose)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(results))
    return conclude(results, expected)


def tell(result: dict[str, Any], expected: dict[str, Any], verbose: bool) -> None:
    name = result["name"]
    known = f"  [{expected[name]['kind']}]" if name in expected else ""
    if "crash" in result:
        print(f"CRASH {name}: {result['crash'].strip().splitlines()[-1]}", flush=True)
        if verbose:
            print(result["crash"])
        return
    for failure in result["failures"]:
        print(f"NOT RUN {name}: {failure}", flush=True)
    for finding in result["report"]["findings"]:
        print(f"{finding['severity'].upper()} {name}{known}: {finding['code']} {finding['message']}", flush=True)
        if verbose:
            print(f"      at {finding['path']}:{finding['line']} {finding['evidence']} {finding['consequences']}")


def conclude(results: list[dict[str, Any]], expected: dict[str, Any]) -> int:
    crashed = [r["name"] for r in results if "crash" in r]
    not_run = [r["name"] for r in results if r.get("failures")]
    audited = [r for r in results if "report" in r]
    sound = [r for r in audited if r["name"] not in expected]
    by_level: dict[str, list[str]] = {"error": [], "warning": []}
    rules: Counter[tuple[str, str]] = Counter()
    for result in audited:
        levels = {finding["severity"] for finding in result["report"]["findings"]}
        for finding in result["report"]["findings"]:
            rules[finding["code"], finding["severity"]] += 1
        for level, named in by_level.items():
            if level in levels and result["name"] not in expected:
                named.append(result["name"])
    bugs = [name for name, row in expected.items() if row["kind"] == "bug"]
    found = {r["name"] for r in audited if r["report"]["findings"]}
    missed = [name for name in bugs if name in {r["name"] for r in audited} - found]
    seconds = [r["seconds"] for r in results]
    print()
    print(f"{len(results)} models: {len(crashed)} crashed, {len(not_run)} could not be run")
    print(f"seconds a model: median {statistics.median(seconds):.2f}, largest {max(seconds):.1f}")
    for level, names in by_level.items():
        share = len(names) / max(1, len(sound))
        print(f"sound models with {level}s: {len(names)} of {len(sound)} ({share:.1%}) {' '.join(names)}")
    for (code, severity), count in sorted(rules.items()):
        print(f"  {code} {severity}: {count}")
    print(f"known bugs found: {len(bugs) - len(missed)} of {len(bugs)} {' '.join(missed)}")
    return 1 if crashed or by_level["error"] or missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
