"""What each rank of a small gloo run does: audits models in pieces, and writes down what it was told.

Started by test_sharded; every case is a function that returns plain data, which goes to ``<directory>/<rank>.json``.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

import initlint
from initlint.engine import judge, registry
from initlint.facts import Model, known
from initlint.live.audit import audit_module
from initlint.live.host import sharded
from initlint.live.host.sharded import OutOfStep
from initlint.live.values import pieces


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.up = nn.Linear(width, 5)
        self.down = nn.Linear(5, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(self.norm(x)).chunk(3, -1)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v))
        return x + self.down(F.gelu(self.up(x)))


class Flawed(nn.Module):
    """Two zero matrices in a row, a matrix that is one row over and over, a scale that explodes, an orthogonal one."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(31, 12)
        self.blocks = nn.ModuleList([Block(12)])
        self.side = nn.Sequential(nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 12))
        self.fold = nn.Linear(12, 7, bias=False)
        self.head = nn.Linear(7, 3)
        for layer in (self.side[0], self.side[2]):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.orthogonal_(self.blocks[0].out.weight)
        nn.init.normal_(self.blocks[0].qkv.weight, std=30.0)
        with torch.no_grad():
            self.fold.weight.copy_(self.fold.weight[:1].clone().expand(7, -1))
        nn.init.constant_(self.head.weight, 0.25)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x)
        return self.head(torch.tanh(self.fold(x + self.side(x))))


IDS = torch.arange(96).reshape(8, 12) * 7 % 31


def findings(said: Any) -> list[Any]:
    return sorted([f.code, f.severity.label, list(f.parameters), f.layer or ""] for f in said)


def figures(model: Model) -> dict[str, Any]:
    """The statistics of every parameter and what it is recognised as, and of every layer what the probe measured."""
    found: dict[str, Any] = {"not run": model.not_run, "largest gradient": model.probe.largest_gradient}
    for parameter in model.parameters:
        facts = parameter.statistics
        found[parameter.name] = [
            facts.count,
            facts.mean,
            facts.std,
            facts.minimum,
            facts.maximum,
            facts.zeros,
            facts.row_spread if known(facts.row_spread) else None,
            str(parameter.measured.family),
            parameter.role,
            [parameter.escape.reached, parameter.escape.received],
        ]
    for layer in model.layers:
        probe = layer.probe
        found["/" + layer.name] = [probe.forward_std, probe.gradient_std] if known(probe) else None
    return found


def looked_at(module: nn.Module, batch: Any) -> list[Any]:
    facts = audit_module(module, batch, name="m", dtype="fp16")
    return [findings(judge([facts], registry())), figures(facts.models[0])]


def shard(net: nn.Module, mesh: Any) -> nn.Module:
    for child in net.blocks:
        fully_shard(child, mesh=mesh)
    fully_shard(net, mesh=mesh)
    return net


def pair(whole: nn.Module, parts: nn.Module, batch: Any) -> dict[str, Any]:
    told = {"parts": looked_at(parts, batch)}
    if dist.get_rank() == 0:
        told["whole"] = looked_at(whole, batch)
    return told


def fsdp(world: int) -> Any:
    return pair(Flawed(), shard(Flawed(), init_device_mesh("cpu", (world,))), IDS)


