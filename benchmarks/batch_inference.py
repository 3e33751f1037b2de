"""How often a batch is inferred: each model of a zoo is built and given none, and what is found is tried on it.

    python benchmarks/batch_inference.py --zoo DIRECTORY [--jobs N] [--only NAME ...]

DIRECTORY holds ``zoo.py`` as for zoo.py here. Prints a line for each model that gets no batch, with the reason and the
batch that it should have had, and the share of those that get one.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from zoo import load


def attempt(directory: str, name: str) -> dict[str, Any]:
    """One model in a worker: the batch that was inferred, or why there is none."""
    import torch

    from initlint.live.batches.batch import as_batch
    from initlint.live.batches.inference import infer
    from initlint.live.host.state import preserved

    torch.set_num_threads(1)
    zoo = load(directory)
    torch.manual_seed(0)
    made = zoo.MODELS[name]()
    model = made[0] if isinstance(made, tuple) else made
    result: dict[str, Any] = {"name": name, "package": type(model).__module__.partition(".")[0]}
    try:
        result["real"] = as_batch(zoo.sample(name)).description
    except Exception as error:
        result["real"] = type(error).__name__
    began = time.perf_counter()
    try:
        with preserved(model):
            model.train()
            result["batch"] = infer(model).description or "no input"
    except Exception as error:
        result["failure"] = f"{type(error).__name__}: {error}"
    return {**result, "seconds": time.perf_counter() - began}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--zoo", required=True)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--verbose", action="store_true", help="print what was inferred too")
    arguments = parser.parse_args()
    names = arguments.only or sorted(load(arguments.zoo).MODELS)
    results = []
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(arguments.jobs, mp_context=spawn) as pool:
        for result in pool.map(attempt, [arguments.zoo] * len(names), names, chunksize=1):
            results.append(result)
            if "failure" in result:
                print(f"NONE {result['name']} ({result['real']}): {result['failure']}", flush=True)
            elif arguments.verbose:
                print(f"{result['name']} ({result['real']}): {result['batch']} {result['seconds']:.1f} s", flush=True)
    packages: defaultdict[str, list[bool]] = defaultdict(list)
    for result in results:
        packages[result["package"]].append("batch" in result)
    seconds = [result["seconds"] for result in results]
    inferred = sum("batch" in result for result in results)
    print(f"\n{inferred} of {len(results)} models get a batch ({inferred / len(results):.1%})")
    for package, got in sorted(packages.items(), key=lambda item: -len(item[1])):
        print(f"  {package}: {sum(got)} of {len(got)}")
    print(f"seconds a model: median {statistics.median(seconds):.2f}, largest {max(seconds):.1f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
