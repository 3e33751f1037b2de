"""Configuration files: what is found, what is read, what is refused and how."""

from __future__ import annotations

import datetime
import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from initlint.config import Config, ConfigError, Configurations, inline
from initlint.findings import Severity
from initlint.settings import INITIALIZER_KEYS, KEYS, MODEL_KEYS


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: str, text: str) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file.absolute()


def of(path: str, **overrides: Any) -> Config:
    return Configurations(overrides=overrides).of(str(Path(path).absolute()))


def test_every_key_has_its_field_and_a_line_for_the_reference() -> None:
    fields = {key.field for key in KEYS}
    assert fields == set(Config.__dataclass_fields__) - {"path", "root"}  # type: ignore[attr-defined]
    for key in (*KEYS, *MODEL_KEYS, *INITIALIZER_KEYS):
        assert key.doc.endswith(".")
        assert key.kind.words


def test_the_nearest_file_counts_alone() -> None:
    write("pyproject.toml", '[tool.initlint]\nignore = ["INI5"]\nadvice = true\n')
    write("src/initlint.toml", 'ignore = ["INI3"]\n')
    write("src/part/pyproject.toml", "[project]\nname = 'initlint is not configured here'\n")
    write("src/other/pyproject.toml", "[tool.black\n")  # no business of ours
    assert of("a.py").ignore == ("INI5",)
    assert of("new/deep/down.py").ignore == ("INI5",)
    for path in ("src/a.py", "src/part/a.py", "src/other/a.py"):
        assert (of(path).ignore, of(path).advice) == (("INI3",), False)
        assert of(path).root == str(Path("src").absolute())


def test_one_directory_may_hold_several() -> None:
    write("pyproject.toml", '[tool.initlint]\nignore = ["INI1"]\n')
    assert of("a.py").ignore == ("INI1",)
    write("initlint.toml", 'ignore = ["INI2"]\n')
    assert of("a.py").ignore == ("INI2",)
    write(".initlint.toml", "")
    assert of("a.py").ignore == ()


@pytest.mark.parametrize(
    "text",
    [
        "[tool.initlint]\nadvice = true\n",
        "[ tool . 'initlint' ]\nadvice = true\n",
        '["tool"."initlint"]\nadvice = true\n',
        "tool.initlint.advice = true\n",
        "[tool]\ninitlint.advice = true\n",
        "[tool]\ninitlint = { advice = true }\n",
        "tool = { initlint = { advice = true } }\n",
        "[project]\nname = 'initlint-user'\n[tool.black]\n[tool.initlint]\nadvice = true\n",
    ],
)
def test_every_spelling_of_the_table(text: str) -> None:
    write("pyproject.toml", text)
    assert of("a.py").advice


def test_a_file_that_is_named_stands_in_place_of_all_others() -> None:
    write("pyproject.toml", '[tool.initlint]\nignore = ["INI1"]\n')
    other = write("other/some.toml", 'ignore = ["INI2"]\n')
    config = Configurations(str(other)).of(str(Path("a.py").absolute()))
    assert (config.ignore, config.root) == (("INI2",), str(other.parent))
    with pytest.raises(ConfigError, match=r"^empty/pyproject.toml: has no \[tool.initlint\]$"):
        Configurations(str(write("empty/pyproject.toml", "")))


def test_what_is_asked_for_comes_first() -> None:
    write("initlint.toml", 'select = ["INI1"]\nextend-select = ["INI2"]\nignore = ["INI101", "INI5"]\n')
    assert of("a.py", select=("INI5",)).extend_select == ()
    assert of("a.py", select=("INI5",)).ignore == ("INI101",)  # INI5 is asked for by its name
    assert of("a.py", extend_select=("INI3",)).extend_select == ("INI2", "INI3")
    assert of("a.py", ignore=()).ignore == ()


def test_every_kind_of_value() -> None:
    write(
        "initlint.toml",
        """
        select = ["ini5", "ALL"]
        severity = { INI501 = "warning", INI3 = "advice" }
        per-file-ignores = { "tests/**" = ["INI1"], "!src/**" = ["ALL"] }
        ignore-parameters = ["*.lora_B*"]
        fail-on = "error"
        max-file-size = "2MB"
        timeout = 30
        memory-limit = "4G"
        python = "env/bin/python"
        baseline = "known.json"

        [[model]]
        target = "model.py::Net"
        batch = { x = "8x3", mask = "8x3" }
        args = { width = 64, name = "it's", flags = [true, 1.5] }
        device = "cpu"

        [[initializer]]
        name = "ours.trunc_"
        signature = "(w, *, scale=0.02, cut: float = 2 * 1)"
        std = "scale"
        """,
    )
    config = of("a.py")
    assert config.select == ("INI5", "ALL")
    assert config.severity == (("INI3", Severity.ADVICE), ("INI501", Severity.WARNING))
    assert config.ignores("INI101", str(Path("tests/a/b.py").absolute()))
    assert config.ignores("INI501", str(Path("docs/a.py").absolute()))
    assert not config.ignores("INI501", str(Path("src/a.py").absolute()))
    assert (config.max_file_size, config.timeout, config.memory_limit) == (2_000_000, 30.0, "4G")
    assert config.python == str(Path("env/bin/python").absolute())
    assert config.baseline == str(Path("known.json").absolute())
    (model,) = config.models
    assert model.batch == ("x=8x3", "mask=8x3")
    assert model.args == ("width=64", 'name="it\'s"', "flags=[True, 1.5]")
    (own,) = config.initializers
    assert own.parameters == (("w", ()), ("scale", (0.02,)), ("cut", ()))
    assert (own.tensor, own.like, own.meanings) == ("w", None, (("std", "scale"),))


