"""What a model's own code draws on purpose, said again as a call of torch.nn.init."""

from __future__ import annotations

import math

from initlint.facts import Distribution, Parameter, Write, known
from initlint.suggestion.setting import number

__all__ = ["Draw", "deliberate", "is_zero", "left_alone", "restated"]

_SCALES = {"normal_": "std", "trunc_normal_": "std", "xavier_normal_": "gain", "xavier_uniform_": "gain"}
"""The argument that an initialiser's scale is proportional to, and nothing else is."""
_DEFAULTS: dict[str, dict[str, object]] = {
    "normal_": {"mean": 0.0, "std": 1.0},
    "trunc_normal_": {"mean": 0.0, "std": 1.0, "a": -2.0, "b": 2.0},
    "uniform_": {"a": 0.0, "b": 1.0},
    "xavier_normal_": {"gain": 1.0},
    "xavier_uniform_": {"gain": 1.0},
    "orthogonal_": {"gain": 1.0},
    "kaiming_normal_": {"a": 0, "mode": "fan_in", "nonlinearity": "leaky_relu"},
    "kaiming_uniform_": {"a": 0, "mode": "fan_in", "nonlinearity": "leaky_relu"},
    "constant_": {"val": None},
    "zeros_": {},
    "ones_": {},
    "eye_": {},
    "dirac_": {"groups": 1},
}


def left_alone(parameter: Parameter) -> str | None:
    """Why a parameter's values are none of an initialiser's business; None where they are."""
    if known(parameter.computed_by) and parameter.computed_by is not None:
        return f"computed by {parameter.computed_by.rpartition('.')[2]}"
    if not known(parameter.trainable) or not parameter.trainable:
        return "frozen"
    writes = parameter.writes if known(parameter.writes) else ()
    if any(known(write.author) and write.author == "checkpoint" for write in writes):
        return "loaded from a checkpoint"
    if not known(parameter.writes) and known(parameter.measured) and parameter.measured.family == "data":
        return "holds values of no known law: trained or loaded"
    return None


def deliberate(parameter: Parameter) -> bool:
    """Whether anybody but the layer's own default wrote it; of a module at hand, whether it looks so."""
    if known(parameter.writes):
        return any(known(write.author) and write.author in ("user", "library") for write in parameter.writes)
    law = parameter.measured
    return known(law) and known(law.scheme) and law.scheme != "default"


def is_zero(parameter: Parameter) -> bool:
    """Whether it holds zeros."""
    law = parameter.measured if known(parameter.measured) else None
    return law is not None and law.is_constant and law.mean == 0


class Draw:
    """A call of torch.nn.init: the function's name and its arguments that are no defaults."""

    def __init__(self, function: str, arguments: dict[str, object]) -> None:
        self.function = function
        defaults = _DEFAULTS[function]
        self.arguments = {name: value for name, value in arguments.items() if value != defaults.get(name)}

    def written(self, target: str, scale: str = "") -> str:
        """The call on ``target``; ``scale`` is a divisor of its scale, spelled as in source."""
        arguments = {name: _spelled(value) for name, value in self.arguments.items()}
        if scale:
            name = _SCALES[self.function]
            arguments[name] = f"{arguments.get(name, '1')} / {scale}"
        return f"nn.init.{self.function}({', '.join([target, *(f'{key}={text}' for key, text in arguments.items())])})"

    @property
    def scalable(self) -> bool:
        """Whether ``written`` takes a ``scale``."""
        return self.function in _SCALES and not self.arguments.get("mean")


def _spelled(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else number(float(value))  # type: ignore[arg-type]


def restated(parameter: Parameter, *, times: float = 1.0) -> Draw | None:
    """What the model draws into a parameter, as a call; None where that takes a formula of its own.

    ``times``: what its scale is to be multiplied by before it is written down.
    """
    last = parameter.writes[-1] if known(parameter.writes) and parameter.writes else None
    if last is not None and not last.overwrites:
        return None
    draw = _called(last) if last is not None else None
    law = last.distribution if last is not None else parameter.measured
    draw = draw or (_drawn(law) if known(law) else None)
    if draw is None:
        return None
    name = _SCALES.get(draw.function)
    if name is not None and times != 1:
        scale = draw.arguments.get(name, 1.0)
        assert isinstance(scale, (int, float))
        draw.arguments[name] = scale * times
    return draw if all(_is_round(value) for value in draw.arguments.values()) else None


def _called(write: Write) -> Draw | None:
    """The call itself, where it is one of torch.nn.init with plain arguments."""
    home, _, function = write.function.rpartition(".")
    if home != "torch.nn.init" or function not in _DEFAULTS or not known(write.author):
        return None
    arguments = {name: value for name, value in write.arguments.items() if name in _DEFAULTS[function]}
    if any(not known(value) or not isinstance(value, (int, float, str)) for value in arguments.values()):
        return None
    return Draw(function, arguments)


def _drawn(law: Distribution) -> Draw | None:
    """The call that draws from a law."""
    if not known(law.family) or not known(law.mean):
        return None
    if law.is_constant:
        return Draw("zeros_", {}) if law.mean == 0 else Draw("constant_", {"val": law.mean})
    if law.family == "normal" and known(law.std):
        return Draw("normal_", {"mean": law.mean, "std": law.std})
    if law.family == "uniform" and known(law.low) and known(law.high):
        return Draw("uniform_", {"a": law.low, "b": law.high})
    return None


def _is_round(value: object) -> bool:
    """Whether a number is one that somebody wrote, and not one that sizes were computed into."""
    if not isinstance(value, (int, float)):
        return True
    return math.isfinite(value) and math.isclose(value, float(f"{value:.3g}"), rel_tol=1e-6, abs_tol=1e-12)
