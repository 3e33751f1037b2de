"""Rules at the edges of their tables and limits, by reading: what their own examples, few and telling, leave out."""

from __future__ import annotations

import pytest

from initlint.findings import Finding
from initlint.fix.rounds import mend
from initlint.rule import Bad

from .harness import lines, marked, read_facts, said, snippet


def found(code: str, text: str) -> list[Finding]:
    return said([read_facts(snippet(Bad(text)), "snippet.py", code)], code)


def branch(kind: str, *statements: str) -> str:
    return "\n    ".join((f"def init_weights(m):\n  if isinstance(m, nn.{kind}):", *statements))


def mended(code: str, text: str) -> str:
    return mend(snippet(Bad(text)), lambda now: said([read_facts(now, "snippet.py")], code), unsafe=True).text


def net(layer: str, write: str, forward: str = "self.f(x)") -> str:
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = {layer}
        self.head = nn.Linear(16, 4)
        {write}

    def forward(self, x):
        return self.head({forward})
"""


CASES = [
    ("INI108", net("nn.Linear(32, 16)", "nn.init.uniform_(self.f.weight, 0.0, 0.1)  #~")),
    ("INI108", net("nn.Linear(32, 16)", "nn.init.uniform_(self.f.weight, 0.0009, 0.1)  #~")),
    ("INI108", net("nn.Linear(32, 16)", "nn.init.uniform_(self.f.weight, 0.001, 0.1)")),
    ("INI108", net("nn.Linear(32, 16)", "nn.init.uniform_(self.f.weight, 0.05, 0.1)")),
    ("INI108", net("nn.Linear(32, 16)", "nn.init.uniform_(self.f.weight, -0.001, 0.1)")),
    ("INI108", net("nn.Linear(1, 16)", "nn.init.uniform_(self.f.weight, 0.0, 0.1)")),
    ("INI108", net("nn.Linear(2, 16)", "nn.init.uniform_(self.f.weight, 0.0, 0.1)  #~")),
    ("INI108", net("nn.ConvTranspose2d(8, 1, 3)", "nn.init.uniform_(self.f.weight, 0.0, 0.1)")),
    ("INI108", net("nn.ConvTranspose2d(8, 2, 3)", "nn.init.uniform_(self.f.weight, 0.0, 0.1)  #~")),
    ("INI108", net("nn.Conv2d(8, 1, 3)", "nn.init.uniform_(self.f.weight, 0.0, 0.1)")),
    ("INI108", net("nn.Conv2d(8, 2, 3)", "nn.init.uniform_(self.f.weight, 0.0, 0.1)  #~")),
    ("INI109", branch("Bilinear", "nn.init.normal_(m.weight, 1.0, 0.02)  #~")),
    ("INI109", branch("Linear", "nn.init.normal_(m.weight, 1.0, 0.02)  #~")),
    ("INI109", branch("Linear", "nn.init.normal_(m.weight, 0.0, 0.02)")),
    ("INI109", branch("BatchNorm2d", "nn.init.normal_(m.weight, 1.0, 0.02)")),
    (
        "INI202",
        net(
            "nn.Linear(16, 16)",
            "nn.init.xavier_normal_(self.f.weight, nn.init.calculate_gain('tanh'))  #~",
            "F.relu(self.f(x))",
        ),
    ),
    (
        "INI202",
        net(
            "nn.Linear(16, 16)",
            "nn.init.xavier_uniform_(self.f.weight, nn.init.calculate_gain('tanh'))  #~",
            "F.relu(self.f(x))",
        ),
    ),
    (
        "INI202",
        net(
            "nn.Linear(16, 16)",
            "nn.init.orthogonal_(self.f.weight, nn.init.calculate_gain('tanh'))  #~",
            "F.relu(self.f(x))",
        ),
    ),
    (
        "INI202",
        net(
            "nn.Linear(16, 16)",
            "nn.init.xavier_normal_(self.f.weight, nn.init.calculate_gain('relu'))",
            "F.relu(self.f(x))",
        ),
    ),
    ("INI307", branch("Conv2d", "nn.init.normal_(m.weight, std=0.02)", "nn.init.constant_(m.bias, 0.02)  #~")),
    ("INI307", branch("ConvTranspose2d", "nn.init.normal_(m.weight, std=0.02)", "nn.init.constant_(m.bias, 0.02)  #~")),
    ("INI307", branch("BatchNorm2d", "nn.init.normal_(m.weight, std=0.02)", "nn.init.constant_(m.bias, 0.02)")),
    ("INI307", branch("Linear", "nn.init.normal_(m.weight, std=0.1)", "nn.init.constant_(m.bias, 0.01)")),
    ("INI305", branch("BatchNorm2d", "nn.init.normal_(m.weight, 1.0, 0.02)")),
    ("INI305", branch("BatchNorm2d", "nn.init.normal_(m.weight, 0.0, 0.02)  #~")),
    ("INI305", branch("LayerNorm", "nn.init.normal_(m.weight, 0.1, 0.3)  #~")),
    ("INI305", branch("LayerNorm", "nn.init.normal_(m.weight, 0.1, 0.1)")),
    ("INI305", branch("GroupNorm", "nn.init.uniform_(m.weight, 0.0, 1.0)  #~")),
    ("INI305", branch("GroupNorm", "nn.init.uniform_(m.weight, 0.3, 1.0)")),
    ("INI305", branch("BatchNorm1d", "nn.init.uniform_(m.weight, -0.1, 0.1)  #~")),
    ("INI411", net("nn.Linear(32, 16)", "self.g = nn.Parameter(torch.randn(16)).xpu()  #~", "self.f(x) * self.g")),
    ("INI411", net("nn.Linear(32, 16)", "self.g = nn.Parameter(torch.randn(16)).cpu()", "self.f(x) * self.g")),
]


@pytest.mark.parametrize(("code", "text"), CASES)
def test_a_table_and_a_limit_end_where_they_say(code: str, text: str) -> None:
    assert sorted(set(lines(found(code, text)))) == marked(snippet(Bad(text)))


@pytest.mark.parametrize(
    ("written", "meant", "safe"),
    [
        ("zero_", "zeros_", True),
        ("zero", "zeros_", True),
        ("one_", "ones_", True),
        ("fill_", "constant_", True),
        ("gauss_", "normal_", True),
        ("gaussian_", "normal_", True),
        ("glorot_uniform_", "xavier_uniform_", True),
        ("glorot_normal_", "xavier_normal_", True),
        ("he_uniform_", "kaiming_uniform_", True),
        ("he_normal_", "kaiming_normal_", True),
        ("truncated_normal_", "trunc_normal_", True),
        ("kaimin_normal_", "kaiming_normal_", True),
        ("xavier_", "xavier_uniform_", False),
        ("kaiming_", "kaiming_uniform_", False),
        ("kaiming", "kaiming_uniform_", False),
        ("lecun_normal_", 'kaiming_normal_(w, nonlinearity="linear")', None),
        ("lecun_uniform_", 'kaiming_uniform_(w, nonlinearity="linear")', None),
    ],
)
def test_what_other_frameworks_call_it_is_known(written: str, meant: str, safe: bool | None) -> None:
    text = branch("Linear", f"nn.init.{written}(m.weight)")
    (finding,) = found("INI511", text)
    assert finding.help == f"write {meant}"
    assert (None if finding.fix is None else finding.fix.safe) == safe
    if safe is not None:
        assert f"nn.init.{meant}(m.weight)" in mended("INI511", text)


def test_a_name_like_no_other_is_told_what_there_is() -> None:
    (finding,) = found("INI511", branch("Linear", "nn.init.bananas(m.weight)"))
    assert "kaiming_normal_" in finding.help
    assert finding.fix is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("m.weight.data.fill_(0.1)", "nn.init.constant_(m.weight, 0.1)"),
        ("m.weight.data.normal_(std=0.1)", "nn.init.normal_(m.weight, std=0.1)"),
        ("nn.init.normal_(m.weight.data)", "nn.init.normal_(m.weight)"),
    ],
)
def test_a_write_past_autograd_is_written_without(before: str, after: str) -> None:
    assert mended("INI512", branch("Linear", before)).splitlines()[-1].strip() == after


def test_a_keyword_that_the_function_calls_otherwise_stays_with_the_method() -> None:
    text = mended("INI512", branch("Linear", "m.weight.data.fill_(value=0.1)"))
    assert "with torch.no_grad():" in text
    assert "m.weight.fill_(value=0.1)" in text


def test_whose_seed_it_is_is_told() -> None:
    text = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.fc = nn.Linear(4, 4)

    def init_weights(m):
        if isinstance(m, nn.Linear):
            torch.manual_seed(0)
            nn.init.xavier_uniform_(m.weight)

    Net().apply(init_weights)
    """
    first, second = sorted(found("INI604", text), key=lambda finding: finding.location.line if finding.location else 0)
    assert first.message.startswith("Net.__init__ sets")
    assert second.message.startswith("init_weights sets")
