"""Models of two layers, and how Lightning trains them: imported by the tests that run, for it takes seconds."""

from __future__ import annotations

import random
from typing import Any

import lightning.pytorch as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from initlint.integrations.lightning import InitAudit

__all__ = ["InitAudit", "Manual", "Net", "Odd", "Stepping", "loader", "named", "pl", "trained", "trainer"]


class Net(pl.LightningModule):
    """A classifier that keeps a diary of its training."""

    def __init__(self, value: float | None = None) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Linear(16, 4)
        self.drop = nn.Dropout(0.5)
        if value is not None:
            nn.init.constant_(self.first.weight, value)
            nn.init.constant_(self.last.weight, value)
        self.diary: list[list[float]] = []
        self.outputs: dict[str, list[Any]] = {"losses": []}
        self.steps = torch.zeros(())

    def forward(self, x: Any) -> Any:
        return self.last(self.drop(torch.relu(self.norm(self.first(x)))))

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        x, y = batch
        loss = nn.functional.cross_entropy(self(x), y)
        self.log("loss", loss)
        if self.logger is not None:
            self.logger.log_metrics({"direct": 1.0})
        self.steps += 1
        self.outputs["losses"].append(loss.detach())
        self.diary.append([float(x.sum()), random.random(), float(loss)])
        return {"loss": loss}

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), 0.1)


class Logger(pl.loggers.logger.DummyLogger):
    """Remembers what was logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[Any] = []

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        self.lines.append((dict(metrics), step))


def loader(seed: int | None = None, workers: int = 0) -> Any:
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    features = torch.randn(64, 8, generator=torch.Generator().manual_seed(1))
    data = TensorDataset(features, (features[:, 0] > 0).long() + 2 * (features[:, 1] > 0).long())
    return DataLoader(data, 16, shuffle=True, generator=generator, num_workers=workers)


class Manual(Net):
    """Steps by itself, and takes its batch by name."""

    def __init__(self, value: float | None = None) -> None:
        super().__init__(value)
        self.automatic_optimization = False

    def training_step(self, batch: Any) -> None:
        optimizer = self.optimizers()
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self(batch["x"]), batch["y"])
        self.manual_backward(loss)
        optimizer.step()


class Stepping(Net):
    """Moves its schedule along in a training_step that is otherwise automatic."""

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        self.lr_schedulers().step()
        return super().training_step(batch, batch_idx)

    def configure_optimizers(self) -> Any:
        optimizer = super().configure_optimizers()
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]


def named() -> Any:
    return DataLoader([{"x": torch.randn(8), "y": torch.tensor(index % 4)} for index in range(16)], 8)


class Odd(Net):
    """Runs in a training and not in an audit."""

    def forward(self, x: Any) -> Any:
        if torch.is_grad_enabled() and not self.diary and x.shape[0] != 16:
            return super().forward(x)
        if self.trainer.callbacks[0].report is None:
            raise RuntimeError("not yet")
        return super().forward(x)


def trainer(*callbacks: Any, logger: Any = False, **more: Any) -> Any:
    plain = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    return pl.Trainer(
        max_epochs=2, accelerator="cpu", logger=logger, callbacks=list(callbacks), log_every_n_steps=1, **plain, **more
    )


def trained(*callbacks: Any) -> dict[str, Any]:
    """Everything that a training leaves behind."""
    pl.seed_everything(3, verbose=False)
    net, logger = Net(), Logger()
    ran = trainer(*callbacks, logger=logger)
    ran.fit(net, loader())
    return {
        "diary": net.diary,
        "logged": logger.lines,
        "metrics": {name: float(value) for name, value in ran.callback_metrics.items()},
        "steps": (ran.global_step, float(net.steps), len(net.outputs["losses"])),
        "state": {name: tensor.tolist() for name, tensor in net.state_dict().items()},
        "random": (random.random(), float(torch.rand(()))),
        "gradients": [p.grad.tolist() for p in net.parameters()],
        "attributes": sorted(net.__dict__),
    }
