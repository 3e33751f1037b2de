"""The recorder: each parameter's writes, in order, with the statement of the user's that made them."""

from __future__ import annotations

import importlib.util
import linecache
import math
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from initlint.facts import UNKNOWN, Write, known  # noqa: E402
from initlint.live.recorder.record import Recorder, Recording  # noqa: E402

PRELUDE = "import copy\nimport math\nimport torch\nfrom torch import nn\nfrom torch.nn.init import trunc_normal_\n"


class Project:
    """A folder with the user's files."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def module(self, text: str, name: str = "model") -> ModuleType:
        path = self.root / f"{name}.py"
        path.write_text(PRELUDE + textwrap.dedent(text))
        linecache.checkcache(str(path))
        spec = importlib.util.spec_from_file_location(f"recorded_{name}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def record(self, text: str, *, name: str = "Net") -> tuple[Any, Recording]:
        factory = getattr(self.module(text), name)
        with Recorder(str(self.root)) as recorder:
            model = factory()
        return model, recorder.finish(model)

    def line(self, fragment: str, name: str = "model") -> int:
        (line,) = [
            number
            for number, text in enumerate((self.root / f"{name}.py").read_text().splitlines(), 1)
            if fragment in text
        ]
        return line


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    sys.path.insert(0, str(tmp_path))
    yield Project(tmp_path)
    sys.path.remove(str(tmp_path))


def functions(writes: tuple[Write, ...]) -> list[str]:
    return [write.function.removeprefix("torch.nn.init.") for write in writes]


def test_three_initialisers_of_one_parameter(project: Project) -> None:
    net, recording = project.record(
        """
        def init(m):
            if isinstance(m, nn.Linear):
                nn.init.xavier_uniform_(m.weight)

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(300, 100)
                self.apply(init)
                nn.init.normal_(
                    self.fc.weight,
                    std=0.02,
                )
        """
    )
    default, xavier, normal = recording.writes(net.fc.weight)
    assert functions((default, xavier, normal)) == ["kaiming_uniform_", "xavier_uniform_", "normal_"]
    assert [write.author for write in (default, xavier, normal)] == ["framework", "user", "user"]
    assert default.distribution.scheme == "default"
    assert default.order < xavier.order < normal.order
    places = [write.location for write in (default, xavier, normal)]
    assert [place.line for place in places] == [
        project.line("nn.Linear(300"),
        project.line("nn.init.xavier_uniform_"),
        project.line("nn.init.normal_("),
    ]
    assert {place.path for place in places} == {str(project.root / "model.py")}
    assert normal.distribution.std == 0.02
    assert dict(normal.arguments) == {"mean": 0.0, "std": 0.02}
    assert [place.line for place in xavier.related] == [project.line("self.apply")]
    if sys.version_info >= (3, 11):
        assert (places[2].column, places[2].end_line) == (9, places[2].line + 3)
    (application,) = recording.applications(net)
    assert xavier.application is application
    assert normal.application is None
    assert (application.initializer, application.root, application.covered) == ("init", "", ("fc",))


@pytest.mark.parametrize(
    ("statement", "function", "expected", "overwrites"),
    [
        ("self.w.data.normal_(0, 0.3)", "torch.Tensor.normal_", ("normal", 0, 0.3), True),
        ("self.w.data.uniform_(-1, 1)", "torch.Tensor.uniform_", ("uniform", 0, 1 / math.sqrt(3)), True),
        ("self.w.detach().fill_(0.5)", "torch.Tensor.fill_", ("constant", 0.5, 0), True),
        ("self.w.data = torch.randn(4, 6) * 0.1", "torch.randn", ("normal", 0, 0.1), True),
        ("self.w.data.copy_(2 * torch.rand(4, 6) - 1)", "torch.Tensor.copy_", ("uniform", 0, 1 / math.sqrt(3)), True),
        ("self.w = nn.Parameter(torch.randn(4, 6) * .02)", "torch.randn", ("normal", 0, 0.02), True),
        ("self.w = nn.Parameter(torch.full((4, 6), 3.0))", "torch.full", ("constant", 3, 0), True),
        (
            "trunc_normal_(self.w, std=1.0, a=-9., b=9.)",
            "torch.nn.init.trunc_normal_",
            ("truncated_normal", 0, 1),
            True,
        ),
        ("nn.init.orthogonal_(self.w)", "torch.nn.init.orthogonal_", ("orthogonal", 0, 1 / math.sqrt(6)), True),
        ("self.w.data[:2] = 1.0", "torch.Tensor.fill_", ("constant", 1, 0), False),
        ("self.w.data[:, 0].zero_()", "torch.Tensor.zero_", ("constant", 0, 0), False),
        ("nn.init.zeros_(self.w[0])", "torch.nn.init.zeros_", ("constant", 0, 0), False),
        ("self.w.data.mul_(0.5)", "torch.Tensor.mul_", ("normal", 0, 0.5), False),
        ("self.w.data.t().zero_()", "torch.Tensor.zero_", ("constant", 0, 0), True),
    ],
)
def test_ways_to_write(
    project: Project, statement: str, function: str, expected: tuple[str, float, float], overwrites: bool
) -> None:
    net, recording = project.record(
        f"""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.w = nn.Parameter(torch.randn(4, 6))
                {statement}
        """
    )
    write = recording.writes(net.w)[-1]
    family, mean, std = expected
    assert write.function == function
    assert write.distribution.family == family
    assert write.distribution.mean == pytest.approx(mean, abs=1e-9)
    assert write.distribution.std == pytest.approx(std, rel=1e-6)
    assert write.overwrites is overwrites
    assert write.author == "user"
    assert write.location is not None
    assert write.location.line == project.line(statement)


@pytest.mark.parametrize(
    "make", ["torch.empty(5, 3)", "torch.Tensor(5, 3)", "torch.FloatTensor(5, 3)", "torch.zeros(5, 3).new_empty(5, 3)"]
)
def test_memory_that_nobody_wrote(project: Project, make: str) -> None:
    net, recording = project.record(
        f"""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                w = {make}
                self.w = nn.Parameter(w)
                self.register_buffer("table", torch.empty(3, dtype=torch.int64))
        """
    )
    write = recording.writes(net.w)[-1]
    assert write.distribution.is_uninitialized
    assert write.overwrites
    assert write.location is not None
    assert write.location.line == project.line(make)
    assert torch.equal(net.w, torch.zeros(5, 3))
    assert recording.writes(net.table)[-1].distribution.is_uninitialized


@pytest.mark.parametrize(
    "write",
    [
        "nn.init.normal_(self.w)",
        "self.w.data.uniform_(-1, 1)",
        "self.reset()",
        "[nn.init.zeros_(p) for p in self.parameters()]",
        "self.w.data = torch.ones(4, 4)",
        "self.load_state_dict({'w': torch.ones(4, 4)})",
        "torch.randn(4, 4, out=self.w.data)",
        "self.w.data[:2] = 0; self.w.data[2:] = 1",
    ],
)
def test_memory_that_is_written_later(project: Project, write: str) -> None:
    net, recording = project.record(
        f"""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.w = nn.Parameter(torch.empty(4, 4))
                {write}
            def reset(self):
                with torch.no_grad():
                    for row in self.w:
                        row.fill_(0.1)
        """
    )
    assert not any(w.distribution.is_uninitialized for w in recording.writes(net.w) if known(w.distribution.family))


def test_memory_written_in_part(project: Project) -> None:
    net, recording = project.record(
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.w = nn.Parameter(torch.empty(4, 4))
                nn.init.ones_(self.w[:2])
        """
    )
    memory, part = recording.writes(net.w)  # in the order in which it happened
    assert memory.distribution.is_uninitialized
    assert memory.overwrites
    assert not part.overwrites
    assert recording.bare_rows(net.w) == (2, 4)
    assert net.w.tolist() == [[1.0] * 4] * 2 + [[0.0] * 4] * 2


