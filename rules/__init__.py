"""The built-in rules: one file a rule, one folder a family.

``RULES`` is a static registry, so that listing or selecting rules imports none of them (80 eager imports cost
half of a static check's start-up); a test holds it equal to the folder.
"""

from __future__ import annotations

from initlint.findings import Severity
from initlint.rule import EFFECT, FLAW, STUCK, SUBJECTS, UNWRITTEN, Entry

__all__ = ["RULES"]

_A, _W, _E = Severity.ADVICE, Severity.WARNING, Severity.ERROR


_ON_DEFAULTS = frozenset({"INI207", "INI212", "INI304", "INI306"})
"""Rules that have something to say of layers that nobody initialised."""

_MEASURED = {
    **dict.fromkeys(("INI103", "INI105", "INI211", "INI214", "INI421", "INI603", "INI605"), SUBJECTS),
    **dict.fromkeys(("INI101", "INI419"), ("parameter",)),
    **dict.fromkeys(("INI102", "INI106"), ("parameter", "model")),
    "INI203": ("parameter", "layer"),
    "INI204": ("layer", "model"),
}
"""What rules, beside those of the probe, ask for values or training steps of: reading gives them nothing to judge."""


_FINDS = {
    **dict.fromkeys(("INI203", "INI204", "INI701", "INI702", "INI703", "INI704", "INI705", "INI706"), EFFECT),
    **dict.fromkeys(("INI707", "INI708", "INI709", "INI712"), EFFECT),
    **dict.fromkeys(("INI104", "INI301"), UNWRITTEN),
    **dict.fromkeys(("INI101", "INI102", "INI103"), STUCK),
}
"""Rules whose findings say something of others: what each says of itself (``Rule.finds``)."""


def _entry(code: str, name: str, severity: Severity, folder: str, subjects: str) -> Entry:
    module = f"initlint_rules.{folder}.{name.replace('-', '_')}"
    looks_at = tuple(subjects.split())
    measured = tuple(each for each in looks_at if folder == "probe" or each in _MEASURED.get(code, ()))
    finds = _FINDS.get(code, FLAW)
    asked_by = "widths" if code == "INI713" else None
    return Entry(code, name, severity, module, looks_at, code in _ON_DEFAULTS, measured, finds, asked_by)


