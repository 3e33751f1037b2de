"""INI510 brittle-type-test."""

from collections.abc import Iterator

from initlint.facts import Guard, layer_family
from initlint.findings import Finding, Severity
from initlint.rule import SOURCE, Bad, Good, Rule


class BrittleTypeTest(Rule):
    """An initialiser tells layers by their exact type or by their class's name.

    ## What it does

    Finds tests in code that initialises such as `type(m) == nn.Linear`, `classname.find("Conv") != -1` and `"Linear"
    in m.__class__.__name__`, where a layer of torch.nn is meant.

    ## Why it matters

    An exact type leaves subclasses out: `NonDynamicallyQuantizableLinear` in `nn.MultiheadAttention`, layers that a
    library or a quantiser has derived keep their default without a word. A part of a name catches too much:
    `find("Conv")` also meets a `ConvBlock` of your own, which has no `weight`, and raises; `find("Linear")` meets
    `Bilinear`'s relatives and `LinearAttention`.

    ## Example

        if m.__class__.__name__.find("Conv") != -1:
            nn.init.normal_(m.weight, std=0.02)

    ## Use instead

        if isinstance(m, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
            nn.init.normal_(m.weight, std=0.02)

    ## When it is right to do this

    Where subclasses are left out on purpose, or a class of an optional package is told by name. A name that also fits
    a class of the same file is taken to mean that one, and is left alone.

    ## Fix safety

    isinstance may let other layers through: the initial values of some may change.
    """

    code, name, severity = "INI510", "brittle-type-test", Severity.ADVICE
    needs = (SOURCE,)
    bad = [
        Bad("""
            def init_weights(m):
                if type(m) == nn.Linear:  #~
                    nn.init.xavier_uniform_(m.weight)
                elif type(m) in (nn.Conv2d, nn.Conv1d):  #~
                    nn.init.kaiming_normal_(m.weight)
            """),
        Bad("""
            def weights_init(m):
                classname = m.__class__.__name__
                if classname.find("Conv") != -1:  #~
                    nn.init.normal_(m.weight, 0.0, 0.02)
                elif "BatchNorm" in classname:  #~
                    nn.init.normal_(m.weight, 1.0, 0.02)
                elif classname.startswith("Linear"):  #~
                    nn.init.normal_(m.weight, 0.0, 0.02)
            """),
    ]
    good = [
        Good("""
            class GatedRMSNorm(nn.Module):
                def __init__(self, dim):
                    super().__init__()
                    self.weight = nn.Parameter(torch.zeros(dim))

            def init_weights(m):
                if "RMSNorm" in m.__class__.__name__:
                    nn.init.zeros_(m.weight)
            """),
        Good("""
            def init_weights(m):
                if isinstance(m, nn.Linear):
                    nn.init.xavier_uniform_(m.weight)
                elif isinstance(m, (nn.Conv2d, nn.Conv1d)):
                    nn.init.kaiming_normal_(m.weight)
            """),
        Good("""
            class Pooler(nn.Module):
                pass

            def init_weights(m, other):
                if type(m) is Pooler:
                    nn.init.xavier_uniform_(m.weight)
                elif "Gating" in m.__class__.__name__:
                    nn.init.zeros_(m.weight)
                elif type(m) is type(other):
                    nn.init.zeros_(m.weight)
            """),
    ]

    def check_guard(self, guard: Guard) -> Iterator[Finding]:
        if guard.form not in ("exact_type", "class_name") or any(layer_family(kind) == "other" for kind in guard.kinds):
            return
        missed = guard.form == "exact_type"
        yield self.at(
            guard,
            f"{guard.text} tells layers by their exact type: subclasses are left out"
            if missed
            else f"{guard.text} tells layers by the name of their class: others may share it",
            help="use isinstance with the classes that are meant",
            evidence={"kinds": guard.kinds},
        )
