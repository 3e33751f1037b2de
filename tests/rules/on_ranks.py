"""Builds and audits the rules' examples that need several processes, in two of them; writes down rank 0's facts."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from initlint import wire
from initlint.live.inprocess import audit_inprocess

from .harness import examples, snippet


def work(rank: int, directory: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{directory}/meet", rank=rank, world_size=2)
    for kind in ("bad", "good"):
        for code, number, example in examples(kind, "ranks"):
            name = f"{code}-{kind}-{number}"
            path = Path(directory, str(rank), name)
            path.mkdir(parents=True)
            (path / "snippet.py").write_text(snippet(example))
            spec = importlib.util.spec_from_file_location("snippet", path / "snippet.py")
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules["snippet"] = module
            spec.loader.exec_module(module)
            (facts,), _ = audit_inprocess(module.build, None, loss=None, device=None, seed=0)
            if rank == 0:
                Path(directory, f"{name}.json").write_text(wire.dumps(facts))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    mp.start_processes(work, (sys.argv[1],), nprocs=2, start_method="fork")
