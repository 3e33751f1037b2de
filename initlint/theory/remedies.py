"""The call to write instead: which initialiser of torch.nn.init fits the nonlinearity that follows."""

from __future__ import annotations

from initlint.facts import Activation

__all__ = ["initializer_for", "scheme_for"]

_XAVIER = {"tanh", "sigmoid"}


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
