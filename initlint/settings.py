"""The keys of a configuration: what each is called, what it may hold, what it means.

``KEYS`` and the keys of the two kinds of sub-table are said once, here: configuration files are read by them, and the
documentation's reference is made of them.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from initlint.findings import Severity
from initlint.globs import DEFAULT_EXCLUDE, can_be_read
from initlint.record import record
from initlint.theory.precision import FORMATS, canonical

__all__ = ["INITIALIZER_KEYS", "KEYS", "MODEL_KEYS", "InitializerTable", "Key", "ModelTable", "Refused", "read_table"]


class Refused(ValueError):
    """A value that a key cannot hold; the text goes on after the key: " holds a list of codes, not 3"."""


class Kind(NamedTuple):
    """What a key may hold: in words, and how it is read (raises Refused)."""

    words: str
    read: Callable[[Any], Any]


class Key(NamedTuple):
    """One key: its name in the file, what it holds, its default in words, and a line for the reference."""

    name: str
    kind: Kind
    default: str
    doc: str

    @property
    def field(self) -> str:
        """The attribute that holds it."""
        return {"model": "models", "initializer": "initializers"}.get(self.name, self.name.replace("-", "_"))


@record(frozen=True, slots=True)
class InitializerTable:
    """A team's own function that sets a tensor's values.

    ``parameters`` are (name, default) as in its definition, defaults that are no literal left out. ``meanings`` maps
    what an argument is, by the name that torch.nn.init gives it (``val``, ``a`` and ``b`` among them), to the
    parameter's own name. ``like`` is the function of torch.nn.init that draws the same, None if there is none.
    """

    name: str
    parameters: tuple[tuple[str, tuple[Any, ...]], ...]
    tensor: str
    like: str | None = None
    meanings: tuple[tuple[str, str], ...] = ()


@record(frozen=True, slots=True)
class ModelTable:
    """A model to build: what ``check`` takes as a target, and how.

    ``batch`` is spelled as --batch takes it, ``args`` as --arg does. None is left to the run.
    """

    target: str
    batch: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    device: str | None = None
    seed: int | None = None
    seeds: int | None = None
    widths: str | None = None
    python: str | None = None
    timeout: float | None = None
    memory_limit: str | None = None
    loss: str | None = None
    dtype: str | None = None
    meta: bool | None = None


def read_table(table: Mapping[str, Any], keys: tuple[Key, ...], where: str) -> dict[str, Any]:
    """The values of a table by field. Raises Refused, in one line that begins with the key."""
    by_name = {key.name: key for key in keys}
    values = {}
    for name, value in table.items():
        key = by_name.get(name)
        if key is None:
            raise Refused(f"{where}{_quoted(name)} is no key{_near(name, list(by_name))}")
        try:
            values[key.field] = key.kind.read(value)
        except Refused as refused:
            raise Refused(f"{where}{name}{refused}") from None
    return values


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[\w-]+", name) else repr(name)


def _near(name: str, names: list[str]) -> str:
    spelled = name.replace("_", "-").lower()
    close = [spelled] if spelled in names else difflib.get_close_matches(spelled, names, n=1, cutoff=0.5)
    return f": did you mean {close[0]}?" if close else f" (there are {', '.join(names)})"


def _must(words: str, value: Any) -> Refused:
    shown = repr(value)
    return Refused(f" holds {words}, not {shown if len(shown) <= 40 else shown[:37] + '...'}")


def _plain(words: str, accepts: Callable[[Any], bool], convert: Callable[[Any], Any] = lambda value: value) -> Kind:
    def read(value: Any) -> Any:
        if not accepts(value):
            raise _must(words, value)
        return convert(value)

    return Kind(words, read)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and "\0" not in value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _list_of(words: str, one: Callable[[Any], bool], convert: Callable[[Any], Any] = lambda value: value) -> Kind:
    return _plain(
        words,
        lambda value: isinstance(value, list) and all(map(one, value)),
        lambda value: tuple(dict.fromkeys(map(convert, value))),
    )


def _is_code(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\s*[A-Za-z]+[0-9]*\s*", value) is not None


def _code(value: str) -> str:
    return value.strip().upper()


def _is_pattern(value: Any) -> bool:
    return _is_text(value) and "\n" not in value and can_be_read(value)


_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?b)?", re.IGNORECASE)


def bytes_of(text: str) -> int:
    """How many bytes a size means, 0 for what is none.

    The unit is that of other tools: 4G and 4GiB are powers of 1024, 4GB is one of 1000.
    """
    match = _SIZE.fullmatch(text.strip()) if len(text) < 30 else None
    if match is None:
        return 0
    base = 1000 if (match[3] or "").lower() == "b" else 1024
    return int(float(match[1]) * base ** " kmgt".index(match[2].lower() or " "))


def is_device(text: str) -> bool:
    """Whether a device is one that a model can be built for: auto, cpu, cuda, cuda:1 or mps."""
    return re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", text) is not None


_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")


def is_loss(text: str) -> bool:
    """Whether a text can name a loss: cross-entropy, mse, module:function, or a function of the model's own file."""
    return text in ("cross-entropy", "mse") or all(map(_DOTTED.fullmatch, text.split(":", 1)))


