"""The fix that the rules on schemes share: the call that drew a weight, replaced by one that suits what follows."""

from initlint.changes import WriteBy
from initlint.facts import Activation, Parameter
from initlint.findings import Fix, unsafe
from initlint.theory.remedies import scheme_for


def redrawn(weight: Parameter, activation: Activation | None) -> Fix | None:
    """Draw by the scheme that suits the activation; None unless the project calls torch.nn.init itself."""
    write = weight.last_write
    if activation is None or not write.is_deliberate:
        return None
    if not write.function.startswith("torch.nn.init.") or write.function.endswith(".orthogonal_"):
        return None
    scheme = scheme_for(activation, write.function)
    return None if scheme is None else unsafe(WriteBy(write.location, *scheme))
