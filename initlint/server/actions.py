"""What an editor offers to do at a place: each thing is only worked out in full once it is chosen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from lsprotocol import types

from initlint.findings import Finding
from initlint.server.conversation import Conversation, Told, touched
from initlint.server.diagnostics import diagnostic
from initlint.server.documents import encoded
from initlint.server.repairs import FIX_ALL, Found, fix, fix_all, silence

__all__ = ["offered", "resolved", "resolves"]

_LONGEST_TITLE = 120


def offered(server: Conversation, told: Told, params: types.CodeActionParams) -> list[types.CodeAction]:
    """The actions at a part of a text: those that load the package that edits sources have no edit yet."""
    uri, only = params.text_document.uri, params.context.only
    at_hand = list(touched(told, uri, params.range))
    found: list[types.CodeAction] = []
    if _wanted(types.CodeActionKind.QuickFix, only):
        found += _fixes(server, told, uri, at_hand)
        found += _silencing(server, told, at_hand)
    asked = only is not None and _wanted(FIX_ALL, only)
    if (asked or (only is None and _fixable(at_hand))) and _fixable(told.findings):
        found.append(types.CodeAction("initlint: make all safe fixes", FIX_ALL, data={"uri": uri}))
    return found


async def resolved(server: Conversation, action: types.CodeAction) -> types.CodeAction:
    """An action with its edit, as the text stands now; without one where that cannot be made."""
    if action.edit is not None or not isinstance(action.data, dict):
        return action
    uri = action.data.get("uri", "")
    told = await server.settled(uri)
    if told is None:
        return action
    if action.kind == FIX_ALL:
        edits = await server.work(fix_all, told.opened, _found(server, told))
    else:
        finding = next((each for each in told.findings if _mark(told, each) == action.data), None)
        edits = None if finding is None else await server.work(fix, told.opened, finding)
    if edits:
        action.edit = _edit(server, told, uri, edits)
    return action


def resolves(capabilities: types.ClientCapabilities) -> bool:
    """Whether an editor asks for the edit of an action once it is chosen."""
    texts = capabilities.text_document
    support = texts.code_action.resolve_support if texts is not None and texts.code_action is not None else None
    return support is not None and "edit" in support.properties


def _fixes(server: Conversation, told: Told, uri: str, findings: Iterable[Finding]) -> Iterator[types.CodeAction]:
    for finding in findings:
        if finding.fix is not None:
            kind = finding.code if finding.fix.safe else f"{finding.code} (unsafe, may change what is right)"
            yield types.CodeAction(
                _title(f"{kind}: {finding.help or finding.message}"),
                types.CodeActionKind.QuickFix,
                [diagnostic(finding, told.opened, server.documents)],
                is_preferred=finding.fix.safe,
                data=_mark(told, finding),
            )


def _silencing(server: Conversation, told: Told, findings: Iterable[Finding]) -> Iterator[types.CodeAction]:
    for finding in findings:
        edits = silence(told.opened, finding)
        if edits:
            yield types.CodeAction(
                f"{finding.code}: silence it here",
                types.CodeActionKind.QuickFix,
                [diagnostic(finding, told.opened, server.documents)],
                is_preferred=False,
                edit=_edit(server, told, told.opened.text(finding).uri, edits),
            )


def _found(server: Conversation, told: Told) -> Found:
    around = server.around()
    (text,) = told.opened.texts

    def findings(source: str) -> Iterable[Finding]:
        if source == text.source:
            return told.findings
        return server.checked(told.opened, encoded(source), around).findings or ()

    return findings


def _mark(told: Told, finding: Finding) -> dict[str, object]:
    """What a finding is known by, when an action on it is chosen."""
    start = told.opened.span(finding).start
    uri = told.opened.text(finding).uri
    return {"uri": uri, "code": finding.code, "line": start.line, "character": start.character}


def _edit(server: Conversation, told: Told, uri: str, edits: Sequence[types.TextEdit]) -> types.WorkspaceEdit:
    """Edits of one text, refused by an editor that has another version of it by now, if it can tell."""
    workspace = server.client_capabilities.workspace
    can = workspace.workspace_edit if workspace is not None else None
    if can is None or not can.document_changes:
        return types.WorkspaceEdit(changes={uri: edits})
    version = next(text.version for text in told.opened.texts if text.uri == uri)
    return types.WorkspaceEdit(
        document_changes=[types.TextDocumentEdit(types.OptionalVersionedTextDocumentIdentifier(uri, version), edits)]
    )


def _fixable(findings: Iterable[Finding]) -> bool:
    return any(finding.fix is not None and finding.fix.safe for finding in findings)


def _wanted(kind: str, only: Sequence[str] | None) -> bool:
    """Whether an action of that kind is among those that were asked for."""
    return only is None or any(kind == each or kind.startswith(f"{each}.") for each in only)


def _title(text: str) -> str:
    return text if len(text) <= _LONGEST_TITLE else f"{text[: _LONGEST_TITLE - 3]}..."
