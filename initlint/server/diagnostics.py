"""Findings in the protocol's words."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

from lsprotocol import types

from initlint.findings import Finding, Severity
from initlint.server.documents import Documents, Opened, span

__all__ = ["diagnostic", "diagnostics", "documentation"]

_SEVERITIES = {
    Severity.ERROR: types.DiagnosticSeverity.Error,
    Severity.WARNING: types.DiagnosticSeverity.Warning,
    Severity.ADVICE: types.DiagnosticSeverity.Information,
}


def diagnostics(
    opened: Opened, findings: Sequence[Finding], documents: Documents
) -> Iterator[types.PublishDiagnosticsParams]:
    """What is told of each text of a file, also of those of which there is nothing to say."""
    for text in opened.texts:
        said = [diagnostic(finding, opened, documents) for finding in findings if opened.text(finding) is text]
        yield types.PublishDiagnosticsParams(text.uri, said, text.version)


def diagnostic(finding: Finding, opened: Opened, documents: Documents) -> types.Diagnostic:
    """A finding in a file that is open. Its rule has no address: hovering tells what it means."""
    return types.Diagnostic(
        range=opened.span(finding),
        message="\n".join([finding.message, *([f"help: {finding.help}"] if finding.help else [])]),
        severity=_SEVERITIES[finding.severity],
        code=finding.code,
        source="initlint",
        related_information=list(_related(finding, opened, documents)) or None,
    )


def documentation(findings: Iterable[Finding]) -> str:
    """What the rules of findings mean, in Markdown."""
    from initlint.rulebook import explanation

    texts = map(explanation, dict.fromkeys(finding.code for finding in findings))
    return "\n\n---\n\n".join(f"**{head}**\n{body}" for head, _, body in (text.partition("\n") for text in texts))


def _related(finding: Finding, opened: Opened, documents: Documents) -> Iterator[types.DiagnosticRelatedInformation]:
    """The other places that a finding has to do with, but for cells of a notebook that is not open."""
    for other in finding.related:
        path = os.path.abspath(other.location.path)
        text = opened.text(other) if path == opened.path else documents.file(path)
        if text is not None and (path == opened.path or other.location.cell is None):
            yield types.DiagnosticRelatedInformation(
                types.Location(text.uri, span(text, other.location)), other.message
            )
