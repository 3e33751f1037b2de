"""What a finding is recognised by in a later run, wherever its line has moved to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from initlint.findings import Finding
from initlint.location import Location

__all__ = ["with_fingerprints"]


def with_fingerprints(findings: Iterable[Finding], lines: Mapping[Location, str]) -> list[Finding]:
    """The findings, each with its fingerprint: 16 hexadecimal digits.

    It is made of the code, the path and the text of the line without its indentation, and, for findings that agree in
    these, of which one it is in order. Without a line, the model's and the parameter's names stand for it. What was
    measured, line numbers and (where there is a line) parameter names stay out: they change when nothing about the
    defect does, and a static run does not know them.
    """
    import hashlib  # loads OpenSSL, which a clean file need not pay for

    seen: Counter[tuple[str, ...]] = Counter()
    marked = []
    for finding in findings:
        where = finding.location
        if where is not None and where in lines:
            key: tuple[str, ...] = (finding.code, where.path, lines[where].strip())
        else:
            subject = finding.parameter or finding.layer or ""
            key = (finding.code, where.path if where else "", finding.model or "", subject)
        text = "\0".join((*key, str(seen[key])))
        seen[key] += 1
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        marked.append(replace(finding, fingerprint=digest))
    return marked
