"""Precision on sound models: audit every model of a zoo and compare with what is known to be wrong in it.

    python benchmarks/zoo.py --zoo DIRECTORY [--jobs N] [--only NAME ...] [--part I/N] [--verbose]
    python benchmarks/zoo.py --zoo DIRECTORY --vary [--seconds S] [--only ...]

With ``--vary`` each model is audited with other seeds and batch sizes as well, and what is counted is how often the
verdict hangs on them: the set of codes that are a warning or an error, and whether the model passes. Models come in the
order in which ``--only`` names them; after ``--seconds`` no further one is begun.

DIRECTORY holds ``zoo.py`` (``MODELS``: name -> factory, ``sample(name)`` -> batch) and ``expected_public.csv``
(``name,kind,what``: the models that are not sound). Its own requirements have to be installed beside initlint.
"""

from __future__ import annotations

import argparse
import csv
import functools
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


@functools.cache
def load(directory: str) -> Any:
    """The module ``zoo.py`` of a directory, under a name that is not this script's."""
    spec = importlib.util.spec_from_file_location("zoo_of_models", Path(directory) / "zoo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["zoo_of_models"] = module
    spec.loader.exec_module(module)
    return module


VARIATIONS: tuple[tuple[int, int | None], ...] = ((0, None), (1, None), (2, None), (0, 2), (0, 8))
"""Seed and batch size (None: as many as the sample has) of the runs whose verdicts are compared with the first's."""


def resized(batch: Any, size: int) -> Any:
    """The batch with as many samples, drawn anew around those given where they are too few; None if it has no size."""
    import torch

    from initlint.live.batches.batch import as_batch
    from initlint.live.batches.variation import batch_size, take, tiled, varied

    whole = as_batch(batch)
    given = batch_size(whole.args, whole.kwargs)
    if given is None:
        return None
    torch.manual_seed(0)
    args, kwargs = whole.args, dict(whole.kwargs)
    if given < size:
        args, kwargs = varied(tiled((args, kwargs), -(-size // given)))
    return take(args, size), take(kwargs, size)


def audit(directory: str, name: str, seed: int, size: int | None = None) -> dict[str, Any]:
    """One model in a worker: its findings, or how it crashed."""
    import torch

    import initlint

    torch.set_num_threads(1)
    zoo = load(directory)
    began = time.perf_counter()
    try:
        batch = zoo.sample(name)
        if size is not None and (batch := resized(batch, size)) is None:
            return {"name": name, "unsized": True, "seconds": 0.0}
        report = initlint.audit(zoo.MODELS[name], batch, seed=seed)
    except Exception:
        return {"name": name, "crash": traceback.format_exc(), "seconds": time.perf_counter() - began}
    return {
        "name": name,
        "seconds": time.perf_counter() - began,
        "report": report.to_dict(),
        "failures": list(report.failures),
    }


def audit_varied(directory: str, name: str, until: float) -> list[dict[str, Any]] | None:
    """One model in a worker, once for each of ``VARIATIONS``; None where the clock says ``until`` already."""
    return None if time.time() >= until else [audit(directory, name, *variation) for variation in VARIATIONS]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--zoo", required=True)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--part", default="1/1", help="only every N-th model, from the I-th on")
    parser.add_argument("--vary", action="store_true", help="audit with other seeds and batch sizes too, and compare")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="with --vary: begin no model after so long")
    parser.add_argument("--verbose", action="store_true", help="print every finding with its evidence")
    parser.add_argument("--json", help="write all reports to this file")
    arguments = parser.parse_args()
    part, parts = map(int, arguments.part.split("/"))
    names = (arguments.only or sorted(load(arguments.zoo).MODELS))[part - 1 :: parts]
    with open(Path(arguments.zoo) / "expected_public.csv", newline="") as table:
        expected = {row["name"]: row for row in csv.DictReader(table)}
    if arguments.vary:
        return vary(arguments, names)
    results = []
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(arguments.jobs, mp_context=spawn) as pool:
        for result in pool.map(audit, [arguments.zoo] * len(names), names, [arguments.seed] * len(names), chunksize=1):
            results.append(result)
            tell(result, expected, arguments.verbose)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(results))
    return conclude(results, expected)


def vary(arguments: argparse.Namespace, names: list[str]) -> int:
    """Print the models whose verdict is another with another seed or batch size; 1 if they are more than 1%."""
    until = time.time() + arguments.seconds
    spawn = multiprocessing.get_context("spawn")
    every: dict[str, Verdicts] = {}
    with ProcessPoolExecutor(arguments.jobs, mp_context=spawn) as pool:
        asked = [arguments.zoo] * len(names), names, [until] * len(names)
        for name, results in zip(names, pool.map(audit_varied, *asked, chunksize=1), strict=True):
            if results is not None:
                every[name] = _taken({key: verdict(each) for key, each in zip(VARIATIONS, results, strict=True)})
                tell_changes(name, every[name], arguments.verbose)
    changed = [name for name, verdicts in every.items() if changes(verdicts)]
    turned = [name for name in changed if len({_passes(v) for v in every[name].values() if v is not None}) > 1]
    share = len(changed) / max(1, len(every))
    print(f"\n{len(every)} of {len(names)} models run, {len(VARIATIONS)} times each")
    print(f"the codes change on {len(changed)} ({share:.1%}); of these {len(turned)} pass once and fail once")
    for variation in VARIATIONS[1:]:
        of_it = [name for name in changed if variation in changes(every[name])]
        tried = sum(verdicts[variation] is not None for verdicts in every.values())
        print(f"  seed {variation[0]}, batch {variation[1] or 'as it is'}: {len(of_it)} of {tried}")
    return 1 if share > 0.01 else 0


Verdicts = dict[tuple[int, int | None], set[str] | None]
"""By variation: what was said; None where there was no such run."""


def verdict(result: dict[str, Any]) -> set[str] | None:
    """The codes that are a warning or an error, or that it crashed or was not run; None where there was no such run."""
    if "unsized" in result:
        return None
    if "crash" in result:
        return {"crash: " + result["crash"].strip().splitlines()[-1]}
    findings = [f for f in result["report"]["findings"] if f["severity"] != "advice"]
    return {f["code"] for f in findings} | {"not run" for _ in result["failures"]}


def _taken(verdicts: Verdicts) -> Verdicts:
    """Without the runs on another number of samples that the model does not take (a graph's nodes, say)."""
    base = verdicts[VARIATIONS[0]] or set()
    return {
        key: None if key[1] is not None and "not run" in (said or ()) and "not run" not in base else said
        for key, said in verdicts.items()
    }


def _passes(said: set[str]) -> bool:
    """Whether ``initlint check`` would exit 0, since it fails on warnings."""
    return not said


def changes(verdicts: Verdicts) -> dict[tuple[int, int | None], set[str]]:
    """What the variations say otherwise than the first run."""
    base = verdicts[VARIATIONS[0]] or set()
    return {key: said ^ base for key, said in verdicts.items() if said is not None and said != base}


def tell_changes(name: str, verdicts: Verdicts, verbose: bool) -> None:
    base = verdicts[VARIATIONS[0]] or set()
    if verbose:
        print(f"{name}: {', '.join(sorted(base)) or 'nothing'}", flush=True)
    for (seed, size), said in changes(verdicts).items():
        signs = [f"{'-' if code in base else '+'} {code}" for code in sorted(said)]
        print(f"{name}: seed {seed}, batch {size or 'as it is'}: {', '.join(signs)}", flush=True)


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
