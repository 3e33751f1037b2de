"""What a finding is recognised by in a later run, wherever its line has moved to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from initlint.findings import Finding
from initlint.location import Location
from initlint.record import replace

__all__ = ["content", "with_fingerprints"]


def with_fingerprints(findings: Iterable[Finding], lines: Mapping[Location, str]) -> list[Finding]:
    """The findings, each with its fingerprint: 16 hexadecimal digits.

    It is made of the path, of what ``content`` is made of, and, for findings that agree in these, of which one it is.
    """
    seen: Counter[tuple[str, ...]] = Counter()
    marked = []
    for finding in findings:
        code, *rest = _content(finding, lines)
        key = (code, finding.location.path if finding.location else "", *rest)
        marked.append(replace(finding, fingerprint=_digest(*key, str(seen[key]))))
        seen[key] += 1
    return marked


def content(finding: Finding, lines: Mapping[Location, str]) -> str:
    """A digest of what a finding is about, whatever file it is in: 16 hexadecimal digits.

    It is made of the code and the text of the line without its indentation. Without a line, the model's and the
    parameter's names stand for it. What was measured, the message, line numbers and (where there is a line) parameter
    names stay out: they change when nothing about the defect does, and a static run does not know them.
    """
    return _digest(*_content(finding, lines))


def _content(finding: Finding, lines: Mapping[Location, str]) -> tuple[str, ...]:
    where = finding.location
    if where is not None and where in lines:
        return finding.code, lines[where].strip()
    return finding.code, finding.model or "", finding.parameter or finding.layer or ""


def _digest(*parts: str) -> str:
    import hashlib  # loads OpenSSL, which a clean file need not pay for

    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
