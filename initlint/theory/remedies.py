"""The call to write instead: which initialiser of torch.nn.init fits the nonlinearity that follows."""

from __future__ import annotations

from initlint.facts import Activation, close
from initlint.theory.gains import CALCULATE_GAIN_NAMES, torch_gain

__all__ = ["STAND_INS", "initializer_for", "scheme_for", "suits"]

_XAVIER = {"tanh", "sigmoid"}
_TOLERANCE = 0.15
_ALSO_SOUND = ("selu", "sigmoid")
"""Where the gain that keeps variance is as sound as calculate_gain's: LeCun's for SELU, and that of a sigmoid."""

STAND_INS = {
    "gelu": "relu",
    "silu": "relu",
    "swish": "relu",
    "mish": "relu",
    "elu": "relu",
    "celu": "relu",
    "hardswish": "relu",
    "relu6": "relu",
    "softplus": "relu",
    "prelu": "leaky_relu",
    "rrelu": "leaky_relu",
    "leakyrelu": "leaky_relu",
    "leaky": "leaky_relu",
    "lrelu": "leaky_relu",
    "none": "linear",
    "identity": "linear",
}
"""The name to give calculate_gain for a nonlinearity, or a spelling of one, that it does not know."""


def initializer_for(activation: Activation, weight: str = "weight") -> str:
    """A call of torch.nn.init whose gain suits the nonlinearity; ``weight`` is what the call writes.

    Sources: He 2015 (ReLU and its kin), Glorot 2010 (tanh, sigmoid), Klambauer 2017 (SELU: 1/sqrt(fan_in)); for others
    the gain 1/sqrt(E[phi(z)^2]) by quadrature.
    """
    name = activation.name
    if name in ("relu", "relu6"):
        return f"nn.init.kaiming_normal_({weight}, nonlinearity='relu')"
    if name == "leaky_relu":
        return f"nn.init.kaiming_normal_({weight}, a={activation.slope:g}, nonlinearity='leaky_relu')"
    if name in _XAVIER:
        return f"nn.init.xavier_normal_({weight}, gain=nn.init.calculate_gain('{name}'))"
    if name in ("selu", "identity"):
        return f"nn.init.kaiming_normal_({weight}, nonlinearity='linear')"
    return f"nn.init.normal_({weight}, std={activation.gain:.3g} / math.sqrt(fan_in))"


Argument = str | float | tuple[str, str]
"""A value, or a function by its canonical name and what it is called with."""


def scheme_for(activation: Activation, function: str) -> tuple[str, tuple[tuple[str, Argument], ...]] | None:
    """What ``initializer_for`` says, as an initialiser's canonical name and its arguments.

    Uniform where ``function``, the initialiser in use, is. None where a formula would have to be written.
    """
    law = "uniform" if "uniform" in function else "normal"
    name = activation.name
    if name in ("relu", "relu6"):
        return f"torch.nn.init.kaiming_{law}_", (("nonlinearity", "relu"),)
    if name == "leaky_relu":
        return f"torch.nn.init.kaiming_{law}_", (("a", activation.slope), ("nonlinearity", "leaky_relu"))
    if name in _XAVIER:
        return f"torch.nn.init.xavier_{law}_", (("gain", ("torch.nn.init.calculate_gain", name)),)
    if name in ("selu", "identity"):
        return f"torch.nn.init.kaiming_{law}_", (("nonlinearity", "linear"),)
    return None


def suits(told: str, gain: float, activation: Activation) -> bool:
    """Whether a gain, asked for by calculate_gain's name ``told``, is within 15 % of one that the activation needs.

    "relu" and "leaky_relu" stand in for every nonlinearity that calculate_gain has no name for, but for ReLU6.
    """
    name = activation.name
    if name in ("identity", told):
        return name == "identity" or told != "leaky_relu" or close(gain, activation.gain, relative=_TOLERANCE)
    if name not in CALCULATE_GAIN_NAMES and told in ("relu", "leaky_relu") and name != "relu6":
        return True
    by_torch = name in CALCULATE_GAIN_NAMES and name != "leaky_relu"
    needed = torch_gain(name) if by_torch else activation.gain
    also = activation.gain if name in _ALSO_SOUND else needed
    return any(abs(gain / sound - 1) <= _TOLERANCE for sound in (needed, also))
