"""What the editor may tell and ask, each answered in a few lines."""

from __future__ import annotations

from lsprotocol import types

from initlint.server.actions import offered, resolved, resolves
from initlint.server.conversation import Conversation, touched
from initlint.server.diagnostics import documentation
from initlint.server.documents import Documents
from initlint.server.repairs import FIX_ALL

__all__ = ["conversation"]

WATCHED = ("**/*.py", "**/*.ipynb", "**/pyproject.toml", "**/initlint.toml", "**/.initlint.toml")
"""What bears on findings: configurations, and other files of the project."""


def conversation() -> Conversation:
    """A server that answers."""
    server = Conversation()
    _about_the_editor(server)
    _about_texts(server)
    _about_findings(server)
    return server


def _about_the_editor(server: Conversation) -> None:
    @server.feature(types.INITIALIZE)
    def initialize(_: types.InitializeParams) -> None:
        made = server.workspace
        server.protocol._workspace = Documents(
            made.root_uri, server._text_document_sync_kind, [*made.folders.values()], made.position_encoding
        )

    @server.feature(types.INITIALIZED)
    def initialized(_: types.InitializedParams) -> None:
        workspace = server.client_capabilities.workspace
        watching = workspace.did_change_watched_files if workspace is not None else None
        if watching is None or not watching.dynamic_registration:
            return  # a change is noticed at the next check then
        options = types.DidChangeWatchedFilesRegistrationOptions([types.FileSystemWatcher(glob) for glob in WATCHED])
        method = types.WORKSPACE_DID_CHANGE_WATCHED_FILES
        server.client_register_capability(types.RegistrationParams([types.Registration("watched", method, options)]))

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def watched(_: types.DidChangeWatchedFilesParams) -> None:
        server.changed_around()

    @server.feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)
    def folders(_: types.DidChangeWorkspaceFoldersParams) -> None:
        server.changed_around()


def _about_texts(server: Conversation) -> None:
    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def opened(params: types.DidOpenTextDocumentParams) -> None:
        server.changed(params.text_document.uri, pause=0)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def changed(params: types.DidChangeTextDocumentParams) -> None:
        server.changed(params.text_document.uri)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def saved(params: types.DidSaveTextDocumentParams) -> None:
        server.changed(params.text_document.uri, pause=0)
        server.changed_around(params.text_document.uri)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def closed(params: types.DidCloseTextDocumentParams) -> None:
        server.closed(params.text_document.uri, [params.text_document.uri])

    @server.feature(types.NOTEBOOK_DOCUMENT_DID_OPEN)
    def opened_notebook(params: types.DidOpenNotebookDocumentParams) -> None:
        server.changed(params.notebook_document.uri, pause=0)

    @server.feature(types.NOTEBOOK_DOCUMENT_DID_CHANGE)
    def changed_notebook(params: types.DidChangeNotebookDocumentParams) -> None:
        cells = params.change.cells
        removed = cells.structure.did_close if cells is not None and cells.structure is not None else None
        server.closed(params.notebook_document.uri, [cell.uri for cell in removed or ()])
        server.changed(params.notebook_document.uri)

    @server.feature(types.NOTEBOOK_DOCUMENT_DID_SAVE)
    def saved_notebook(params: types.DidSaveNotebookDocumentParams) -> None:
        server.changed_around(params.notebook_document.uri)

    @server.feature(types.NOTEBOOK_DOCUMENT_DID_CLOSE)
    def closed_notebook(params: types.DidCloseNotebookDocumentParams) -> None:
        server.closed(params.notebook_document.uri, [cell.uri for cell in params.cell_text_documents])


def _about_findings(server: Conversation) -> None:
    @server.feature(types.TEXT_DOCUMENT_HOVER)
    async def hover(params: types.HoverParams) -> types.Hover | None:
        told = await server.settled(params.text_document.uri)
        there = types.Range(params.position, params.position)
        found = [] if told is None else list(touched(told, params.text_document.uri, there))
        if told is None or not found:
            return None
        return types.Hover(
            types.MarkupContent(types.MarkupKind.Markdown, await server.work(documentation, found)),
            told.opened.span(found[0]),
        )

    options = types.CodeActionOptions([types.CodeActionKind.QuickFix, FIX_ALL], resolve_provider=True)

    @server.feature(types.TEXT_DOCUMENT_CODE_ACTION, options)
    async def actions(params: types.CodeActionParams) -> list[types.CodeAction]:
        told = await server.settled(params.text_document.uri)
        if told is None:
            return []
        every = await server.work(offered, server, told, params)
        if not resolves(server.client_capabilities):
            every = [await resolved(server, action) for action in every]
            return [action for action in every if action.edit is not None]
        return every

    @server.feature(types.CODE_ACTION_RESOLVE)
    async def resolve(action: types.CodeAction) -> types.CodeAction:
        made = await resolved(server, action)
        if made.edit is None:
            message = f"{action.title}: that cannot be done here"
            server.window_show_message(types.ShowMessageParams(types.MessageType.Info, message))
        return made