def hybrid(world: int) -> Any:
    return pair(
        Flawed(), shard(Flawed(), init_device_mesh("cpu", (2, world // 2), mesh_dim_names=("copy", "part"))), IDS
    )


class Wide(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.up, self.down, self.head = nn.Linear(16, 32), nn.Linear(32, 16), nn.Linear(16, 4)
        nn.init.zeros_(self.up.bias)
        for layer in (self.up, self.down):
            nn.init.constant_(layer.weight, 0.25)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x + self.down(F.relu(self.up(x))))


def tensor_parallel(world: int) -> Any:
    mesh = init_device_mesh("cpu", (world,))
    plan = {"up": ColwiseParallel(), "down": RowwiseParallel()}
    return pair(Wide(), parallelize_module(Wide(), mesh, plan), torch.randn(8, 16, generator=torch.manual_seed(3)))


def both(world: int) -> Any:
    """Tensor parallel within, FSDP across."""
    mesh = init_device_mesh("cpu", (2, world // 2), mesh_dim_names=("data", "tensor"))
    net = parallelize_module(Wide(), mesh["tensor"], {"up": ColwiseParallel(), "down": RowwiseParallel()})
    fully_shard(net, mesh=mesh["data"])
    return pair(Wide(), net, torch.randn(8, 16, generator=torch.manual_seed(3)))


def as_it_was(world: int) -> Any:
    """Values, gradients, modes, hooks and generators; and the training step that follows is that without an audit."""

    def step(net: nn.Module) -> float:
        loss = net(IDS).square().mean()
        loss.backward()
        return float(loss.detach())

    audited, other = (shard(Flawed(), init_device_mesh("cpu", (world,))) for _ in range(2))
    audited.eval()
    values = [(p, p.to_local().clone()) for p in audited.parameters()]
    state = torch.get_rng_state()
    hooks = [len(child._forward_hooks) + len(child._forward_pre_hooks) for child in audited.modules()]
    initlint.audit(audited, IDS)
    kept = {
        "values": all(torch.equal(p.to_local(), v) for p, v in values),
        "same tensors": all(p is q for (p, _), q in zip(values, audited.parameters(), strict=True)),
        "gradients": all(p.grad is None for p in audited.parameters()),
        "modes": not any(child.training for child in audited.modules()),
        "generator": torch.equal(state, torch.get_rng_state()),
        "hooks": hooks == [len(child._forward_hooks) + len(child._forward_pre_hooks) for child in audited.modules()],
    }
    kept["step"] = step(audited) == step(other)
    kept["step gradients"] = all(
        torch.equal(p.grad.to_local(), q.grad.to_local())
        for p, q in zip(audited.parameters(), other.parameters(), strict=True)
        if p.grad is not None
    )
    return kept


def each_rank_alone(world: int) -> Any:
    """Every rank has a batch of its own; what it is told is what rank 0 is."""
    net = shard(Flawed(), init_device_mesh("cpu", (world,)))
    report = initlint.audit(net, torch.randint(0, 31, (4 + dist.get_rank(), 12)), seed=dist.get_rank())
    return [findings(report.findings), report.to_dict()["models"]]


def wrong_batch(world: int) -> Any:
    net = shard(Flawed(), init_device_mesh("cpu", (world,)))
    report = initlint.audit(net, torch.randn(4, 12))
    again = initlint.audit(net, IDS)
    return [list(report.failures), list(again.failures), len(again.findings)]


def no_batch(world: int) -> Any:
    report = initlint.audit(shard(Flawed(), init_device_mesh("cpu", (world,))))
    return [findings(report.findings), list(report.notes)]


def stages(world: int) -> Any:
    """Ranks that hold different models."""
    net = nn.Linear(8, 8 + dist.get_rank())
    lies = DTensor.from_local(net.weight.detach(), init_device_mesh("cpu", (world,)), [Replicate()], run_check=False)
    net.weight = nn.Parameter(lies)
    return told_by(lambda: initlint.audit(net, torch.randn(8, 8)))


def unfinished(world: int) -> Any:
    """A parameter that is the sum of what the ranks hold: unknown, and no reason to stop."""
    mesh = init_device_mesh("cpu", (world,))
    net = nn.Linear(8, 8, bias=False)
    net.weight = nn.Parameter(DTensor.from_local(torch.ones(8, 8), mesh, [Partial()], run_check=False))
    model = audit_module(net, torch.randn(8, 8), name="m").models[0]
    return [known(parameter.statistics) for parameter in model.parameters]


def told_by(action: Callable[[], Any]) -> Any:
    try:
        return findings(action().findings)
    except (OutOfStep, TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def wrappers(world: int) -> Any:
    from torch.distributed.fsdp import FullyShardedDataParallel

    batch = torch.randn(8, 16, generator=torch.manual_seed(3))
    ddp = nn.parallel.DistributedDataParallel(Wide())
    flat = FullyShardedDataParallel(Wide(), device_id=torch.device("cpu"))
    report = initlint.audit(ddp, batch)
    alone = initlint.audit(ddp, batch) if dist.get_rank() == 0 else report  # as scripts do that print on one rank
    plain = initlint.audit(Wide(), batch)
    refused = told_by(lambda: initlint.audit(flat, batch))
    return [*(findings(each.findings) for each in (plain, report, alone)), refused]


def large_and_lame(world: int) -> Any:
    """Figures that are merged without the tensor ever being put together, against those of the whole."""
    pieces._GATHERED = 0
    torch.manual_seed(5)
    weight = torch.randn(7, 33) * 0.1 + 3.0
    found = []
    for placements in ([Shard(0)], [Shard(1)], [Replicate()]):
        net = nn.Linear(33, 7, bias=False)
        net.weight = nn.Parameter(distribute_tensor(weight, init_device_mesh("cpu", (world,)), placements))
        found.append(next(audit_module(net, None, name="m").models[0].parameters))
    net = nn.Linear(33, 7, bias=False)
    net.weight = nn.Parameter(weight)
    found.append(next(audit_module(net, None, name="m").models[0].parameters))
    pieces._GATHERED = 1 << 22
    return [
        [p.statistics.count, p.statistics.mean, p.statistics.std, p.statistics.row_spread, p.measured.family]
        for p in found
    ]


CASES = {
    2: [
        fsdp,
        tensor_parallel,
        as_it_was,
        each_rank_alone,
        wrong_batch,
        no_batch,
        stages,
        unfinished,
        wrappers,
        large_and_lame,
    ],
    4: [fsdp, hybrid, both],
}


def work(rank: int, world: int, directory: str) -> None:
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(world)}
    dist.init_process_group("gloo", init_method=f"file://{directory}/meet", rank=rank, world_size=world)
    told = {}
    for case in CASES[world]:
        told[case.__name__] = case(world)
        Path(directory, f"{rank}.json").write_text(json.dumps(told))
    dist.barrier()
    dist.destroy_process_group()


class Breaks(nn.Module):
    """Fails on rank 1 between two collectives that the others wait in."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        if dist.get_rank() == 1:
            raise RuntimeError("out of memory")
        return self.second(x)


def break_alone(rank: int, world: int, directory: str) -> None:
    """Ends as a script under torchrun would, of which nobody waits for the others."""
    sharded._PATIENCE = 1.0
    dist.init_process_group("gloo", init_method=f"file://{directory}/meet", rank=rank, world_size=world)
    net = Breaks()
    for part in (net.first, net.second, net):
        fully_shard(part)
    word = told_by(lambda: initlint.audit(net, torch.randn(8, 8)))
    Path(directory, f"{rank}.json").write_text(json.dumps(word))
    os._exit(1)


if __name__ == "__main__":
    if sys.argv[1] == "alone":
        torch.set_num_threads(1)
        fork = multiprocessing.get_context("fork")
        both_ranks = [fork.Process(target=break_alone, args=(rank, 2, sys.argv[2])) for rank in range(2)]
        for process in both_ranks:
            process.start()
        for process in both_ranks:
            process.join(120)
        sys.exit(any(process.exitcode is None for process in both_ranks))
    ranks = int(sys.argv[1])  # forked, so that torch is imported once
    mp.start_processes(work, (ranks, sys.argv[2]), nprocs=ranks, start_method="fork")