def test_a_nan_that_was_written_stays(project: Project) -> None:
    net, recording = project.record(
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.w = nn.Parameter(torch.full((3,), float("nan")))
        """
    )
    assert functions(recording.writes(net.w)) == ["torch.full"]
    assert net.w.isnan().all()


def test_helper_in_another_file(project: Project) -> None:
    (project.root / "recording_helper.py").write_text(
        "def draw(layer):\n    getattr(layer, 'weight').data.normal_(0, 0.02)\n"
    )
    net, recording = project.record(
        """
        from recording_helper import draw
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.bn = nn.BatchNorm1d(4)
                draw(self.bn)
        """
    )
    write = recording.writes(net.bn.weight)[-1]
    assert write.location is not None
    assert (write.location.path, write.location.line) == (str(project.root / "recording_helper.py"), 2)
    assert [place.line for place in write.related] == [project.line("draw(self.bn)")]


def test_installed_code_is_not_the_project(project: Project) -> None:
    installed = project.root / "site-packages"
    installed.mkdir()
    sys.path.insert(0, str(installed))
    (installed / "recording_library.py").write_text(
        "def draw(w):\n    w.data.zero_()\n\n\n"
        "def drawn(layer):\n    draw(layer.bias)\n\n\n"
        "def normal(w, std):\n    draw(w)\n    w.data.normal_()\n    w.data.erfinv_().mul_(std)\n"
    )
    try:
        net, recording = project.record(
            """
            import recording_library
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(2, 2)
                    recording_library.normal(self.fc.weight, std=0.5)  # asked for
                    recording_library.drawn(self.fc)  # left to it
            """
        )
    finally:
        sys.path.remove(str(installed))
    asked, left = recording.writes(net.fc.weight)[1:], recording.writes(net.fc.bias)[-1]
    assert functions(asked) == ["recording_library.normal"], "its steps are one event"
    assert (asked[0].author, asked[0].overwrites, dict(asked[0].arguments)) == ("user", True, {"std": 0.5})
    assert not known(asked[0].distribution.family)
    assert left.author == "library"
    for write, comment, line in ((asked[0], "asked for", 12), (left, "left to it", 6)):
        assert write.location is not None
        assert write.location.line == project.line(comment)
        assert write.library_at is not None
        assert (Path(write.library_at.path).name, write.library_at.line) == ("recording_library.py", line)


def test_what_a_library_has_read_is_a_checkpoint(project: Project) -> None:
    installed = project.root / "site-packages"
    installed.mkdir()
    sys.path.insert(0, str(installed))
    (installed / "recording_hub.py").write_text(
        "import torch\n\n\ndef from_pretrained(model, path):\n"
        "    for name, tensor in torch.load(path).items():\n"
        "        setattr(model, name, torch.nn.Parameter(tensor))\n"
    )
    torch.save({"weight": torch.randn(4, 4), "bias": torch.randn(4)}, project.root / "state.pt")
    try:
        net, recording = project.record(
            f"""
            import recording_hub
            class Net(nn.Linear):
                def __init__(self):
                    super().__init__(4, 4)
                    recording_hub.from_pretrained(self, {str(project.root / "state.pt")!r})
                    nn.init.zeros_(self.bias)
            """
        )
    finally:
        sys.path.remove(str(installed))
    assert [write.author for write in recording.writes(net.weight)] == ["checkpoint"]
    assert [write.author for write in recording.writes(net.bias)] == ["checkpoint", "user"]
    assert recording.writes(net.weight)[0].location.line == project.line("from_pretrained(")


def test_clones(project: Project) -> None:
    net, recording = project.record(
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.a = nn.Linear(4, 4)
                nn.init.ones_(self.a.weight)
                self.b = copy.deepcopy(self.a)
                self.c = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 2, enable_nested_tensor=False)
        """
    )
    assert functions(recording.writes(net.b.weight)) == ["kaiming_uniform_", "ones_", "copy.deepcopy"]
    clone = recording.writes(net.b.weight)[-1]
    assert clone.author == "user"
    assert clone.distribution.value == 1.0
    assert recording.origin(net.a) == "constructed"
    assert recording.origin(net.b) == "cloned"
    inner = net.c.layers[1].linear1
    assert recording.origin(inner) == "cloned"
    write = recording.writes(inner.weight)[-1]
    assert (write.function, write.author) == ("copy.deepcopy", "framework")
    assert write.location is not None
    assert write.location.line == project.line("nn.TransformerEncoder(")


