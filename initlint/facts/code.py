"""What was read in code that initialises: calls, tests, functions and classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from initlint.facts.layers import parameter_dimensions
from initlint.facts.models import Model
from initlint.facts.unknown import UNKNOWN, Fact
from initlint.facts.values import Distribution
from initlint.location import Location
from initlint.record import field, record


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Target(Fact):
    """What an initialiser call writes.

    ``kinds``: the layer kinds it can be ("Linear", "BatchNorm2d"), from isinstance filters or from the layer itself.
    ``held``: those of them of which something that the call reaches may hold one: all, but of the ``_init_weights`` of
    a transformers.PreTrainedModel, which leaves the models that it holds to their own, the norms that no class of its
    file makes.
    ``attribute``: "weight", "bias", … (None where the target is a tensor without such a name).
    ``text``: as written ("m.weight", "self.fc.bias"). ``dimensions``: how many, where all kinds agree.
    ``is_module``: the target is a module and not a tensor. ``through_data``: it is reached by ``.data``.
    ``is_copy``: the expression makes a new tensor of another one's (``m.weight.clone()``), which alone is written.
    ``location``: where the expression stands, as it is handed over; None where it was not read.
    """

    text: str
    kinds: tuple[str, ...] = UNKNOWN
    held: tuple[str, ...] = UNKNOWN
    attribute: str | None = UNKNOWN
    dimensions: int = UNKNOWN
    shape: tuple[int, ...] = UNKNOWN
    is_module: bool = UNKNOWN
    through_data: bool = UNKNOWN
    is_copy: bool = UNKNOWN
    location: Location | None = None

    @property
    def fewest_dimensions(self) -> int:
        """Of the tensors that the call may write: how many dimensions the smallest has."""
        if self.dimensions is not UNKNOWN:
            return self.dimensions
        found = [parameter_dimensions(kind, self.attribute) for kind in self.kinds]
        return min((n for n in found if n is not None), default=UNKNOWN)


@record(frozen=True, slots=True, eq=False, kw_only=True)
class InitCall(Fact):
    """One call of an initialiser, read in source or recorded while it ran.

    So is ``torch.zeros_like(w)`` and its kin, where nothing takes the tensor that they make.

    ``function`` is canonical ("torch.nn.init.normal_"), ``written`` is how the source spells it
    ("init.normal_"). ``arguments`` are bound by parameter name, defaults included, each value UNKNOWN
    where it is; ``given`` are the names passed by the caller, ``positional`` those passed by position.
    ``spellings`` maps an argument to the identifier it was passed as ("init_std"), where it was one. ``places`` says
    where the value of an argument stands that the caller gives, as far as that was read: for fixes, not for verdicts.
    ``within`` is the name of the enclosing function ("_init_weights"), None at module level.
    ``discarded``: the call is a statement by itself, so that nothing takes what it returns.
    ``caught``: it stands in a ``try`` with a handler, so that what it raises may be meant.
    ``fan_name``: the name ("fan_in") of a number that was taken from sizes of a tensor, and that an argument was then
    computed from; None where there is none. ``fan_axes``: the axes that it is taken from, on one branch or another:
    "0" for the first, "1:" for the product of all others. ``fan_at``: where it is, on the branch of the first.
    ``evaluated``: it writes what a model holds that is in ``eval()`` by then, and that the code at hand has no other
    use for than to call it: a comparison of two forms of one model, for instance.
    """

    function: str
    written: str
    target: Target
    location: Location
    arguments: Mapping[str, Any] = field(default_factory=dict)
    given: tuple[str, ...] = ()
    positional: tuple[str, ...] = ()
    spellings: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, Location] = field(default_factory=dict)
    distribution: Distribution = UNKNOWN
    within: str | None = UNKNOWN
    class_name: str | None = UNKNOWN
    discarded: bool = UNKNOWN
    caught: bool = UNKNOWN
    fan_name: str | None = UNKNOWN
    fan_axes: tuple[str, ...] = UNKNOWN
    fan_at: Location | None = UNKNOWN
    evaluated: bool = UNKNOWN


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Guard(Fact):
    """A test in code that initialises, of a module's class or of a tensor's truth.

    ``form`` is "truth" (``if m.bias:``), "exact_type" (``type(m) == nn.Linear``), "class_name"
    (``"Linear" in m.__class__.__name__``) or "instance" (``isinstance(m, nn.Linear)``, kept only where it lets nothing
    through, or less than it says). ``text``: the test as written. ``kinds``: the layer kinds that a
    test of the class lets through. ``several``: what is tested for its truth is, where it is not None, a tensor of
    more than one element (a size that was not read is taken to be more than one). ``caught``: see InitCall.

    ``obstacle`` says why a test of the class can never hold: what it is asked of is a "parameter", a "module" (and the
    class a tensor's), a (name, module) "pair", a "class" (compared with text) or a "name" (compared with a class); it
    is "misspelt", a "contradiction", or every kind was taken by an "earlier" arm; None where it can hold.
    ``meant``: the class of torch.nn that a misspelt name is one slip away from. ``related``: that arm's test.
    ``ignored``: the classes, as written, that a test names and never looks at: ``nn.Linear or nn.Conv2d`` is its first.
    """

    form: str
    text: str
    location: Location
    kinds: tuple[str, ...] = UNKNOWN
    several: bool = UNKNOWN
    caught: bool = UNKNOWN
    obstacle: str | None = UNKNOWN
    meant: str = UNKNOWN
    related: tuple[Location, ...] = ()
    ignored: tuple[str, ...] = UNKNOWN


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Incident(Fact):
    """A statement, met while modules are made and initialised, that cannot do to a parameter what it says.

    ``kind``: "none" (asks something of a weight or bias that is None), "not_a_parameter" (puts a plain tensor under the
    name of a Parameter), "merged" (gives a name, whose own Parameter goes, the one that its module has as ``other``),
    "resized" (gives it data of another shape), "leaf" (changes a Parameter in place while gradients are recorded),
    "lazy" (writes a parameter that has no shape yet), "untied" (parts two names of one Parameter), "unmatched" (loads,
    without being strict, what has no key in common with the module: ``other`` is "prefixed", "bare", "nested" or
    "other"), "missed" (loads what has the key ``other`` in the place of another). ``raises``: Python or torch refuses
    it. ``text``: what it is done to, as written or as its layer has it ("m.bias"); ``function``: the function or method
    that does it. ``layer_kind``: of the layer that holds it. ``before`` and ``after``: the shapes of a resized one.
    ``tied``: where the two names were made one.
    """

    kind: str
    location: Location
    text: str
    raises: bool = UNKNOWN
    function: str | None = UNKNOWN
    layer_kind: str = UNKNOWN
    before: tuple[int, ...] = UNKNOWN
    after: tuple[int, ...] = UNKNOWN
    tied: Location | None = UNKNOWN
    other: str = UNKNOWN


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Branch(Fact):
    """One arm of an initialiser: the layer kinds its test lets through, and what it does with them."""

    kinds: tuple[str, ...] = UNKNOWN
    calls: tuple[InitCall, ...] = ()
    location: Location | None = None


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Repeat(Fact):
    """An attribute that two statements of one block initialise by the same call.

    ``text``: as written ("self.lin1", "self.lin1.weight"). ``location``: the second statement, ``related`` the first.
    ``forgotten``: the attributes that the constructor makes in the same way and that nothing which initialises
    mentions.
    """

    text: str
    location: Location
    related: tuple[Location, ...] = ()
    forgotten: tuple[str, ...] = UNKNOWN


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Change(Fact):
    """A statement of an initialiser that scales a tensor (``text``, as written) in place.

    ``fresh``: the same function has drawn it anew before, so that calling it twice scales it once.
    """

    text: str
    location: Location
    fresh: bool = UNKNOWN


@record(frozen=True, slots=True, eq=False, kw_only=True)
class Initializer(Fact):
    """A function or method that initialises a module it is given.

    ``callers``: the places in reach that call or apply it (by name, as a callback, through a base class);
    UNKNOWN where they cannot all be seen (the class has a base that may call it, the name is exported, …).
    ``repeats``: the attributes that it sets twice. ``seeds``: the places in it that set torch's global seed for good.
    ``rescales``: what it scales in place, if it is one that frameworks may call again (``reset_parameters``, and
    ``_init_weights`` of a transformers model).
    """

    name: str
    location: Location
    class_name: str | None = None
    branches: tuple[Branch, ...] = UNKNOWN
    callers: tuple[Location, ...] = UNKNOWN
    repeats: tuple[Repeat, ...] = UNKNOWN
    seeds: tuple[Location, ...] = UNKNOWN
    rescales: tuple[Change, ...] = UNKNOWN


@record(frozen=True, slots=True, eq=False, kw_only=True)
class ClassFacts(Fact):
    """A class as it was read. ``bases`` are canonical names; ``model`` holds the layers of a module class.

    ``calls``: the calls of initialisers in its methods. ``constructor``: its own ``__init__``, None where it has none.
    ``finished``: of a class derived from transformers.PreTrainedModel that makes layers in an ``__init__`` of its own,
    whether anything in the class or its bases calls post_init() or initialises otherwise; UNKNOWN of every other class,
    of one that others derive from, and where what is out of sight may do so: in a project too large to be looked
    through, another file may derive from any class but those that ``__all__`` offers to be used as they are.
    ``seeds``: the places in the constructor that set torch's global seed for good.
    """

    name: str
    location: Location
    bases: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    is_module: bool = UNKNOWN
    model: Model = UNKNOWN
    constructor: Location | None = UNKNOWN
    finished: bool = UNKNOWN
    calls: tuple[InitCall, ...] = UNKNOWN
    seeds: tuple[Location, ...] = UNKNOWN