REFUSED = [
    ('selct = ["INI1"]', "selct is no key: did you mean select?"),
    ('per_file_ignores = {}', "per_file_ignores is no key: did you mean per-file-ignores?"),
    ("select = 3", "select holds a list of codes, not 3"),
    ('select = "INI5"', "select holds a list of codes, not 'INI5'"),
    ('ignore = ["no code!"]', "ignore holds a list of codes"),
    ('advice = "yes"', "advice holds true or false, not 'yes'"),
    ('severity = { INI501 = "grave" }', "severity.INI501 holds error, warning or advice, not 'grave'"),
    ('per-file-ignores = { "a.py" = "INI5" }', "per-file-ignores.'a.py' holds a list of codes"),
    ('per-file-ignores = { "!" = ["INI5"] }', "per-file-ignores has a pattern that cannot be read: '!'"),
    ('exclude = ["[z-a]"]', "exclude holds a list of path patterns"),
    ('fail-on = "never"', "fail-on holds error, warning or advice, not 'never'"),
    ("timeout = 0", "timeout holds a number of seconds above 0, not 0"),
    ("timeout = nan", "timeout holds a number of seconds above 0, not nan"),
    ("timeout = true", "timeout holds a number of seconds above 0, not True"),
    ('max-file-size = "big"', "max-file-size holds a number of bytes"),
    ('memory-limit = "4 apples"', "memory-limit holds a size"),
    ('plugins = ["not a module"]', "plugins holds a list of module names"),
    ("model = { target = 'a.py' }", "model holds tables, written with double brackets"),
    ("[[model]]\nbatch = '8x3'", "model[0] has no target"),
    ("[[model]]\ntarget = 'a.py'\ntimeot = 3", "model[0].timeot is no key: did you mean timeout?"),
    ("[[model]]\ntarget = 'a.py'\nbatch = 3", "model[0].batch holds a batch"),
    ("[[model]]\ntarget = 'a.py'\nargs = { x = 2020-01-01 }", "model[0].args.x holds a number, a text"),
    ("[[model]]\ntarget = 'a.py'\ndevice = 'toaster'", "model[0].device holds auto, cpu"),
    ("[[initializer]]\nname = 'a.b'", "initializer[0] has no signature"),
    ("[[initializer]]\nname = 'a b'", "initializer[0].name holds a dotted name"),
    ("[[initializer]]\nname = 'a.b'\nsignature = '(w'", "initializer[0].signature holds the parameters"),
    ("[[initializer]]\nname = 'a.b'\nsignature = '()'", "initializer[0] has a signature without a parameter"),
    ("[[initializer]]\nname = 'a.b'\nsignature = 'w, sd'\nstd = 's'", "none of its parameters: did you mean sd?"),
    ("[[initializer]]\nname = 'a.b'\nsignature = 'w, s'\ngain = 's'", "not which function of torch.nn.init it is like"),
    ("[[initializer]]\nname = 'a.b'\nsignature = 'w, s'\ngain = 's'\nlike = 'eye_'", "is like eye_, which has no gain"),
    ("[[initializer]]\nname = 'a.b'\nsignature = 'w, s'\nstd = 's'\nlike = 'norml_'", "did you mean normal_?"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), REFUSED, ids=[text.replace("\n", "; ") for text, _ in REFUSED])
def test_what_means_nothing_is_one_line_with_the_file_and_the_key(text: str, said: str) -> None:
    write("initlint.toml", text)
    with pytest.raises(ConfigError) as refused:
        of("a.py")
    assert str(refused.value).startswith("initlint.toml: ")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    Path("initlint.toml").unlink()
    nested = re.sub(r"^\[\[", "[[tool.initlint.", text)
    write("pyproject.toml", nested if nested != text else f"[tool.initlint]\n{text}")
    with pytest.raises(ConfigError) as again:
        of("a.py")
    assert str(again.value).startswith("pyproject.toml: tool.initlint.")
    assert said in str(again.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"select = [\n", r"initlint.toml: is not TOML"),
        (b"a = 1\nselect = ]\n", r"initlint.toml:2:10: is not TOML"),
        (b"# \xff\n", r"initlint.toml:1: is not UTF-8"),
        (b"a = " + b"[" * 100_000, r"initlint.toml: is nested too deeply"),
        (b"a = 1" + b"0" * 10_000, r"initlint.toml: is not TOML"),
    ],
)
def test_what_is_no_toml(data: bytes, said: str) -> None:
    Path("initlint.toml").write_bytes(data)
    with pytest.raises(ConfigError, match=rf"^{said}"):
        of("a.py")


