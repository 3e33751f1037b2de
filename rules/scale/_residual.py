"""The residual networks that INI211 tells apart, with the lines that make the difference left open."""

__all__ = ["branched", "normed"]


def branched(*init: str, blocks: int = 8) -> str:
    """So many branches, ``up`` and ``down`` drawn by those lines in a loop, and an output layer."""
    lines = "\n                    ".join(init)
    return f"""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.up = nn.ModuleList([nn.Linear(64, 64) for _ in range({blocks})])
                self.down = nn.ModuleList([nn.Linear(64, 64) for _ in range({blocks})])
                self.head = nn.Linear(64, 4)
                for up, down in zip(self.up, self.down):
                    {lines}

            def forward(self, x):
                for up, down in zip(self.up, self.down):
                    x = x + down(F.relu(up(x)))
                return self.head(x)
        """


def normed(step: str) -> str:
    """8 branches of a layer of gain 2 and a norm, joined by that statement."""
    return f"""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.norms = nn.ModuleList([nn.LayerNorm(64) for _ in range(8)])
                self.blocks = nn.ModuleList([nn.Linear(64, 64) for _ in range(8)])
                for block in self.blocks:
                    nn.init.xavier_normal_(block.weight, gain=2.0)

            def forward(self, x):
                for norm, block in zip(self.norms, self.blocks):
                    {step}
                return x
        """
