"""An editor: a client of the protocol that starts ``initlint server`` and keeps it for all tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from pygls.lsp.client import LanguageClient

PLUGIN = '''
from initlint.findings import Severity
from initlint.rule import Rule


class Fails(Rule):
    """It fails."""

    code, name, severity, needs = "OUR001", "fails", Severity.WARNING, ("source",)

    def check_call(self, call):
        print("this is not for the editor")
        raise RuntimeError("out of order")
'''
SECONDS = 20


class Editor:
    """Says what an editor says, and waits for what the server makes of it."""

    def __init__(self, workspace: Path, aside: Path) -> None:
        self.workspace = workspace
        self.aside = aside
        """What is no part of the workspace: a plugin that is installed, what the server writes to standard error."""
        self.log = aside / "stderr"
        self.texts: dict[str, str] = {}
        self.messages: list[str] = []
        self._versions: dict[str, int] = {}
        self._told: dict[str, list[types.Diagnostic]] = {}
        self._loop = asyncio.new_event_loop()
        self._client = LanguageClient("editor", "1")
        self._news = asyncio.Event()
        self._client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)(lambda params: self._hear(params))
        self._client.feature(types.WINDOW_SHOW_MESSAGE)(lambda params: self.messages.append(params.message))
        self._client.feature(types.CLIENT_REGISTER_CAPABILITY)(lambda params: self.messages.append("registered"))

    def _hear(self, params: types.PublishDiagnosticsParams) -> None:
        self._told[params.uri] = list(params.diagnostics)
        self._news.set()

    def start(self) -> None:
        path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(self.aside))))
        start = f'exec "{sys.executable}" -m initlint server --stdio 2>"{self.log}"'
        environment = {**os.environ, "PYTHONPATH": path}
        self._run(self._client.start_io("/bin/sh", "-c", start, cwd=self.workspace, env=environment))
        capabilities = types.ClientCapabilities(
            workspace=types.WorkspaceClientCapabilities(
                did_change_watched_files=types.DidChangeWatchedFilesClientCapabilities(dynamic_registration=True),
                workspace_edit=types.WorkspaceEditClientCapabilities(document_changes=True),
            ),
            text_document=types.TextDocumentClientCapabilities(
                code_action=types.CodeActionClientCapabilities(
                    resolve_support=types.ClientCodeActionResolveOptions(["edit"])
                )
            ),
            notebook_document=types.NotebookDocumentClientCapabilities(types.NotebookDocumentSyncClientCapabilities()),
        )
        params = types.InitializeParams(capabilities, process_id=os.getpid(), root_uri=self.workspace.as_uri())
        self.capabilities = self._run(self._client.initialize_async(params)).capabilities
        self._client.initialized(types.InitializedParams())

    def stop(self) -> int | None:
        process = self._client._server
        assert process is not None
        assert process.stdin is not None
        process.stdin.close()  # as an editor does that dies
        with contextlib.suppress(asyncio.CancelledError):
            self._run(self._client.stop())
        return process.returncode

    def _run(self, what: Any) -> Any:
        return self._loop.run_until_complete(asyncio.wait_for(what, SECONDS))

    def tell(self, what: Callable[[], None], uri: str) -> list[types.Diagnostic]:
        """Say something, and wait for what is told of that text then."""
        self._told.pop(uri, None)

        async def told() -> list[types.Diagnostic]:
            what()
            while uri not in self._told:
                self._news.clear()
                await self._news.wait()
            return self._told[uri]

        found: list[types.Diagnostic] = self._run(told())
        return found

    def heard_of(self, path: Path | str) -> bool:
        """Whether anything was ever told of a text."""
        return _uri(path) in self._told

    def open(self, path: Path | str, text: str, language: str = "python", wait: bool = True) -> list[types.Diagnostic]:
        uri = _uri(path)
        self.texts[uri], self._versions[uri] = text, 1
        item = types.TextDocumentItem(uri, language, 1, text)
        if not wait:
            self._client.text_document_did_open(types.DidOpenTextDocumentParams(item))
            return []
        return self.tell(lambda: self._client.text_document_did_open(types.DidOpenTextDocumentParams(item)), uri)

    def change(self, path: Path | str, *edits: types.TextEdit, wait: bool = True) -> list[types.Diagnostic]:
        """Change parts of a text, or (by an edit without a range) all of it."""
        uri = _uri(path)
        self._versions[uri] += 1
        changes: list[Any] = []
        for edit in edits:
            changes.append(types.TextDocumentContentChangePartial(edit.range, edit.new_text))
            self.texts[uri] = applied(self.texts[uri], [edit])
        which = types.VersionedTextDocumentIdentifier(self._versions[uri], uri)
        params = types.DidChangeTextDocumentParams(which, changes)
        if not wait:
            self._client.text_document_did_change(params)
            return []
        return self.tell(lambda: self._client.text_document_did_change(params), uri)

    def write(self, path: Path | str, text: str, wait: bool = True) -> list[types.Diagnostic]:
        """Put another text in the place of the one that is open."""
        lines = self.texts[_uri(path)].split("\n")
        whole = types.Range(types.Position(0, 0), types.Position(len(lines) - 1, units(lines[-1])))
        return self.change(path, types.TextEdit(whole, text), wait=wait)

    def save(self, path: Path, wait_for: Path | None = None) -> list[types.Diagnostic]:
        """Save a text; what is told of it then, or of another one."""
        path.write_text(self.texts[_uri(path)])
        params = types.DidSaveTextDocumentParams(types.TextDocumentIdentifier(_uri(path)))
        return self.tell(lambda: self._client.text_document_did_save(params), _uri(wait_for or path))

    def close(self, path: Path | str) -> list[types.Diagnostic]:
        params = types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(_uri(path)))
        return self.tell(lambda: self._client.text_document_did_close(params), _uri(path))

    def watched(self, changed: Path, wait_for: Path) -> list[types.Diagnostic]:
        event = types.FileEvent(_uri(changed), types.FileChangeType.Changed)
        params = types.DidChangeWatchedFilesParams([event])
        return self.tell(lambda: self._client.workspace_did_change_watched_files(params), _uri(wait_for))

    def notebook(self, path: Path, *cells: str) -> list[list[types.Diagnostic]]:
        """Open a notebook of Python cells; what is told of each."""
        uris = [f"vscode-notebook-cell:{path}#{number}" for number in range(len(cells))]
        items = [types.TextDocumentItem(uri, "python", 1, text) for uri, text in zip(uris, cells, strict=True)]
        book = types.NotebookDocument(
            _uri(path), "jupyter-notebook", 1, [types.NotebookCell(types.NotebookCellKind.Code, uri) for uri in uris]
        )
        self.texts.update(zip(uris, cells, strict=True))
        params = types.DidOpenNotebookDocumentParams(book, items)
        self.tell(lambda: self._client.notebook_document_did_open(params), uris[-1])
        return [self._told[uri] for uri in uris]

    def change_cell(self, path: Path, number: int, text: str) -> list[types.Diagnostic]:
        uri = f"vscode-notebook-cell:{path}#{number}"
        change = types.TextDocumentContentChangeWholeDocument(text)
        content = types.NotebookDocumentCellContentChanges(types.VersionedTextDocumentIdentifier(2, uri), [change])
        params = types.DidChangeNotebookDocumentParams(
            types.VersionedNotebookDocumentIdentifier(2, _uri(path)),
            types.NotebookDocumentChangeEvent(cells=types.NotebookDocumentCellChanges(text_content=[content])),
        )
        return self.tell(lambda: self._client.notebook_document_did_change(params), uri)

    def hover(self, path: Path | str, position: types.Position) -> str | None:
        params = types.HoverParams(types.TextDocumentIdentifier(_uri(path)), position)
        answer = self._run(self._client.text_document_hover_async(params))
        return None if answer is None else answer.contents.value

    def actions(
        self, path: Path | str, place: types.Range, only: list[str] | None = None
    ) -> dict[str, types.CodeAction]:
        """The actions at a place, by their titles."""
        params = types.CodeActionParams(
            types.TextDocumentIdentifier(_uri(path)), place, types.CodeActionContext([], only=only)
        )
        answer = self._run(self._client.text_document_code_action_async(params))
        return {action.title: action for action in answer}

    def after(self, path: Path | str, action: types.CodeAction) -> str:
        """The text as it would be after an action; every edit is checked to be of that text, and of its version."""
        if action.edit is None:
            action = self._run(self._client.code_action_resolve_async(action))
        assert action.edit is not None
        assert action.edit.document_changes is not None
        (change,) = action.edit.document_changes
        assert isinstance(change, types.TextDocumentEdit)
        assert (change.text_document.uri, change.text_document.version) == (
            _uri(path),
            self._versions.get(_uri(path), 1),
        )
        return applied(self.texts[_uri(path)], change.edits)

    def logged(self) -> str:
        return self.log.read_text()


def _uri(path: Path | str) -> str:
    return path if isinstance(path, str) else path.as_uri()


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def applied(text: str, edits: Any) -> str:
    """A text after edits in UTF-16 units, whose lines end at newlines."""
    data = text.encode("utf-16-le")
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + 2 * units(line + "\n"))

    def offset(position: types.Position) -> int:
        return starts[position.line] + 2 * position.character

    for edit in sorted(edits, key=lambda edit: offset(edit.range.start), reverse=True):
        data = data[: offset(edit.range.start)] + edit.new_text.encode("utf-16-le") + data[offset(edit.range.end) :]
    return data.decode("utf-16-le")


@pytest.fixture(scope="session")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    workspace = tmp_path_factory.mktemp("workspace").resolve()
    aside = tmp_path_factory.mktemp("aside")
    (aside / "our_rules.py").write_text(PLUGIN)
    made = Editor(workspace, aside)
    made.start()
    yield made
    assert made.stop() == 0, made.logged()


@pytest.fixture
def project(editor: Editor) -> Path:
    """A directory of the test's own within the workspace, the root of a project."""
    path = editor.workspace / f"project{len(list(editor.workspace.iterdir()))}"
    path.mkdir()
    (path / "pyproject.toml").write_text("")
    return path
