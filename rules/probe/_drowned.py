"""What INI701 says of signal that drowns in what is the same for all samples, and networks that show it."""

from collections.abc import Iterator

from initlint.facts import Chain, Layer, Model, known
from initlint.findings import Finding
from initlint.theory.chains import culprit, is_final
from initlint.theory.drowned import drowned_ends, drowned_norms

from ._drift import DriftRule

_SHARE, _BEFORE, _FALL = 1e-5, 1e-2, 1e3
"""The share of an output's std across the batch from which biases drown it, that of what the output layer is given (it
may be small by itself), and how much more some layer must have given."""


class DrownedRule(DriftRule):
    """A rule on the share of what a chain's end, norms, or the ends of towers give that differs between samples."""

    def drowned(self, chain: Chain) -> Iterator[Finding]:
        """An output that is next to the same for all samples, since biases are all that is left in it."""
        body, head = chain.layers[-2:]
        if not is_final(head) or head.model.probe.predicted or not body.probe.total_std or not head.probe.total_std:
            return
        share = _share(head)
        if not 0 < share < _SHARE or _share(body) >= _BEFORE or (not head.is_head and drowned_ends(head.model)):
            return
        measured = [layer for layer in head.model.layers if known(layer.probe) and known(layer.probe.total_std)]
        told = [each for each in (chain.layers[0], *measured) if each.probe.total_std and _share(each) > _FALL * share]
        if told:
            first = told[0]
            yield self.at(
                culprit(first),
                f"{share:.1g} of the std of what {head.name} puts out differs between samples, of what {first.name} "
                f"gives {_share(first):.1g}: biases are the rest",
                help=self.remedy,
                evidence={"share": share, "layers": len(chain.layers)},
                layer=first,
                suspects=chain.layers,
            )

    def check_model(self, model: Model) -> Iterator[Finding]:
        """What norms, or a division by the length, leave as small beside the rest as they take it."""
        norms, ends = drowned_norms(model), drowned_ends(model)
        if norms is not None:
            yield self.at(
                culprit(norms.layers[0]),
                f"{norms.given:.1g} of the std of what norms give differs between samples, {norms.put_out:.1g} of what "
                "is put out: what is the same for all of them (positions, a class token, biases) drowns it",
                help=f"{self.remedy}: nn.init.xavier_uniform_",
                evidence={"given": norms.given, "put_out": norms.put_out, "norms": len(norms.layers)},
                layer=norms.layers[0],
                suspects=norms.maps,
            )
        if ends is not None:
            names = " and ".join(f"{end.name}" for end in ends.layers)
            yield self.at(
                culprit(ends.layers[0]),
                f"{ends.given:.1g} of the std of what {names} give differs between samples, and it is brought to unit "
                "length: biases are the rest",
                help=f"{self.remedy}: nn.init.xavier_uniform_",
                evidence={"share": ends.given},
                layer=ends.layers[0],
                suspects=ends.maps,
            )


def _share(layer: Layer) -> float:
    """How much of the std of what a layer gives differs between samples."""
    return layer.probe.forward_std / layer.probe.total_std


def biased(small: str, mark: str = "") -> str:
    """Two layers and an output layer with torch's biases, and small weights in those named."""
    return f"""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.first, self.second, self.head = nn.Linear(32, 64), nn.Linear(64, 64), nn.Linear(64, 4)
                for layer in {small}:
                    nn.init.normal_(layer.weight, std=0.0008){mark}

            def forward(self, x):
                return self.head(F.relu(self.second(F.relu(self.first(x)))))
        """


def columns(scale: str, drawn: str, mark: str = "") -> str:
    """Columns of a table as tokens beside a class token, which two blocks of attention are to tell about them."""
    return f"""
        class Block(nn.Module):
            def __init__(self):
                super().__init__()
                self.norm, self.last = nn.LayerNorm(32), nn.LayerNorm(32){mark}
                self.ask, self.give, self.hidden = nn.Linear(32, 96), nn.Linear(32, 32), nn.Linear(32, 32)
                for layer in (self.ask, self.give, self.hidden):
                    {drawn}

            def forward(self, x):
                q, k, v = self.ask(self.norm(x)).chunk(3, -1)
                x = x + self.give(F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0])
                return x + F.gelu(self.hidden(self.last(x)))

        class Columns(nn.Module):
            def __init__(self):
                super().__init__()
                self.scale, self.shift = nn.Parameter({scale} * torch.randn(16, 32)), nn.Parameter(torch.randn(16, 32))
                self.token, self.blocks = nn.Parameter(torch.randn(1, 1, 32)), nn.Sequential(Block(), Block())
                self.norm, self.head = nn.LayerNorm(32), nn.Linear(32, 4)

            def forward(self, x):
                tokens = x[:, :, None] * self.scale + self.shift
                tokens = torch.cat([self.token.expand(len(x), -1, -1), tokens], dim=1)
                return self.head(self.norm(self.blocks(tokens))[:, 0])

        def build():
            return Columns(), torch.randn(8, 16)
        """