def test_checkpoints(project: Project) -> None:
    net, recording = project.record(
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
                state = {"weight": torch.ones(4, 4), "bias": torch.ones(4)}
                self.a.load_state_dict(state)
                self.b.load_state_dict(state, assign=True)
                nn.init.zeros_(self.b.bias)
        """
    )
    for layer in (net.a, net.b):
        loaded = [w for w in recording.writes(layer.bias) if w.function == "torch.nn.Module.load_state_dict"]
        assert [write.author for write in loaded] == ["checkpoint"]
    assert recording.writes(net.b.bias)[-1].function == "torch.nn.init.zeros_"


def test_a_loop_is_an_application_and_a_constructor_is_none(project: Project) -> None:
    net, recording = project.record(
        """
        class Block(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 4)
                nn.init.zeros_(self.fc.bias)

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.blocks = nn.ModuleList([Block() for _ in range(3)])
                self.norm = nn.LayerNorm(4)
                self._init_weights()
                self.head = nn.Linear(4, 2)

            def _init_weights(self):
                for m in self.modules():
                    if isinstance(m, nn.Linear):
                        self._draw(m)
                    elif isinstance(m, nn.LayerNorm):
                        nn.init.ones_(m.weight)

            def _draw(self, m):
                nn.init.normal_(m.weight, std=0.02)
        """
    )
    (application,) = recording.applications(net)
    assert application.initializer == "_init_weights"
    assert application.root == ""
    assert application.kinds == ("Linear", "LayerNorm")
    assert application.covered == ("blocks.0.fc", "blocks.1.fc", "blocks.2.fc", "norm")
    assert application.location is not None
    assert application.location.line == project.line("self._init_weights()")
    order, place = recording.made(net.head)
    assert order > application.order
    assert place is not None
    assert place.line == project.line("self.head = ")
    assert recording.writes(net.blocks[1].fc.weight)[-1].application is application
    assert recording.writes(net.blocks[1].fc.bias)[-1].application is None


def test_calls_say_what_was_passed(project: Project) -> None:
    net, recording = project.record(
        """
        init_std = 0.02
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.bn = nn.BatchNorm2d(8)
                self.fc = nn.Linear(8, 8)
                nn.init.normal_(self.bn.weight, init_std)
                trunc_normal_(self.fc.weight, std=init_std)
                self.fc.bias.data.uniform_(-1, 1)
                self.fc.reset_parameters()
        """
    )
    normal, trunc, uniform = recording.calls
    assert (normal.function, normal.target.kinds, normal.target.attribute) == (
        "torch.nn.init.normal_",
        ("BatchNorm2d",),
        "weight",
    )
    assert (normal.positional, normal.given, normal.within) == (("tensor", "mean"), ("tensor", "mean"), "__init__")
    assert dict(normal.arguments) == {"mean": 0.02, "std": 1.0}
    assert trunc.arguments["std"] == 0.02
    if sys.version_info >= (3, 11):
        assert dict(normal.spellings) == {"mean": "init_std"}
        assert normal.target.text == "self.bn.weight"
        assert (trunc.given, trunc.positional) == (("tensor", "std"), ("tensor",))
        assert uniform.positional == ("from", "to")
    assert (uniform.function, uniform.target.shape) == ("torch.Tensor.uniform_", (8,))
    reset = recording.writes(net.fc.weight)[-1]
    assert (reset.function, reset.author, reset.distribution.scheme) == (
        "torch.nn.Linear.reset_parameters",
        "user",
        "default",
    )


def test_what_cannot_be_seen_is_unknown(project: Project) -> None:
    net, recording = project.record(
        """
        outside = torch.ones(3)
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.w = nn.Parameter(torch.ones(3))
                self.w.detach().numpy()[:] = 7
                self.v = nn.Parameter(outside)
                self.lazy = nn.LazyLinear(3)
                self.shared = nn.Parameter(torch.ones(3))
                torch.from_dlpack(self.shared.detach()).fill_(2)
                self.mapped = nn.Parameter(torch.ones(3))
                self.mapped.detach().apply_(lambda x: 2.0)
        """
    )
    for tensor in (net.w, net.v, net.lazy.weight, net.shared, net.mapped):
        assert not known(recording.writes(tensor))


@pytest.mark.parametrize(
    ("make", "family"),
    [
        ("torch.randn(1, 4).expand(4, 4).clone()", UNKNOWN),  # one draw, four times
        ("torch.randn(1, 4).repeat(4, 1)", UNKNOWN),
        ("torch.zeros(4, 4).copy_(torch.randn(1, 4).expand(4, 4))", UNKNOWN),
        ("torch.normal(torch.zeros(4, 4), 0.02)", UNKNOWN),
        ("torch.distributions.Normal(0.0, 0.02).sample((4, 4))", UNKNOWN),
        ("torch.stack([torch.zeros(4), torch.ones(4)])", UNKNOWN),
        ("torch.randn(4, 4) @ torch.randn(4, 4)", UNKNOWN),
        ("torch.randn(4, 8)[:, :4].contiguous()", "normal"),
        ("torch.randn(4, 4) * torch.tensor(0.1)", "normal"),
        ("torch.zeros(4, 4).copy_(torch.randn(4, 8)[:, ::2])", "normal"),
        ("torch.tensor([[0.5, 0.25]])", "data"),
    ],
)
def test_what_is_computed_is_known_or_unknown_and_never_wrong(project: Project, make: str, family: Any) -> None:
    net, recording = project.record(
        f"""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.w = nn.Parameter({make})
        """
    )
    write = recording.writes(net.w)[-1]
    assert write.distribution.family is family if family is UNKNOWN else write.distribution.family == family
    assert write.location is not None
    assert write.location.line == project.line("nn.Parameter(")


def test_tied_and_cast_parameters_keep_their_history(project: Project) -> None:
    net, recording = project.record(
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.embed = nn.Embedding(10, 4)
                self.head = nn.Linear(4, 10, bias=False)
                self.head.weight = self.embed.weight
                nn.init.normal_(self.head.weight, std=0.02)
                self.half()
        """
    )
    assert recording.writes(net.head.weight) != ()
    assert functions(recording.writes(net.embed.weight)) == ["normal_", "normal_"]
    assert net.embed.weight.dtype is torch.float16


