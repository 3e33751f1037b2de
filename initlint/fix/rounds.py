"""Fixes applied in rounds until nothing changes; the text is read again after each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from initlint import changes
from initlint.changes import Change
from initlint.findings import Edit, Finding, Fix
from initlint.fix import calls, expressions, statements
from initlint.fix.document import Document
from initlint.fix.edits import Splice, applied, clash, ordered
from initlint.fix.errors import CannotFix
from initlint.fix.verify import differs_only_there
from initlint.record import field, record, replace

__all__ = ["Outcome", "mend", "with_edits"]

MOST_ROUNDS = 20
"""Fixes of one file hardly ever take more than three rounds; this many and something goes in circles."""

_WAYS: Mapping[type[Any], Callable[[Document, Any], Iterator[Splice]]] = {
    changes.BothBounds: calls.both_bounds,
    changes.CallFunction: calls.call_function,
    changes.DropArgument: calls.drop_argument,
    changes.DropData: calls.drop_data,
    changes.MethodToFunction: calls.method_to_function,
    changes.NameArgument: calls.name_argument,
    changes.PassValue: calls.pass_value,
    changes.Rename: calls.rename,
    changes.TakeAttribute: calls.take_attribute,
    changes.WriteBy: calls.write_by,
    changes.UnderNoGrad: statements.under_no_grad,
    changes.GuardNotNone: statements.guard_not_none,
    changes.MoveToEnd: statements.move_to_end,
    changes.CallAtEnd: statements.call_at_end,
    changes.ZeroPaddingRow: statements.zero_padding_row,
    changes.TestForNone: expressions.test_for_none,
    changes.RepeatAnew: expressions.repeat_anew,
    changes.MakeAnew: expressions.make_anew,
    changes.HandTo: expressions.hand_to,
    changes.SplitBranch: expressions.split_branch,
}


@record(slots=True)
class Outcome:
    """A text after all rounds: how many fixes went into it, and what could not be done (a line each)."""

    text: str
    fixed: int = 0
    problems: list[str] = field(default_factory=list)


def mend(text: str, findings: Callable[[str], Iterable[Finding]], *, unsafe: bool) -> Outcome:
    """Apply the fixes of ``findings(text)``, and those of what is found then, until none is left.

    With ``unsafe`` those too that are not safe. A fix that cannot be made, or that would change more than it should, is
    left out, and ``problems`` says so.
    """
    outcome = Outcome(text)
    seen = {text}
    refused: dict[str, str] = {}
    for _ in range(MOST_ROUNDS):
        wanted = [f for f in findings(outcome.text) if f.fix is not None and (f.fix.safe or unsafe)]
        refused.clear()
        changed, count = _round(outcome.text, wanted, refused)
        if not count or changed in seen:
            break
        seen.add(changed)
        outcome.text = changed
        outcome.fixed += count
    outcome.problems.extend(f"{where} was not fixed: {why}" for where, why in refused.items())
    return outcome


def with_edits(text: str, findings: Iterable[Finding], *, verified: bool = False) -> Iterator[Finding]:
    """The findings of a text, each fix with the edits that it comes to by itself; None where it cannot be made.

    With ``verified`` it cannot either where more would change than it is meant to: then no round has seen to that.
    """
    document: Document | None = None
    for finding in findings:
        where, fix = finding.location, finding.fix
        if fix is None or where is None:
            yield finding
            continue
        try:
            document = document or Document(text)
            splices = ordered(_splices(document, fix))
        except CannotFix:
            yield finding
            continue
        if verified and _together(text, [splices]) is None:
            yield finding
            continue
        edits = [Edit(document.lines.place(start, end, where.path, where.cell), new) for start, end, new in splices]
        yield replace(finding, fix=replace(fix, edits=tuple(edits)))


def _round(text: str, findings: Sequence[Finding], refused: dict[str, str]) -> tuple[str, int]:
    """The text after every fix that goes together with those before it, and how many these are."""
    if not findings:
        return text, 0
    try:
        document = Document(text)
    except CannotFix as error:
        refused.update((_name(finding), str(error)) for finding in findings)
        return text, 0
    chosen: list[tuple[Finding, list[Splice]]] = []
    for finding in findings:
        assert finding.fix is not None
        try:
            splices = _splices(document, finding.fix)
        except CannotFix as error:
            refused[_name(finding)] = str(error)
            continue
        if not any(clash(one, other) for one in splices for _, others in chosen for other in others):
            chosen.append((finding, splices))  # the turn of one that clashes comes in the next round
    changed = _together(text, [splices for _, splices in chosen])
    if changed is not None:
        return changed, len(chosen)
    sound = []
    for finding, splices in chosen:
        if _together(text, [splices]) is None:
            refused[_name(finding)] = "more would change than it is meant to"
        else:
            sound.append(splices)
    changed = _together(text, sound)
    if changed is not None:
        return changed, len(sound)
    return applied(text, sound[0]), 1  # what is sound alone and not together goes one by one


def _together(text: str, fixes: Sequence[Sequence[Splice]]) -> str | None:
    """The text with these fixes applied; None if it then differs elsewhere too."""
    splices = [splice for each in fixes for splice in each]
    changed = applied(text, splices)
    return changed if differs_only_there(text, changed, splices) else None


def _splices(document: Document, fix: Fix) -> list[Splice]:
    """The edits of all changes of a fix; CannotFix where one cannot be made."""
    found = [splice for change in fix.changes for splice in _edits(document, change)]
    if any(clash(one, other) for index, one in enumerate(found) for other in found[:index]):
        raise CannotFix("its changes overlap")
    if not found:
        raise CannotFix("there is nothing to change")
    return found


def _edits(document: Document, change: Change) -> Iterator[Splice]:
    return _WAYS[type(change)](document, change)


def _name(finding: Finding) -> str:
    return f"{finding.code} at {finding.location}"
