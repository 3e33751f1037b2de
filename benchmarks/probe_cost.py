"""What the live audit costs, in units of the same model's bare forward and backward on the same batch.

    python benchmarks/probe_cost.py [--only conv50 transformer12 resnet50] [--pairs 15] [--clock cpu|wall] [--side 224]

Three models: a 50-layer convolutional net, a 12-layer transformer, torchvision's resnet50 where that is installed.
Of each, in this order:

probe    the pass with the probe's hooks, the median over pairs of a bare and a hooked pass run in turn; at most 1.15,
         and 30 us a hook on top where the bare pass takes less than 300 ms
audit    everything live: recorded build, trace, probe, escape test, leak test, second build; at most 8 bare passes and
         three plain builds, or 3 s
memory   the peak of an audit over that of the bare pass, each in a process of its own; at most 1.2, and one copy of the
         parameters on top

Imports and the start of the process are left out. CPU time (--clock cpu, the default) is what other work on the machine
disturbs least; it is that of all threads together. Exit code 1 if something is above its limit.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from initlint.live.inprocess import audit_inprocess
from initlint.live.probing.probe import Measured, hooked, measure

PROBE, PER_HOOK, LONG = 1.15, 30e-6, 0.3
PASSES, BUILDS, SECONDS = 8, 3, 3.0
MEMORY = 1.2
SAMPLED = (nn.Conv2d, nn.BatchNorm2d, nn.LayerNorm, nn.Linear)
Made = tuple[Callable[[], nn.Module], torch.Tensor]


def conv50(width: int = 64) -> nn.Module:
    stages: list[nn.Module] = [
        nn.Conv2d(3, width, 7, stride=4, padding=3),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    ]
    for i in range(1, 50):
        stages += [
            nn.Conv2d(width, width, 3, stride=2 if i % 16 == 0 else 1, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


def transformer12() -> nn.Module:
    layer = nn.TransformerEncoderLayer(256, 4, 1024, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
    return nn.TransformerEncoder(layer, 12, enable_nested_tensor=False)


def models(side: int) -> dict[str, Made]:
    images = torch.randn(8, 3, side, side)
    found: dict[str, Made] = {
        "conv50": (conv50, images),
        "transformer12": (transformer12, torch.randn(8, 128, 256)),
    }
    if importlib.util.find_spec("torchvision"):
        from torchvision.models import resnet50

        found["resnet50"] = (resnet50, images)
    return found


def once(model: nn.Module, batch: torch.Tensor) -> None:
    model.zero_grad()
    model(batch).square().mean().backward()


def timed(clock: Callable[[], float], run: Callable[[], object]) -> float:
    start = clock()
    run()
    return clock() - start


def probed(model: nn.Module, batch: torch.Tensor) -> Measured:
    names = [name for name, child in model.named_modules() if isinstance(child, SAMPLED)]
    dims = dict.fromkeys(names, 0)
    channels = {name: 1 for name in names if isinstance(model.get_submodule(name), (nn.Conv2d, nn.BatchNorm2d))}
    with hooked(model, names, len(batch), dims, channels) as measured:
        once(model, batch)
    return measured


def peak(name: str, side: int, what: str) -> float:
    """Bytes that a process of its own takes at most, on top of what it has after imports (as Linux counts them)."""
    program = [sys.executable, __file__, "--child", what, "--only", name, "--side", str(side)]
    out = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    return float(json.loads(out))


def child(what: str, made: Made) -> None:
    factory, batch = made
    audit_inprocess(lambda: nn.Linear(4, 4), torch.randn(8, 4), loss=None, device="cpu", seed=0)  # what it imports
    with open("/proc/self/clear_refs", "w") as control:
        control.write("5")  # the peak is counted from here on
    before = resident_peak()
    if what == "bare":
        once(factory(), batch)
    else:
        audit_inprocess(factory, batch, loss=None, device="cpu", seed=0)
    print(json.dumps(resident_peak() - before))


def resident_peak() -> int:
    with open("/proc/self/status") as status:
        return 1024 * int(next(line.split()[1] for line in status if line.startswith("VmHWM")))


def probe_ratio(made: Made, pairs: int, clock: Callable[[], float]) -> tuple[bool, float, str]:
    """Whether it is within its limit, the seconds of a bare pass, and both in words."""
    factory, batch = made
    torch.manual_seed(0)
    model = factory().train()
    once(model, batch)
    calls = sum(map(len, probed(model, batch).samples.values()))
    bare_times, ratios = [], []
    for number in range(pairs):
        times = {}
        for which in (0, 1) if number % 2 else (1, 0):
            times[which] = timed(clock, partial((once, probed)[which], model, batch))
        bare_times.append(times[0])
        ratios.append(times[1] / times[0])
    bare, ratio = statistics.median(bare_times), statistics.median(ratios)
    allowed = PROBE if bare >= LONG else PROBE + PER_HOOK * 2 * calls / bare
    kept = probed(model, batch)
    afterwards = timed(clock, lambda: measure(kept, {}, {}, {}))
    return (
        ratio <= allowed,
        bare,
        f"{ratio:.3f} of at most {allowed:.3f} (median of {pairs} pairs, {min(ratios):.3f} to {max(ratios):.3f}, "
        f"{calls} calls hooked twice), {afterwards:.3f} s of figures afterwards",
    )


def report(name: str, made: Made, pairs: int, clock: Callable[[], float], side: int) -> bool:
    factory, batch = made
    quick, bare, words = probe_ratio(made, pairs, clock)
    build = statistics.median(timed(clock, factory) for _ in range(3))
    parameters = sum(p.numel() * p.element_size() for p in factory().parameters())
    print(f"{name}: bare pass {bare:.3f} s, plain build {build:.3f} s, parameters {parameters / 2**20:.0f} MiB")
    print(f"  probe   {words}")
    audit = min(timed(clock, lambda: audit_inprocess(factory, batch, loss=None, device="cpu", seed=0)) for _ in "ab")
    limit = max(PASSES * bare + BUILDS * build, SECONDS)
    passes = (audit - BUILDS * build) / bare
    print(f"  audit   {audit:.2f} s of at most {limit:.2f} ({passes:.1f} bare passes and {BUILDS} builds)")
    bare_peak, audit_peak = peak(name, side, "bare"), peak(name, side, "audit")
    room = MEMORY * bare_peak + parameters
    print(
        f"  memory  {audit_peak / 2**20:.0f} MiB of at most {room / 2**20:.0f} (bare pass {bare_peak / 2**20:.0f}): "
        f"{(audit_peak - parameters) / bare_peak:.2f} of it, and a copy of the parameters",
        flush=True,
    )
    return quick and audit <= limit and audit_peak <= room


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--clock", choices=["cpu", "wall"], default="cpu")
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--child", choices=["bare", "audit"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.manual_seed(0)
    chosen = {name: made for name, made in models(options.side).items() if not options.only or name in options.only}
    if options.child:
        child(options.child, next(iter(chosen.values())))
        return 0
    clock = time.process_time if options.clock == "cpu" else time.perf_counter
    kept = [report(name, made, options.pairs, clock, options.side) for name, made in chosen.items()]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
