"""One rank of a training that torchrun starts: ``ddp_job FRAMEWORK CASE DIRECTORY`` writes down what it saw."""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

import initlint


def lightning(case: str) -> tuple[Any, Any, Any]:
    """A callback, what runs the training, and what says how many steps that took."""
    import lightning.pytorch as pl
    from torch.utils.data import DataLoader, TensorDataset

    from initlint.integrations.lightning import InitAudit

    class Net(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(8, 16), nn.Linear(16, 4)
            if case == "flawed":
                nn.init.constant_(self.first.weight, 0.1)
                nn.init.constant_(self.last.weight, 0.1)

        def forward(self, x: Any) -> Any:
            return self.last(torch.relu(self.first(x)))

        def training_step(self, batch: Any) -> Any:
            x, y = batch
            loss = nn.functional.cross_entropy(self(x), y)
            together = self.all_gather(loss.detach())  # what the framework offers does without the others ...
            if case == "collective":
                torch.distributed.all_reduce(together)  # ... and this does not
            self.log("loss", loss, sync_dist=True)
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.1)

    torch.manual_seed(0)
    net, audit = Net(), InitAudit()
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        devices=2,
        strategy="ddp",
        callbacks=[audit],
        enable_checkpointing=False,
        **quiet,
    )
    data = TensorDataset(torch.randn(64, 8), torch.randint(0, 4, (64,)))
    return audit, lambda: trainer.fit(net, DataLoader(data, 8)), lambda: trainer.global_step


def transformers(case: str) -> tuple[Any, Any, Any]:
    """The same of the other framework."""
    from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

    from initlint.integrations.transformers import InitAuditCallback

    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    torch.manual_seed(0)
    net = BertForSequenceClassification(BertConfig(vocab_size=50, max_position_embeddings=16, num_labels=3, **size))
    if case == "flawed":
        nn.init.constant_(net.bert.pooler.dense.weight, 0.02)
        nn.init.constant_(net.classifier.weight, 0.02)
    data = [{"input_ids": row, "labels": int(row[0]) % 3} for row in torch.randint(1, 50, (64, 6))]
    settings = {"per_device_train_batch_size": 8, "max_steps": 2, "use_cpu": True, "save_strategy": "no"}
    audit = InitAuditCallback()
    trainer = Trainer(
        net,
        TrainingArguments("out", report_to="none", disable_tqdm=True, **settings),
        train_dataset=data,
        callbacks=[audit],
    )
    return audit, trainer.train, lambda: trainer.state.global_step


def main() -> None:
    framework, case, directory = sys.argv[1:]
    audit, train, steps = {"lightning": lightning, "transformers": transformers}[framework](case)
    raised = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            train()
        except initlint.InitError as error:
            raised = str(error)
    told = {
        "raised": raised,
        "steps": steps(),
        "warned": [str(each.message) for each in caught if str(each.message).startswith("initlint")],
        "loss": None if audit.report is None else audit.report.models[0].loss,
        "joined": torch.distributed.is_initialized(),
    }
    (Path(directory) / f"{os.environ['RANK']}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main()