@pytest.mark.parametrize(
    "make",
    [
        "nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))",
        "nn.utils.parametrizations.orthogonal(nn.Linear(4, 4))",
        "nn.utils.spectral_norm(nn.Linear(4, 4))",
        "nn.LSTM(4, 4, 2, bidirectional=True)",
        "nn.MultiheadAttention(8, 2)",
        "nn.utils.skip_init(nn.Linear, 4, 4)",
        "torch.jit.script(nn.Linear(4, 4))",
        "torch.fx.symbolic_trace(nn.Linear(4, 4))",
        "nn.Sequential(*[copy.deepcopy(nn.LazyLinear(4)) for _ in range(2)])",
        "nn.Linear(4, 4, device='meta')",
        "nn.Linear(4, 4, dtype=torch.bfloat16)",
        "nn.EmbeddingBag(10, 4, sparse=True)",
    ],
)
def test_every_kind_of_layer_can_be_recorded(project: Project, make: str) -> None:
    module = project.module(f"import torch.fx\ndef build():\n    return nn.ModuleDict(dict(layer={make}))\n")
    with Recorder(str(project.root)) as recorder:
        net = module.build()
    recording = recorder.finish(net)
    for tensor in [*net.parameters(), *net.buffers()]:
        writes = recording.writes(tensor)
        assert writes is UNKNOWN or writes[-1].location.line == project.line("return nn.ModuleDict")


