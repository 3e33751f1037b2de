"""What is read of a forward is what a pass through it shows: the same class is read, and run, and the two compared.

What is not known on either side is not compared.
"""

from __future__ import annotations

import textwrap
from typing import Any

import pytest
import torch

from initlint.facts import Activation, known
from initlint.live.audit import audit_module

from .reading import PRELUDE, model, net

pytestmark = pytest.mark.torch

MADE = """
self.a, self.b, self.c = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)
self.head, self.glu = nn.Linear(8, 3), nn.Linear(8, 16)
self.norm, self.drop, self.relu = nn.LayerNorm(8), nn.Dropout(0.1), nn.ReLU(inplace=True)
self.gate, self.flag = nn.Parameter(torch.ones(8)), True
self.blocks = nn.ModuleList([nn.Linear(8, 8) for _ in range(3)])
self.soft, self.gated = nn.Softmax(-1), nn.GLU(-1)
"""

FORWARD = {
    "relu": """
        return self.head(F.relu(self.a(x)))
        """,
    "inplace": """
        y = self.a(x)
        y.relu_()
        return self.head(y)
        """,
    "norm act": """
        return self.head(F.relu(self.norm(self.a(x))))
        """,
    "residual": """
        y = x + self.a(x)
        return self.head(y)
        """,
    "residual norm": """
        return self.head(self.norm(x + self.a(x)))
        """,
    "residual relu": """
        return self.head(F.relu(x + self.a(x)))
        """,
    "aug residual": """
        y = self.a(x)
        y += x
        return self.head(y)
        """,
    "add method": """
        return self.head(self.a(x).add(x))
        """,
    "torch.add": """
        return self.head(torch.add(x, self.a(x)))
        """,
    "sub": """
        return self.head(x - self.a(x))
        """,
    "rsub": """
        return self.head(1 - self.a(x))
        """,
    "swish": """
        y = self.a(x)
        return self.head(y * torch.sigmoid(y))
        """,
    "gate": """
        return self.head(torch.sigmoid(self.a(x)) * self.b(x))
        """,
    "glu": """
        return self.head(F.glu(self.glu(x), -1))
        """,
    "chunk": """
        u, v = self.glu(x).chunk(2, -1)
        return self.head(u * torch.sigmoid(v))
        """,
    "chunk relu": """
        u, v = self.glu(x).chunk(2, dim=-1)
        return self.head(F.relu(u) * v)
        """,
    "concat": """
        return self.head(torch.cat([self.a(x)[..., :4], self.b(x)[..., 4:]], -1))
        """,
    "blocks": """
        for block in self.blocks:
            x = F.relu(block(x))
        return self.head(x)
        """,
    "blocks last": """
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i < len(self.blocks) - 1:
                x = F.relu(x)
        return x
        """,
    "scale": """
        return self.head(self.a(x) * self.gate)
        """,
    "scale const": """
        return self.head(0.5 * self.a(x))
        """,
    "div": """
        return self.head(self.a(x) / 2)
        """,
    "residual scaled": """
        return self.head(x + 0.1 * self.a(x))
        """,
    "residual gamma": """
        return self.head(x + self.gate * self.a(x))
        """,
    "leaky kw": """
        return self.head(F.leaky_relu(self.a(x), negative_slope=0.3))
        """,
    "clamp": """
        return self.head(self.a(x).clamp(min=0))
        """,
    "softmax": """
        return self.head(torch.softmax(self.a(x), -1))
        """,
    "logsoftmax": """
        return F.log_softmax(self.head(F.relu(self.a(x))), -1)
        """,
    "sigmoid out": """
        return torch.sigmoid(self.head(x))
        """,
    "matmul": """
        return self.head(self.a(x) @ self.b.weight)
        """,
    "F.linear": """
        return self.head(F.linear(F.relu(self.a(x)), self.b.weight, self.b.bias))
        """,
    "where": """
        y = self.a(x)
        return self.head(torch.where(y > 0, y, torch.zeros_like(y)))
        """,
    "max zero": """
        return self.head(torch.maximum(self.a(x), torch.tensor(0.0)))
        """,
    "if flag": """
        if self.flag:
            x = F.relu(self.a(x))
        else:
            x = torch.tanh(self.a(x))
        return self.head(x)
        """,
    "if training": """
        y = self.a(x)
        if self.training:
            y = F.relu(y)
        return self.head(y)
        """,
    "tuple": """
        y, z = self.a(x), self.b(x)
        return self.head(F.relu(y + z))
        """,
    "loss": """
        y = self.head(F.relu(self.a(x)))
        return y.mean(), y
        """,
    "detach": """
        return self.head(F.relu(self.a(x).detach()))
        """,
    "no_grad": """
        with torch.no_grad():
            y = self.a(x)
        return self.head(F.relu(y))
        """,
    "list": """
        ys = []
        for block in self.blocks:
            ys.append(F.relu(block(x)))
        return self.head(sum(ys))
        """,
    "F.normalize": """
        return self.head(F.normalize(self.a(x), dim=-1))
        """,
    "pow": """
        return self.head(F.relu(self.a(x)) ** 2)
        """,
    "square": """
        return self.head(F.relu(self.a(x)).square())
        """,
    "neg": """
        return self.head(-self.a(x))
        """,
    "mul self": """
        y = self.a(x)
        return self.head(y * y)
        """,
    "mul other": """
        return self.head(self.a(x) * self.b(x))
        """,
    "attn by hand": """
        q, k, v = self.a(x)[:, None], self.b(x)[:, None], self.c(x)[:, None]
        s = torch.softmax(q @ k.transpose(-1, -2) / 8 ** 0.5, -1)
        return self.head((s @ v)[:, 0])
        """,
    "sdpa": """
        q, k, v = self.a(x)[:, None], self.b(x)[:, None], self.c(x)[:, None]
        return self.head(F.scaled_dot_product_attention(q, k, v)[:, 0])
        """,
    "einsum": """
        return self.head(torch.einsum('bi,ij->bj', F.relu(self.a(x)), self.b.weight))
        """,
    "dict act": """
        return self.head({'r': F.relu, 't': torch.tanh}['t'](self.a(x)))
        """,
    "shared a": """
        y = F.relu(self.a(x))
        y = torch.tanh(self.a(y))
        return self.head(y)
        """,
    "x*tanh(softplus)": """
        y = self.a(x)
        return self.head(y * torch.tanh(F.softplus(y)))
        """,
    "while": """
        k = 0
        while k < 2:
            x = F.relu(self.a(x))
            k += 1
        return self.head(x)
        """,
    "mean center": """
        y = self.a(x)
        y = y - y.mean(-1, keepdim=True)
        return self.head(y)
        """,
    "std by hand": """
        y = self.a(x)
        y = (y - y.mean(-1, keepdim=True)) / (y.std(-1, keepdim=True) + 1e-5)
        return self.head(y)
        """,
    "rms by hand": """
        y = self.a(x)
        y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-6)
        return self.head(y)
        """,
    "prenorm block": """
        x = x + self.b(F.gelu(self.a(self.norm(x))))
        return self.head(x)
        """,
    "postnorm block": """
        x = self.norm(x + self.b(F.gelu(self.a(x))))
        return self.head(x)
        """,
    "two residuals": """
        x = x + self.a(x)
        x = x + self.b(F.relu(x))
        return self.head(self.norm(x))
        """,
}
FORWARD |= {
    "modules of torch": """
        y = self.soft(self.a(x)) + self.gated(self.glu(x))
        return self.head(self.relu(self.b(y)))
        """,
    "a module that works in place": """
        y = self.a(x)
        self.relu(y)
        return self.head(y)
        """,
    "a function that works in place": """
        y = self.a(x)
        F.relu(y, inplace=True)
        z = self.b(y)
        z.add_(y).clamp_(min=0)
        return self.head(z)
        """,
    "arithmetic by methods": """
        y = self.a(x).sub(x).div(2).mul(self.gate)
        return self.head(y.matmul(self.b.weight))
        """,
    "matrices of values": """
        q, k = self.a(x)[:, None], self.b(x)[:, None]
        y = torch.einsum("bij,bkj->bik", q, k).bmm(self.c(x)[:, None])[:, 0]
        return self.head(F.linear(y, self.glu(x)[:8, :8]).mm(self.blocks[0].weight))
        """,
    "questions": """
        if len(x) > 0 and isinstance(x, torch.Tensor):
            x = torch.tanh(self.a(x))
        return self.head(x // 1 + F.relu(self.b(x)))
        """,
    "cuts": """
        y = torch.clamp(self.a(x), 0, 6)
        z = self.b(y).clip(-1, 1)
        return self.head(z)
        """,
    "two branches that are alike": """
        return self.head(torch.tanh(self.a(x) + self.b(x)))
        """,
    "a shortcut with a map of its own": """
        return self.head(self.b(F.relu(self.a(x))) + self.c(x))
        """,
}
SAID = ("normalized", "product_normalized", "ends_branch", "is_head")


def acting(activation: Any) -> str | None:
    return activation.name if isinstance(activation, Activation) else None


@pytest.mark.parametrize("case", FORWARD)
def test_what_is_read_is_what_is_run(case: str) -> None:
    text = net(MADE, textwrap.dedent(FORWARD[case]))
    space: dict[str, Any] = {"__name__": "model"}
    exec(PRELUDE + text, space)
    torch.manual_seed(0)
    shown = {layer.name: layer for layer in audit_module(space["Net"](), torch.randn(8, 8), name="m").models[0].layers}
    for read in model(text).layers:
        run = shown.get(read.name)
        if run is None:
            continue
        if known(read.activation) and known(run.activation) and read.activation is not None:
            assert acting(read.activation) == acting(run.activation), read.name
        for name in SAID:
            one, other = getattr(read, name), getattr(run, name)
            if name == "normalized" and known(run.ends_branch) and run.ends_branch:
                continue  # a norm behind the residual sum is one to reading, and sum_normalized to a pass
            if known(one) and known(other):
                assert one == other, (read.name, name)
