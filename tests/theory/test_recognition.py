"""Recognition of tensors that the real torch drew: how often it is right, and how often as sure as it says."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from initlint.facts import UNKNOWN, known
from initlint.theory.recognition import Summary, recognise

pytestmark = pytest.mark.torch

torch = pytest.importorskip("torch")
init = torch.nn.init
Summarise = Callable[[Any], Summary]

SHAPES = [(16, 16), (8, 64), (32, 32), (4, 400), (16, 8, 3, 3), (128, 64)]
SEEDS = 20
MAKERS: dict[str, tuple[Callable[[Any], Any], ...]] = {
    "normal": (lambda w: init.normal_(w, 0, 0.02), lambda w: init.normal_(w, 1, 0.02), init.kaiming_normal_),
    "uniform": (lambda w: init.uniform_(w), lambda w: init.uniform_(w, -0.1, 0.1), init.xavier_uniform_),
    "orthogonal": (init.orthogonal_, lambda w: init.orthogonal_(w, math.sqrt(2))),
    "constant": (init.zeros_, lambda w: init.constant_(w, 0.02)),
}


@pytest.mark.parametrize("family", sorted(MAKERS))
def test_fewer_than_one_in_a_hundred_is_misrecognised(family: str, summarise: Summarise) -> None:
    wrong = total = 0
    for number, make in enumerate(MAKERS[family]):
        for shape in SHAPES:
            for seed in range(SEEDS):
                torch.manual_seed(1000 * number + seed)
                wrong += recognise(summarise(make(torch.empty(shape)))).family != family
                total += 1
    assert wrong <= 0.01 * total


def test_a_truncated_normal_law_takes_more_values(summarise: Summarise) -> None:
    for shape, bound in (((32, 32), 2.0), ((128, 64), 2.0), ((512, 512), 3.0)):
        seeds = 100 if shape[0] < 512 else 5
        wrong = 0
        for seed in range(seeds):
            torch.manual_seed(seed)
            tensor = init.trunc_normal_(torch.empty(shape), std=0.1, a=-0.1 * bound, b=0.1 * bound)
            wrong += recognise(summarise(tensor)).family != "truncated_normal"
        assert wrong <= 0.01 * seeds


def test_confidence_is_no_larger_than_it_may_be(summarise: Summarise) -> None:
    """Among near cases, normal or truncated with 256 values, the share of right ones is what is claimed, or more."""
    right, claimed = 0, 0.0
    for seed in range(400):
        torch.manual_seed(seed)
        family = ("normal", "truncated_normal")[seed % 2]
        tensor = torch.randn(16, 16) if family == "normal" else init.trunc_normal_(torch.empty(16, 16))
        found = recognise(summarise(tensor))
        right += found.family == family
        claimed += found.confidence
    assert right >= claimed - 2 * math.sqrt(400 * 0.25 * 0.25)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_schemes(dtype: Any, summarise: Summarise) -> None:
    torch.manual_seed(0)

    def empty(*shape: int) -> Any:
        return torch.empty(shape, dtype=dtype)

    kaiming, r2 = math.sqrt(2), math.sqrt(2)
    cases = [
        (torch.nn.Linear(512, 256, dtype=dtype).weight, "default", 1 / math.sqrt(3), "fan_in"),
        (torch.nn.Conv2d(32, 64, 3, dtype=dtype).weight, "default", 1 / math.sqrt(3), "fan_in"),
        (init.xavier_uniform_(empty(256, 512)), "xavier_uniform", 1.0, "fan_avg"),
        (init.xavier_uniform_(empty(256, 512), gain=5 / 3), "xavier_uniform", 5 / 3, "fan_avg"),
        (init.xavier_normal_(empty(512, 256)), "xavier_normal", 1.0, "fan_avg"),
        (init.kaiming_normal_(empty(64, 32, 3, 3), mode="fan_out"), "kaiming_normal", r2, "fan_out"),
        (init.kaiming_normal_(empty(64, 32, 3, 3)), "kaiming_normal", kaiming, "fan_in"),
        (init.kaiming_uniform_(empty(100, 300)), "kaiming_uniform", kaiming, "fan_in"),
        (init.normal_(empty(64, 300), std=300**-0.5), "lecun_normal", 1.0, "fan_in"),
    ]
    for tensor, scheme, gain, mode in cases:
        found = recognise(summarise(tensor))
        assert (found.scheme, found.mode) == (scheme, mode)
        assert found.gain == pytest.approx(gain)
        assert found.known_by == "measured"
    for std, shape in ((0.02, (768, 768)), (1.0, (1000, 64)), (1.0, (4000, 1)), (0.037, (256, 256))):
        found = recognise(summarise(init.normal_(empty(*shape), std=std)))
        assert (found.family, found.scheme) == ("normal", None)
        assert found.std == pytest.approx(std, rel=0.02)


def test_what_fits_two_schemes_is_said_with_less_confidence(summarise: Summarise) -> None:
    torch.manual_seed(0)
    square = recognise(summarise(init.xavier_normal_(torch.empty(512, 512))))
    assert square.scheme == "xavier_normal"
    assert square.confidence == pytest.approx(0.5, abs=0.02)
    oblong = recognise(summarise(init.xavier_normal_(torch.empty(256, 512))))
    assert oblong.confidence > 0.95


def test_gates_stacked_are_orthogonal_each(summarise: Summarise) -> None:
    torch.manual_seed(0)
    stacked = torch.cat([init.orthogonal_(torch.empty(64, 64)) for _ in range(4)])
    found = recognise(summarise(stacked), fan_in=64, fan_out=64)
    assert found.family == "orthogonal"
    assert found.gain == pytest.approx(1.0, rel=1e-3)
    whole = recognise(summarise(init.orthogonal_(torch.empty(256, 64))), fan_in=64, fan_out=256)
    assert (whole.gain, whole.mode) == (pytest.approx(1.0, rel=1e-3), "fan_out")


def test_structured_values(summarise: Summarise) -> None:
    assert recognise(summarise(torch.eye(10, 20))).family == "identity"
    assert recognise(summarise(init.dirac_(torch.empty(8, 8, 3, 3)))).family == "dirac"
    assert recognise(summarise(init.sparse_(torch.empty(200, 100), 0.5))).family == "sparse"
    assert recognise(summarise(torch.nn.Embedding(100, 64, padding_idx=0).weight)).family == "normal"
    assert recognise(summarise(torch.zeros(3))).is_zero


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.distributions.Laplace(0, 0.02).sample((64, 64)),
        lambda: torch.distributions.StudentT(5.0).sample((64, 64)),
        lambda: torch.linspace(-1, 1, 4096).reshape(64, 64),
        lambda: torch.arange(256.0),
        lambda: torch.sin(torch.arange(256)[:, None] * 10000 ** (-torch.arange(32) / 32)),
        lambda: torch.randn(64, 64).abs(),
        lambda: torch.randn(64, 64).relu(),
        lambda: torch.cat([torch.randn(32, 64), 0.1 * torch.randn(32, 64)]),
        lambda: torch.randint(0, 2, (32, 32)).float(),
        lambda: torch.log(torch.arange(1, 17).float()).repeat(64, 1),
        lambda: torch.rand(64, 64).log(),
    ],
)
def test_other_laws_are_not_forced_into_a_family(make: Callable[[], Any], summarise: Summarise) -> None:
    torch.manual_seed(0)
    assert recognise(summarise(make())).family == "data"


def test_little_is_claimed_of_small_tensors(summarise: Summarise) -> None:
    torch.manual_seed(0)
    assert recognise(summarise(torch.randn(3))).family == "data"
    for count in (3, 8, 10, 31):
        assert recognise(summarise(torch.randn(count))).confidence <= 0.5
    assert recognise(summarise(torch.full((3,), 0.5))).confidence == 1.0


def test_nothing_is_said_of_what_is_not_finite_or_empty() -> None:
    for count, mean in ((0, 0.0), (9, math.nan), (9, math.inf)):
        summary = Summary(shape=(count,), count=count, mean=mean, std=1.0, minimum=-1.0, maximum=1.0, kurtosis=3.0)
        assert not known(recognise(summary, UNKNOWN, UNKNOWN).family)
