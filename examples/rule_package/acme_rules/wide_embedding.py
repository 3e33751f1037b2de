"""ACME001 wide-embedding."""

from collections.abc import Iterator

from initlint.facts import Parameter
from initlint.findings import Finding, Severity
from initlint.rule import PARAMETERS, SOURCE, Bad, Good, Rule

_WIDEST = 0.05


class WideEmbedding(Rule):
    """An embedding is drawn wider than Acme's models are.

    ## What it does

    Finds embeddings whose standard deviation is above 0.05, torch's default of 1 among them.

    ## Why it matters

    Acme's checkpoints share their vocabularies, and all of them start at 0.02 (a decision of March 2026).

    ## Example

        self.tokens = nn.Embedding(50257, 768)

    ## Use instead

        self.tokens = nn.Embedding(50257, 768)
        nn.init.normal_(self.tokens.weight, std=0.02)

    ## When it is right to do this

    Codebooks of a quantiser, which are no vocabulary.

    ## Fix safety

    No fix: where the draw belongs only the model's author knows.
    """

    code, name, severity = "ACME001", "wide-embedding", Severity.WARNING
    needs = (SOURCE, PARAMETERS)
    since = "1.0.0"
    bad = [
        Bad("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.tokens = nn.Embedding(100, 16)  #~
            """),
        Bad("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.tokens = nn.Embedding(100, 16)
                    nn.init.normal_(self.tokens.weight, std=0.1)  #~
            """),
    ]
    good = [
        Good("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.tokens = nn.Embedding(100, 16)
                    nn.init.normal_(self.tokens.weight, std=0.02)
            """),
        Good("""
            class Net(nn.Module):
                def __init__(self, std):
                    super().__init__()
                    self.tokens = nn.Embedding(100, 16)
                    nn.init.normal_(self.tokens.weight, std=std)  # not known here, so nothing is said
            """),
    ]

    def check_parameter(self, parameter: Parameter) -> Iterator[Finding]:
        std = parameter.distribution.std
        if parameter.role == "embedding" and std > _WIDEST:
            yield self.at(
                parameter,
                f"{parameter.name} is drawn with std {std:.3g}, above the {_WIDEST} that Acme's vocabularies keep to",
                help=f"nn.init.normal_({parameter.name}, std=0.02)",
                evidence={"std": std},
            )