def test_everything_is_put_back(project: Project) -> None:
    before = [dict(vars(owner)) for owner in (nn.Module, nn.init, torch.Tensor)]
    flags = (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled())
    module = project.module("def build():\n    raise KeyboardInterrupt\n")
    recorder = Recorder()
    with recorder:
        assert torch.empty(3).isnan().all()
    with pytest.raises(KeyboardInterrupt), recorder:
        module.build()
    assert recorder.finish(nn.Identity()).calls == ()
    for owner, attributes in zip((nn.Module, nn.init, torch.Tensor), before, strict=True):
        assert dict(vars(owner)) == attributes
    assert flags == (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )


def test_a_name_imported_while_recording_still_works_afterwards(project: Project) -> None:
    with Recorder(str(project.root)):
        module = project.module("def build():\n    m = nn.Linear(2, 2)\n    trunc_normal_(m.weight)\n    return m\n")
    with Recorder(str(project.root)) as recorder:
        net = module.build()
    assert functions(recorder.finish(net).writes(net.weight)) == ["kaiming_uniform_", "trunc_normal_"]


def test_meta_tensors_are_known_by_the_call_alone(project: Project) -> None:
    net, recording = project.record(
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                with torch.device("meta"):
                    self.fc = nn.Linear(4, 8)
                    self.w = nn.Parameter(torch.empty(3))
                nn.init.orthogonal_(self.fc.weight)
                nn.init.trunc_normal_(self.fc.bias, std=0.1)
        """
    )
    assert functions(recording.writes(net.fc.weight))[-1] == "orthogonal_"
    assert functions(recording.writes(net.fc.bias))[-1] == "trunc_normal_"
    assert recording.writes(net.w)[-1].distribution.is_uninitialized


def test_a_librarys_own_init_of_a_computed_weight_is_not_the_users_slip(project: Project) -> None:
    installed = project.root / "site-packages"
    installed.mkdir()
    sys.path.insert(0, str(installed))
    (installed / "recording_models.py").write_text(
        "from torch import nn\n\n\ndef init_weights(module):\n    module.weight.data.normal_()\n"
    )
    try:
        net, recording = project.record(
            """
            import recording_models
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.left = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
                    recording_models.init_weights(self.left)
                    self.own = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
                    nn.init.zeros_(self.own.weight)
            """
        )
    finally:
        sys.path.remove(str(installed))
    ((_, _, left),) = recording.computed(net.left)
    ((name, wrapper, own),) = recording.computed(net.own)
    assert left == ()
    assert (name, wrapper, functions(own)) == ("weight", "torch.nn.utils.parametrizations.weight_norm", ["zeros_"])


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_a_cast_moves_what_was_written_to_where_it_lies_now(project: Project, dtype: str) -> None:
    net, recording = project.record(
        f"""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(8, 8)
                nn.init.normal_(self.fc.weight)
                with torch.no_grad():
                    self.fc.weight[0].zero_()
                self.w = nn.Parameter(torch.empty(8, 8))
                with torch.no_grad():
                    self.w[:4].normal_()
                self.to(torch.{dtype})
        """
    )
    writes = recording.writes(net.fc.weight)
    assert functions(writes) == ["kaiming_uniform_", "normal_", "torch.Tensor.zero_"]
    assert [write.overwrites for write in writes] == [True, True, False]
    assert recording.bare_rows(net.w) == (4, 8)
    assert recording.writes(net.w)[0].distribution.is_uninitialized
    assert not net.w[4:].any()


@pytest.mark.parametrize(
    "make",
    [
        "torch.empty(5, dtype=torch.uint16)",
        "torch.empty(5).index_fill_(0, torch.tensor([0, 1]), 1.0).to(torch.float8_e4m3fn)",
    ],
)
def test_memory_that_cannot_be_masked_becomes_zeros_too(project: Project, make: str) -> None:
    net, _ = project.record(
        f"""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.register_buffer("table", {make})
        """
    )
    assert not net.table.float()[2:].any()


def test_a_table_shorter_than_its_padding_row_is_no_crash(project: Project) -> None:
    net, recording = project.record(
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.embedding = nn.Embedding(10, 4, padding_idx=9)
                self.embedding.weight = nn.Parameter(torch.randn(5, 4))
        """
    )
    assert recording.padding_write(net.embedding, net.embedding.weight) is None


def test_what_a_loose_load_left_goes_by_the_first_key_that_one_renamed_part_explains(project: Project) -> None:
    net, recording = project.record(
        """
        class Part(nn.Module):
            def __init__(self, *names):
                super().__init__()
                self.common = nn.Linear(2, 2)
                self.blocks = nn.ModuleList(nn.ModuleDict({name: nn.Linear(2, 2) for name in names}) for _ in range(2))
                self.out = nn.ModuleDict({names[0]: nn.ModuleDict({"fc": nn.Linear(2, 3)})})

        class Net(Part):
            def __init__(self):
                super().__init__("new")
                given = Part("old", "older").state_dict()
                given["elsewhere.new.fc.weight"] = given.pop("out.old.fc.weight")
                self.load_state_dict(given, strict=False)
        """
    )
    assert recording.left_out(net.common.weight) is None
    assert recording.left_out(net.blocks[1]["new"].weight).other == "blocks.1.old.weight"
    assert recording.left_out(net.out["new"]["fc"].bias).other == "out.old.fc.bias"
    assert recording.left_out(net.out["new"]["fc"].weight) is None, "another part of the model"