def test_a_byte_order_mark_is_no_matter() -> None:
    Path("initlint.toml").write_bytes(b"\xef\xbb\xbfadvice = true\n")
    assert of("a.py").advice


def test_plain_data_with_a_digest_of_what_reading_depends_on() -> None:
    write("initlint.toml", "[[initializer]]\nname = 'a.b'\nsignature = 'w, s'\nstd = 's'\n")
    config = of("a.py")
    assert pickle.loads(pickle.dumps(config)) == config
    assert hash(config) == hash(of("b.py"))
    assert config.digest == of("b.py").digest
    assert config.digest == of("a.py", timeout=3.0, python="python").digest
    for name, value in {
        "select": ("INI5",),
        "extend_select": ("INI5",),
        "ignore": ("INI5",),
        "advice": True,
        "severity": (("INI5", Severity.ERROR),),
        "per_file_ignores": (("a.py", ("INI5",)),),
        "ignore_parameters": ("*",),
        "initializers": (),
        "plugins": ("ours",),
        "max_file_size": 3,
    }.items():
        assert config.digest != of("a.py", **{name: value}).digest, name


def test_lines_of_the_command_line() -> None:
    assert inline('select = ["INI5"]') == {"select": ("INI5",)}
    assert inline("[[model]]\ntarget = 'a.py'")["models"][0].target == "a.py"
    with pytest.raises(ConfigError, match=r"^--config: selct is no key: did you mean select\?$"):
        inline("selct = []")


def test_what_the_reference_shows_is_understood() -> None:
    reference = (Path(__file__).parent.parent / "docs/hooks/configuration.md").read_text()
    (shown,) = re.findall(r"```toml\n(.*?)```", reference, re.DOTALL)
    write("pyproject.toml", shown)
    config = of("a.py")
    assert (len(config.models), len(config.initializers), config.severity) == (1, 1, (("INI305", Severity.ERROR),))


SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**80), 2**80),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        ["INI5", "4G", "a.b", "(w, std=1)", "!x", "[", "cuda:1", "error", "normal_", "a.py::Net", "w", "8x3"]
    ),
    st.just(datetime.date(2020, 1, 1)),
    st.just(datetime.time(1, 2, 3)),
)
NAMES = st.one_of(
    st.sampled_from([key.name for key in (*KEYS, *MODEL_KEYS, *INITIALIZER_KEYS)]),
    st.text(max_size=8),
    st.just("INI501"),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6), max_leaves=12
)


def toml(value: Any) -> str:
    """A value in TOML, as an inline one."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        return json.dumps(value).replace("\x7f", "\\u007f")
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{toml(name)} = {toml(each)}' for name, each in value.items())}}}"
    return str(value)


def refused(make: Callable[[], Any]) -> tuple[str, Any]:
    """What a configuration is refused with, and what it is where it is not."""
    try:
        return "", make()
    except ConfigError as error:
        return str(error), None


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=st.dictionaries(NAMES, VALUES, max_size=4))
def test_any_toml_is_a_configuration_or_one_line(table: dict[str, Any]) -> None:
    text = "".join(f"{toml(name)} = {toml(value)}\n" for name, value in table.items())
    Path("initlint.toml").write_bytes(text.encode("utf-8", "surrogatepass"))
    said, config = refused(lambda: of("a.py"))
    if config is None:
        assert said.startswith("initlint.toml:")
        assert "\n" not in said
    else:
        assert pickle.loads(pickle.dumps(config)).digest == config.digest
        config.ignores("INI501", str(Path("a.py").absolute()))


@settings(max_examples=100, deadline=None)
@given(text=st.text())
def test_any_text_is_fields_or_one_line(text: str) -> None:
    assert "\n" not in refused(lambda: inline(text))[0]


@pytest.mark.parametrize(
    ("text", "size"), [("4G", 4 * 2**30), ("4GiB", 4 * 2**30), ("4 GB", 4 * 10**9), ("512", 512), ("1.5k", 1536)]
)
def test_a_size_means_the_same_wherever_it_stands(tmp_path: Path, text: str, size: int) -> None:
    from initlint.building import Asked, plan

    (tmp_path / "initlint.toml").write_text(f'memory-limit = "{text}"\nmax-file-size = "{text}"\n')
    config = Configurations().of(str(tmp_path / "model.py"))
    assert plan(Asked(), config).memory_limit == config.max_file_size == size
