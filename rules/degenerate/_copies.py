"""What INI106 asks of parameters that begin as one."""

from initlint.facts import Parameter, known

ANEW = (
    "build each layer of its own, or draw the copies anew: [nn.init.xavier_uniform_(p) for p in stack.parameters() if "
    "p.dim() > 1]"
)


def still_one(copies: list[Parameter]) -> str:
    """That training moves copies and they stay one, in words; "" where that was not seen."""
    one = all(known(p.escape) and known(p.escape.copies_spread) and p.escape.copies_are_one for p in copies)
    return f" and stay so in {copies[0].escape.steps} training steps" if one else ""


def is_loaded(parameter: Parameter) -> bool:
    return parameter.last_write.author == "checkpoint"
