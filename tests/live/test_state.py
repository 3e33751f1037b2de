"""After an audit everything is as it was."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from initlint.facts import absent, known
from initlint.live.audit import audit_module
from initlint.live.host.state import preserved

pytestmark = pytest.mark.torch


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        self.steps = self.steps + 1  # rebinds the buffer
        self.last = ids
        return self.head(self.drop(self.norm(self.embed(ids).mean(1))))


def old_weight_norm() -> nn.Module:
    return nn.Sequential(torch.nn.utils.weight_norm(nn.Linear(8, 8)), nn.ReLU(), nn.Linear(8, 2))


def new_weight_norm() -> nn.Module:
    return nn.Sequential(torch.nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)), nn.ReLU(), nn.Linear(8, 2))


def spectral() -> nn.Module:
    return nn.Sequential(torch.nn.utils.parametrizations.spectral_norm(nn.Linear(8, 8)), nn.ReLU(), nn.Linear(8, 2))


CASES = [
    (Tied, torch.randint(0, 11, (4, 5))),
    (old_weight_norm, torch.randn(4, 8)),
    (new_weight_norm, torch.randn(4, 8)),
    (spectral, torch.randn(4, 8)),
    (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True)), torch.randn(2, 3, 8, 8)),
]


def picture(module: nn.Module) -> dict[str, object]:
    """Everything that must be the same."""
    tensors = {
        name: (id(t), t.detach().clone(), t.requires_grad) for name, t in module.state_dict(keep_vars=True).items()
    }
    gradients = {name: (None if p.grad is None else p.grad.clone()) for name, p in module.named_parameters()}
    modes = {name: child.training for name, child in module.named_modules()}
    attributes = {name: sorted(child.__dict__) for name, child in module.named_modules()}
    hooks = {
        name: [len(child._forward_hooks), len(child._forward_pre_hooks), len(child._backward_hooks)]
        for name, child in module.named_modules()
    }
    return {"tensors": tensors, "gradients": gradients, "modes": modes, "attributes": attributes, "hooks": hooks}


def same(a: object, b: object) -> bool:
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def generators() -> tuple[object, ...]:
    return torch.get_rng_state(), random.getstate(), tuple(np.random.get_state()[1].tolist())


@pytest.mark.parametrize(("build", "batch"), CASES)
def test_an_audit_leaves_no_trace(build: type[nn.Module], batch: torch.Tensor) -> None:
    module = build()
    module.eval()
    next(module.children()).train()
    first = next(module.parameters())
    first.grad = torch.full_like(first, 3.0)
    before, random_before = picture(module), generators()
    model = audit_module(module, batch, name="m").models[0]
    assert absent(model.not_run)
    assert same(picture(module), before)
    assert same(generators(), random_before)
    assert torch.backends.mha.get_fastpath_enabled()


def test_an_exception_in_the_middle_leaves_no_trace() -> None:
    module = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8))
    before = picture(module)

    def spoil() -> None:
        with preserved(module), torch.no_grad():
            module.train()
            module[0].weight.add_(1)
            module[0].weight.data = torch.zeros(2, 2)
            module[1].running_mean = torch.ones(8)
            module[0].bias.requires_grad_(False)
            module[0].register_forward_hook(lambda *_: None)
            module[0].note = "left behind"
            torch.manual_seed(5)
            raise RuntimeError

    random_before = generators()
    with pytest.raises(RuntimeError):
        spoil()
    assert same(picture(module), before)
    assert same(generators(), random_before)


class Meddles(nn.Module):
    """Turns every switch there is, and then fails, in the pass that is asked for."""

    def __init__(self, last: int) -> None:
        super().__init__()
        self.fc = torch.nn.utils.parametrizations.weight_norm(nn.Linear(8, 8))
        self.norm = nn.BatchNorm1d(8)
        self.last = last
        self.passes: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.passes.append(1)
        self.register_forward_hook(lambda *_: None)
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False
        torch.backends.cudnn.benchmark = True
        torch.backends.mha.set_fastpath_enabled(False)
        torch.manual_seed(1)
        random.seed(1)
        np.random.seed(1)
        if len(self.passes) >= self.last:
            torch.set_grad_enabled(False)
            raise RuntimeError("here")
        return self.norm(self.fc(x))


def switches() -> tuple[object, ...]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,
        torch.backends.cudnn.benchmark,
        torch.backends.mha.get_fastpath_enabled(),
        torch.is_grad_enabled(),
    )


@pytest.mark.parametrize(("last", "runs"), [(1, False), (3, False), (4, True), (1000, True)])  # 4: all but eval mode
def test_a_model_that_meddles_and_fails_leaves_no_trace(last: int, runs: bool) -> None:
    module = Meddles(last).eval()
    module.fc.bias.grad = torch.ones(8)
    batch = torch.randn(8, 8)
    before, random_before, set_before = picture(module), generators(), switches()
    model = audit_module(module, batch, name="m").models[0]
    assert absent(model.not_run) == runs
    assert same(picture(module), before)
    assert same(generators(), random_before)
    assert switches() == set_before


def test_an_untouched_parameter_keeps_its_version() -> None:
    module = nn.Linear(3, 3)
    version = module.weight._version
    with preserved(module):
        pass
    assert module.weight._version == version


def test_a_scripted_module_keeps_its_values() -> None:
    module = torch.jit.script(nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU()))
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    model = audit_module(module, torch.randn(8, 8), name="m").models[0]
    assert absent(model.not_run)
    assert same(dict(module.state_dict()), before)


def test_a_scripted_module_may_end_in_a_layer() -> None:
    module = torch.jit.script(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)))
    assert absent(audit_module(module, torch.randn(8, 8), name="m").models[0].not_run)


class Graph(nn.Module):
    def __init__(self, layout: torch.layout, *, scales: bool) -> None:
        super().__init__()
        self.register_buffer("edges", torch.eye(16).to_sparse(layout=layout))
        self.fc = nn.Linear(16, 16)
        self.out = nn.Linear(16, 4)
        self.scales = scales

    def forward(self, x: torch.Tensor, edges: torch.Tensor | None = None) -> torch.Tensor:
        if self.scales:
            self.edges.mul_(2)
        return self.out(torch.relu((self.edges if edges is None else edges) @ self.fc(x)))


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
@pytest.mark.parametrize("scales", [False, True])
def test_a_sparse_buffer_is_put_back(layout: torch.layout, scales: bool) -> None:
    module = Graph(layout, scales=scales).eval()
    module.fc.weight.grad = torch.full((16, 16), 3.0)
    model = audit_module(module, torch.randn(16, 16), name="m").models[0]
    assert absent(model.not_run)
    assert torch.equal(module.edges.to_dense(), torch.eye(16))
    assert module.fc.weight.grad.eq(3).all()
    assert not module.fc.training


def test_a_graph_may_be_given_as_sparse_edges() -> None:
    nodes = 4  # too few for a batch
    batch = (torch.randn(nodes, 16), torch.eye(nodes).to_sparse())
    assert absent(audit_module(Graph(torch.sparse_coo, scales=False), batch, name="m").models[0].not_run)


def test_what_cannot_be_put_back_stops_nothing_else() -> None:
    with torch.inference_mode():
        module = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8)).eval()

    def spoil() -> None:
        with preserved(module):
            module.train()
            with torch.inference_mode():
                module[0].weight.add_(1)  # which nobody outside may write to

    with pytest.raises(RuntimeError, match="inference"):
        spoil()
    assert not module[0].training


def test_a_module_without_values_is_said() -> None:
    model = audit_module(nn.Linear(8, 8, device="meta"), torch.randn(8, 8), name="m").models[0]
    assert "meta" in model.not_run


def test_lazy_parameters_are_refused_and_said() -> None:
    module = nn.Sequential(nn.LazyLinear(4), nn.ReLU())
    with pytest.raises(ValueError, match="lazy"), preserved(module):
        pass
    model = audit_module(module, torch.randn(8, 3), name="m").models[0]
    assert "lazy" in model.not_run
    assert not known(model.probe)
    assert isinstance(module[0], nn.LazyLinear)


def test_low_precision_is_audited_too() -> None:
    module = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)).to(torch.bfloat16)
    model = audit_module(module, torch.randn(8, 8, dtype=torch.bfloat16), name="m").models[0]
    assert model.probe.dtype == "bfloat16"
    assert all(p.escape.received for p in model.parameters)
    assert model.layers[0].probe.forward_std > 0.1


def test_eight_bit_weights_are_measured() -> None:
    class Narrow(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(32, 32, bias=False)
            self.fc.weight = nn.Parameter(self.fc.weight.detach().to(torch.float8_e4m3fn), requires_grad=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.linear(x, self.fc.weight.float())

    (weight,) = audit_module(Narrow(), torch.randn(8, 32), name="m").models[0].parameters
    assert 0.08 < weight.statistics.std < 0.12
