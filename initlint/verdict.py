"""What came of reading one file: plain data, the same from this process, from another one, and from an earlier run."""

from __future__ import annotations

from typing import Any

from initlint.findings import Finding, Fix, Related, Severity
from initlint.location import Location
from initlint.record import fields, record

__all__ = ["Verdict"]


@record(frozen=True, slots=True)
class Verdict:
    """What came of reading one file, of which ``digest`` stands for the bytes ("" where there are none).

    ``said`` is what each rule says, not yet merged. ``complaints`` are failures of a file that was asked for by name,
    and notes on one that was met; ``notes`` are notes on either. ``readable``: it could be read and parsed.
    ``commented``: comments in it may silence findings. ``looked_around``: other files may have had a say.
    """

    said: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    complaints: tuple[str, ...] = ()
    readable: bool = True
    commented: bool = False
    looked_around: bool = False
    digest: bytes = b""

    def as_text(self) -> str:
        """The verdict without its digest, as ``from_text`` reads it. Raises TypeError for what text cannot say."""
        flags = [self.readable, self.commented, self.looked_around]
        said = [_finding_as_plain(finding) for finding in self.said]
        import json

        return json.dumps([flags, said, self.notes, self.complaints], separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> Verdict:
        """The verdict that ``as_text`` wrote; raises ValueError for anything else."""
        import json

        try:
            (readable, commented, looked_around), said, notes, complaints = json.loads(text)
            found = tuple(map(_finding_from_plain, said)) if said else ()
            return cls(found, tuple(notes), tuple(complaints), readable, commented, looked_around)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError) as error:
            raise ValueError(f"not a verdict: {error!r:.200}") from error


def _finding_as_plain(finding: Finding) -> dict[str, Any]:
    """The fields of a finding that are not their defaults. Raises TypeError for what JSON cannot say."""
    from initlint.wire import encoded

    plain: dict[str, Any] = {}
    for field in fields(Finding):
        value = getattr(finding, field.name)
        if value == field.default:
            continue
        if isinstance(value, Fix):
            if value.edits is not None:
                raise TypeError("a fix goes without its edits")
            plain[field.name] = value.as_plain()
        elif field.name == "related":
            plain[field.name] = [[encoded(each.location), each.message] for each in value]
        else:
            plain[field.name] = int(value) if field.name == "severity" else encoded(value)
    return plain


def _finding_from_plain(plain: dict[str, Any]) -> Finding:
    from initlint.wire import decoded

    values: dict[str, Any] = {}
    for name, value in plain.items():
        if name == "fix":
            values[name] = Fix.from_plain(value)
        elif name == "related":
            values[name] = tuple(Related(decoded(where), message) for where, message in value)
        else:
            values[name] = Severity(value) if name == "severity" else decoded(value)
    if not isinstance(values.get("location"), (Location, type(None))):
        raise ValueError("a location is none")
    return Finding(**values)