RULES: tuple[Entry, ...] = (
    _entry("INI001", "unused-suppression", _A, "comments", "suppression"),
    _entry("INI101", "zero-weight", _E, "degenerate", "parameter layer chain"),
    _entry("INI102", "constant-weight", _E, "degenerate", "parameter chain model"),
    _entry("INI103", "identical-units", _E, "degenerate", "parameter"),
    _entry("INI104", "uninitialized-parameter", _E, "degenerate", "parameter"),
    _entry("INI105", "non-finite-parameter", _E, "degenerate", "parameter"),
    _entry("INI106", "cloned-layers", _W, "degenerate", "layer model parameter"),
    _entry("INI107", "aliased-layers", _W, "degenerate", "incident layer"),
    _entry("INI108", "positive-only-weights", _W, "degenerate", "parameter"),
    _entry("INI109", "biased-mean", _W, "degenerate", "initializer parameter"),
    _entry("INI110", "low-precision-draw", _W, "degenerate", "parameter"),
    _entry("INI201", "scheme-activation-mismatch", _W, "scale", "chain"),
    _entry("INI202", "wrong-gain-argument", _W, "scale", "parameter"),
    _entry("INI203", "weights-too-large", _W, "scale", "parameter layer chain"),
    _entry("INI204", "weights-too-small", _W, "scale", "layer chain model"),
    _entry("INI205", "selu-without-lecun", _W, "scale", "chain"),
    _entry("INI206", "wrong-fan", _W, "scale", "call parameter"),
    _entry("INI207", "default-init-in-deep-relu", _A, "scale", "chain"),
    _entry("INI208", "same-init-everywhere", _A, "scale", "layer"),
    _entry("INI209", "tied-embedding-scale", _W, "scale", "parameter"),
    _entry("INI210", "truncation-without-effect", _A, "scale", "call"),
    _entry("INI211", "residual-scale-missing", _W, "scale", "model"),
    _entry("INI212", "recurrent-not-orthogonal", _A, "scale", "parameter"),
    _entry("INI213", "unscaled-random-parameter", _W, "scale", "parameter"),
    _entry("INI214", "vanishing-config-scale", _W, "scale", "parameter"),
    _entry("INI301", "uninitialized-bias", _E, "bias_and_norm", "parameter"),
    _entry("INI302", "bias-left-default", _A, "bias_and_norm", "layer"),
    _entry("INI303", "large-bias", _W, "bias_and_norm", "parameter"),
    _entry("INI304", "forget-gate-bias", _A, "bias_and_norm", "layer"),
    _entry("INI305", "norm-scale-off", _W, "bias_and_norm", "call parameter"),
    _entry("INI306", "redundant-bias", _A, "bias_and_norm", "layer"),
    _entry("INI307", "bias-filled-with-std", _W, "bias_and_norm", "initializer parameter"),
    _entry("INI401", "initializer-never-applied", _W, "wiring", "initializer"),
    _entry("INI402", "initialized-before-layers", _E, "wiring", "model"),
    _entry("INI403", "init-overwrites-pretrained", _E, "wiring", "parameter script"),
    _entry("INI404", "init-overwritten", _W, "wiring", "parameter"),
    _entry("INI405", "init-without-effect", _E, "wiring", "parameter"),
    _entry("INI406", "padding-row-overwritten", _W, "wiring", "parameter"),
    _entry("INI407", "missing-post-init", _E, "wiring", "klass"),
    _entry("INI408", "layer-not-covered", _A, "wiring", "model"),
    _entry("INI409", "init-on-lazy", _E, "wiring", "incident"),
    _entry("INI410", "tie-broken-by-init", _E, "wiring", "incident"),
    _entry("INI411", "unregistered-parameter", _E, "wiring", "model"),
    _entry("INI412", "parameter-replaced", _W, "wiring", "incident"),
    _entry("INI413", "partial-write", _E, "wiring", "parameter"),
    _entry("INI414", "filter-matches-nothing", _E, "wiring", "guard"),
    _entry("INI415", "adapter-not-neutral", _W, "wiring", "klass model"),
    _entry("INI416", "reset-misses-sibling", _W, "wiring", "initializer"),
    _entry("INI417", "non-idempotent-init", _A, "wiring", "initializer"),
    _entry("INI418", "uninitialized-buffer", _E, "wiring", "parameter"),
    _entry("INI419", "checkpoint-matches-nothing", _E, "wiring", "incident parameter script"),
    _entry("INI420", "optimizer-before-replacement", _E, "wiring", "script"),
    _entry("INI421", "mixed-scale-rows", _W, "wiring", "parameter"),
    _entry("INI501", "std-passed-as-mean", _E, "api", "call"),
    _entry("INI502", "one-sided-uniform", _W, "api", "call"),
    _entry("INI503", "deprecated-init", _W, "api", "call"),
    _entry("INI504", "fan-init-on-vector", _E, "api", "call"),
    _entry("INI505", "unsupported-nonlinearity", _E, "api", "call"),
    _entry("INI506", "misused-slope", _W, "api", "call"),
    _entry("INI507", "in-place-on-leaf", _E, "api", "incident"),
    _entry("INI508", "discarded-init", _E, "api", "call"),
    _entry("INI509", "none-bias-access", _E, "api", "incident"),
    _entry("INI510", "brittle-type-test", _A, "api", "guard"),
    _entry("INI511", "unknown-init-function", _E, "api", "call"),
    _entry("INI512", "data-attribute", _A, "api", "call"),
    _entry("INI513", "bias-truthiness", _E, "api", "guard"),
    _entry("INI514", "init-on-module", _E, "api", "call"),
    _entry("INI601", "unseeded-init", _A, "reproducibility", "script"),
    _entry("INI602", "seeded-after-build", _W, "reproducibility", "script"),
    _entry("INI603", "nondeterministic-init", _W, "reproducibility", "model"),
    _entry("INI604", "seed-in-constructor", _A, "reproducibility", "klass initializer"),
    _entry("INI605", "identical-shards", _E, "reproducibility", "parameter"),
    _entry("INI701", "vanishing-signal", _W, "probe", "chain model"),
    _entry("INI702", "exploding-signal", _W, "probe", "chain"),
    _entry("INI703", "vanishing-gradient", _W, "probe", "chain"),
    _entry("INI704", "exploding-gradient", _W, "probe", "chain"),
    _entry("INI705", "dead-units", _W, "probe", "layer"),
    _entry("INI706", "saturated-units", _W, "probe", "layer parameter model"),
    _entry("INI707", "stuck-parameter", _W, "probe", "parameter"),
    _entry("INI708", "non-finite-signal", _E, "probe", "model"),
    _entry("INI709", "loss-at-init", _W, "probe", "model"),
    _entry("INI710", "batch-leak", _W, "probe", "model"),
    _entry("INI711", "unreached-parameter", _A, "probe", "layer"),
    _entry("INI712", "low-precision-range", _W, "probe", "layer"),
    _entry("INI713", "width-scaling", _A, "probe", "model"),
)