def _bytes(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    return bytes_of(value) if isinstance(value, str) else 0


def _severities(value: Any) -> tuple[tuple[str, Severity], ...]:
    words = "a table of codes with error, warning or advice"
    if not isinstance(value, dict) or not all(map(_is_code, value)):
        raise _must(words, value)
    for code, word in value.items():
        if word not in ("error", "warning", "advice"):
            raise Refused(f".{_quoted(code)} holds error, warning or advice, not {word!r}")
    return tuple(sorted((_code(code), Severity.parse(word)) for code, word in value.items()))


def _per_file(value: Any) -> tuple[tuple[str, tuple[str, ...]], ...]:
    words = "a table of path patterns, each with a list of codes"
    if not isinstance(value, dict):
        raise _must(words, value)
    for pattern, codes in value.items():
        if not _is_pattern(pattern):
            raise Refused(f" has a pattern that cannot be read: {pattern!r}")
        if not isinstance(codes, list) or not all(map(_is_code, codes)):
            raise Refused(f".{_quoted(pattern)} holds a list of codes, not {str(codes)[:40]!r}")
    return tuple((pattern, tuple(map(_code, codes))) for pattern, codes in value.items())


def _batch(value: Any) -> tuple[str, ...]:
    if _is_text(value):
        return (value,)
    if isinstance(value, list) and value and all(map(_is_text, value)):
        return tuple(value)
    if isinstance(value, dict) and value and all(map(str.isidentifier, value)) and all(map(_is_text, value.values())):
        return tuple(f"{name}={spec}" for name, spec in value.items())
    raise _must("a batch as --batch takes it, a list of such, or a table of them by input", value)


def _widths(value: Any) -> str:
    if _is_text(value):
        return str(value)
    if isinstance(value, list) and value and all(type(each) is int for each in value):
        return ",".join(map(str, value))
    raise _must("widths as --widths takes them, or a list of numbers", value)


def _arguments(value: Any) -> tuple[str, ...]:
    if not isinstance(value, dict) or not all(map(str.isidentifier, value)):
        raise _must("a table of arguments by name", value)
    for name, each in value.items():
        if not _is_literal(each):
            raise Refused(f".{name} holds a number, a text, true or false, or a list or table of such")
    return tuple(f"{name}={each!r}" for name, each in value.items())


def _is_literal(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list):
        return all(map(_is_literal, value))
    if isinstance(value, dict):
        return all(map(_is_literal, value.values()))
    return isinstance(value, (str, int))


def _signature(value: Any) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    words = "the parameters as the function's definition has them, such as (tensor, scale=0.02)"
    import ast

    if not isinstance(value, str) or len(value) > 2000:
        raise _must(words, value)
    try:
        text = value.strip()
        text = text if text.startswith("(") and text.endswith(")") else f"({text})"
        (definition,) = ast.parse(f"def f{text}: ...").body
        given = definition.args  # type: ignore[attr-defined]
    except (SyntaxError, ValueError, RecursionError, MemoryError, AttributeError):
        raise _must(words, value) from None
    names = [*given.posonlyargs, *given.args]
    defaults: list[Any] = [None] * (len(names) - len(given.defaults)) + given.defaults
    return tuple(
        (name.arg, _literal(default))
        for name, default in [
            *zip(names, defaults, strict=True),
            *zip(given.kwonlyargs, given.kw_defaults, strict=True),
        ]
    )


def _literal(node: Any) -> tuple[Any, ...]:
    """The default that an expression is, as a tuple of one; empty where there is none or it is no plain value."""
    import ast

    try:
        value = ast.literal_eval(node) if node is not None else ()
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return ()
    return (value,) if value is None or isinstance(value, (int, float, str)) else ()


def _tables(keys: Callable[[], tuple[Key, ...]], make: Callable[[dict[str, Any]], Any]) -> Kind:
    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise _must("tables, written with double brackets", value)
        found = []
        for number, each in enumerate(value):
            values = read_table(each, keys(), f"[{number}].")
            try:
                found.append(make(values))
            except Refused as refused:
                raise Refused(f"[{number}] {refused}") from None
        return tuple(found)

    return Kind("tables", read)


def _model(values: dict[str, Any]) -> ModelTable:
    if "target" not in values:
        raise Refused("has no target")
    return ModelTable(**values)


_MEANINGS = {
    "mean": "mean",
    "std": "std",
    "low": "a",
    "high": "b",
    "value": "val",
    "gain": "gain",
    "slope": "a",
    "fan": "mode",
    "nonlinearity": "nonlinearity",
}
_LIKE = {
    "uniform_": {"low", "high"},
    "normal_": {"mean", "std"},
    "trunc_normal_": {"mean", "std", "low", "high"},
    "constant_": {"value"},
    "ones_": set(),
    "zeros_": set(),
    "eye_": set(),
    "dirac_": set(),
    "xavier_uniform_": {"gain"},
    "xavier_normal_": {"gain"},
    "kaiming_uniform_": {"slope", "fan", "nonlinearity"},
    "kaiming_normal_": {"slope", "fan", "nonlinearity"},
    "orthogonal_": {"gain"},
}


def _initializer(values: dict[str, Any]) -> InitializerTable:
    for needed in ("name", "signature"):
        if needed not in values:
            raise Refused(f"has no {needed}")
    parameters = values["signature"]
    names = [name for name, _ in parameters]
    if not names:
        raise Refused("has a signature without a parameter for the tensor")
    tensor = values.get("tensor", names[0])
    said = {word: values[word] for word in _MEANINGS if word in values}
    for word, name in (("tensor", tensor), *said.items()):
        if name not in names:
            raise Refused(f"says {word} is {name!r}, which is none of its parameters{_near(name, names)}")
    roles = [tensor, *said.values()]
    if len(set(roles)) < len(roles):
        raise Refused("gives one parameter two meanings")
    like = values.get("like") or ("uniform_" if {"low", "high"} & said.keys() - {"std"} else None)
    like = like or ("constant_" if "value" in said else None)
    if like is None and not said.keys() <= {"mean", "std"}:
        raise Refused(f"says what {', '.join(sorted(said))} is, and not which function of torch.nn.init it is like")
    if like is not None and not said.keys() <= _LIKE[like]:
        raise Refused(f"is like {like}, which has no {', '.join(sorted(said.keys() - _LIKE[like]))}")
    meanings = tuple((_MEANINGS[word], name) for word, name in said.items())
    return InitializerTable(values["name"], parameters, tensor, like and f"torch.nn.init.{like}", meanings)


def _function(value: Any) -> str | None:
    name = value.removeprefix("torch.nn.init.").removeprefix("nn.init.") if isinstance(value, str) else ""
    if name not in _LIKE:
        raise Refused(f" holds a function of torch.nn.init, not {value!r}{_near(str(value), list(_LIKE))}")
    return name


def _is_dotted(value: Any) -> bool:
    return isinstance(value, str) and _DOTTED.fullmatch(value) is not None


TEXT = _plain("a text", _is_text)
FLAG = _plain("true or false", lambda value: isinstance(value, bool))
CODES = _list_of("a list of codes", _is_code, _code)
PATTERNS = _list_of("a list of path patterns", _is_pattern)
TEXTS = _list_of("a list of texts", _is_text)
SECONDS = _plain("a number of seconds above 0", lambda value: _is_number(value) and 0 < value < 1e9, float)
WHOLE = _plain("a whole number", lambda value: _is_number(value) and isinstance(value, int) and abs(value) < 2**63)
SEEDS = _plain("a whole number from 1 to 100", lambda value: type(value) is int and 0 < value <= 100)
FILE_SIZE = _plain('a number of bytes, or a size such as "2MB"', lambda value: 0 < _bytes(value) < 2**50, _bytes)
MEMORY = _plain(
    'a size such as "4G"',
    lambda value: isinstance(value, str) and 0 < bytes_of(value) < 2**60,
    lambda value: value.strip(),
)
DEVICE = _plain(
    "auto, cpu, cuda, cuda:1 or mps",
    lambda value: isinstance(value, str) and is_device(value),
)
LOSS = _plain(
    "cross-entropy, mse, module:function, or a function of the model's file",
    lambda value: isinstance(value, str) and is_loss(value),
)
DTYPE = _plain(
    ", ".join(FORMATS),
    lambda value: isinstance(value, str) and canonical(value) is not None,
)
LEVEL = _plain("error, warning or advice", lambda value: value in ("error", "warning", "advice"), Severity.parse)
DOTTED = _plain("a dotted name", _is_dotted)
PARAMETER = _plain("a parameter's name", lambda value: isinstance(value, str) and value.isidentifier())

MODEL_KEYS = (
    Key("target", TEXT, "", "What to build: path.py::Name or package.module:attribute."),
    Key("batch", Kind("a batch, a list or a table", _batch), "inferred", "The sample input, as --batch takes it."),
    Key("args", Kind("a table", _arguments), "{}", "Arguments for building the model, by name."),
    Key("device", DEVICE, "auto", "Where to run it."),
    Key("seed", WHOLE, "0", "Seed for building and probing."),
    Key("seeds", SEEDS, "1", "How many seeds to build and probe it with; what most show is told."),
    Key("widths", Kind("a list of widths, or a text", _widths), "none", "Widths to build it at, as --widths has them."),
    Key("python", TEXT, "that of initlint", "The interpreter that has its torch."),
    Key("timeout", SECONDS, "120", "Seconds it may take."),
    Key("memory-limit", MEMORY, "none", "Memory it may take."),
    Key("loss", LOSS, "its own, else mse", "What it is trained on: cross-entropy, mse, module:function."),
    Key("dtype", DTYPE, "none", "The format whose range its signal has to fit: fp16, bf16, fp8, fp32."),
    Key("meta", FLAG, "false", "Build it without weights, run nothing, and predict what a pass would measure."),
)
"""The keys of a ``[[tool.initlint.model]]`` table."""

INITIALIZER_KEYS = (
    Key("name", DOTTED, "", "The function's dotted name, as code imports it: ours.init.trunc_."),
    Key("signature", Kind("parameters", _signature), "", "Its parameters, as in its definition: (tensor, scale=0.02)."),
    Key("tensor", PARAMETER, "the first", "The parameter that is the tensor it fills."),
    Key(
        "like",
        Kind("a function of torch.nn.init", _function),
        "uniform_ with low and high, constant_ with value, else none",
        "The function that draws the same.",
    ),
    Key("mean", PARAMETER, "", "The parameter that is the mean."),
    Key("std", PARAMETER, "", "The parameter that is the standard deviation."),
    Key("low", PARAMETER, "", "The parameter that is the lower bound; alone with high, it is like uniform_."),
    Key("high", PARAMETER, "", "The parameter that is the upper bound."),
    Key("value", PARAMETER, "", "The parameter that is the constant; with it, it is like constant_."),
    Key("gain", PARAMETER, "", "The parameter that is the gain."),
    Key("slope", PARAMETER, "", "The parameter that is the slope of the leaky ReLU that follows."),
    Key("fan", PARAMETER, "", 'The parameter that is "fan_in" or "fan_out".'),
    Key("nonlinearity", PARAMETER, "", "The parameter that names the activation that follows."),
)
"""The keys of a ``[[tool.initlint.initializer]]`` table."""

PER_FILE = Kind("a table of lists of codes by path pattern", _per_file)
INITIALIZERS = _tables(lambda: INITIALIZER_KEYS, _initializer)
MODELS = _tables(lambda: MODEL_KEYS, _model)

KEYS = (
    Key("select", CODES, "all but advice", "Codes, prefixes of codes or ALL: these rules and no others."),
    Key("extend-select", CODES, "[]", "Codes or prefixes to add."),
    Key("ignore", CODES, "[]", "Codes or prefixes to leave out; where both match, the longer one wins."),
    Key("advice", FLAG, "false", "Advice too."),
    Key("severity", Kind("a table of severities by code", _severities), "{}", "Severities by code or prefix."),
    Key(
        "per-file-ignores",
        PER_FILE,
        "{}",
        "Codes to leave out in files that a pattern matches; after !, in all others.",
    ),
    Key("ignore-parameters", TEXTS, "[]", "Globs for model.parameter, such as *.lora_B*: nothing is said of these."),
    Key(
        "exclude",
        PATTERNS,
        ", ".join(DEFAULT_EXCLUDE),
        "Path patterns as in .gitignore, in place of the default ones.",
    ),
    Key("extend-exclude", PATTERNS, "[]", "Path patterns to exclude besides; ! before one takes it in again."),
    Key("respect-gitignore", FLAG, "true", "Pass over what .gitignore files say."),
    Key("force-exclude", FLAG, "false", "Exclude also files that are named on the command line."),
    Key("fail-on", LEVEL, "warning", "The least severity that fails a run: error, warning or advice."),
    Key("static", FLAG, "false", "Read only; build and run nothing."),
    Key("max-file-size", FILE_SIZE, "1MB", "Larger files are skipped with a note."),
    Key("seeds", SEEDS, "1", "How many seeds a model is built and probed with; what most of them show is told."),
    Key("python", TEXT, "that of initlint", "The interpreter that has your torch; a path is relative to this file."),
    Key("timeout", SECONDS, "120", "Seconds a model may take."),
    Key("memory-limit", MEMORY, "none", "Memory a model may take."),
    Key("loss", LOSS, "its own, else mse", "What models are trained on: cross-entropy, mse, module:function."),
    Key("dtype", DTYPE, "none", "The format whose range a model's signal has to fit: fp16, bf16, fp8, fp32."),
    Key("baseline", TEXT, "none", "The file of findings to pass over."),
    Key("plugins", _list_of("a list of module names", _is_dotted), "[]", "Installed packages that bring rules."),
    Key("initializer", INITIALIZERS, "none", "Functions of your own that fill a tensor."),
    Key("model", MODELS, "none", "Models to build, and with what."),
)
"""The keys of ``[tool.initlint]``, and of an initlint.toml."""
