"""The server: what is done when a text is opened, changed or closed, and when the editor asks something."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from initlint.findings import Finding
from initlint.record import record
from initlint.server.checks import Checked, Checks
from initlint.server.diagnostics import diagnostics
from initlint.server.documents import NOTEBOOKS, Documents, Opened
from initlint.version import __version__

__all__ = ["Conversation", "Told", "touched"]

Answer = TypeVar("Answer")

PAUSE = 0.2
"""Seconds without a keystroke after which a text is checked."""

log = logging.getLogger("initlint")


@record(frozen=True, slots=True)
class Told:
    """What was found in a file as it stood at one moment."""

    opened: Opened
    findings: tuple[Finding, ...]


@record(slots=True)
class _Pending:
    """A check that waits for a pause in typing, or is under way; ``hurry`` ends the wait."""

    task: asyncio.Task[None]
    hurry: asyncio.Event


class Conversation(LanguageServer):
    """A language server on the texts of one editor.

    All that takes time is done by one thread, one thing after another; nothing else touches what checks have learnt.
    """

    def __init__(self) -> None:
        super().__init__("initlint", __version__, notebook_document_sync=NOTEBOOKS)
        self.told: dict[str, Told] = {}
        """By URI of the file, where it stands as it was checked."""
        self._checks = Checks()
        self._worker = ThreadPoolExecutor(1, "initlint")
        self._pending: dict[str, _Pending] = {}
        self._troubles: dict[str, str] = {}
        """By directory, what is wrong with the configuration that holds there."""
        self._remarked: dict[str, tuple[str, ...]] = {}

    @property
    def documents(self) -> Documents:
        """What the editor has open."""
        assert isinstance(self.workspace, Documents)
        return self.workspace

    def report_server_error(self, error: Exception, source: Any) -> None:
        """What goes wrong goes to the log: nobody who types code can do anything about it."""
        log.error("%s: %s", source.__name__, error)

    async def work(self, what: Callable[..., Answer], *arguments: Any) -> Answer:
        """Have something done by the thread that works."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, what, *arguments)

    def stop(self) -> None:
        """Begin nothing new."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def changed(self, uri: str, *, pause: float = PAUSE) -> None:
        """Check a file, unless it changes again within ``pause`` seconds."""
        self.told.pop(uri, None)
        self._forget(uri)
        hurry = asyncio.Event()
        task = asyncio.get_running_loop().create_task(self._check_later(uri, hurry, pause))
        self._pending[uri] = _Pending(task, hurry)

    def changed_around(self, uri: str | None = None) -> None:
        """Check all files that are open but one: something that may bear on them has changed."""
        for opened in self.documents.every():
            if opened.uri != uri:
                self.changed(opened.uri)

    def closed(self, uri: str, texts: Iterable[str]) -> None:
        """Say nothing more of a file."""
        self.told.pop(uri, None)
        self._forget(uri)
        for each in texts:
            self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(each, []))

    async def settled(self, uri: str) -> Told | None:
        """What is found in a file as it stands now; None for one that is not open, or cannot be parsed."""
        whole = self.documents.whole(uri)
        pending = self._pending.get(whole)
        if pending is not None:
            pending.hurry.set()
            await asyncio.wait([pending.task])
        return self.told.get(whole)

    def checked(self, opened: Opened, data: bytes, around: Mapping[str, bytes]) -> Checked:
        """Check a file that holds ``data``, beside what the files hold that are open; for the thread that works."""
        try:
            return self._checks.check(opened.path, data, instead=around, folders=self.documents.directories())
        except Exception as error:  # what one check stumbles over must not end the conversation
            log.exception("%s", opened.path)
            return Checked(None, remarks=(f"{opened.path}: initlint failed on it ({error!r}); please report this",))

    def around(self) -> Mapping[str, bytes]:
        """What the files that are open hold, saved or not, by their real paths."""
        return {os.path.realpath(opened.path): opened.data for opened in self.documents.every()}

    def _forget(self, uri: str) -> None:
        pending = self._pending.pop(uri, None)
        if pending is not None:
            pending.task.cancel()

    async def _check_later(self, uri: str, hurry: asyncio.Event, pause: float) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(hurry.wait(), pause)
        try:
            opened = self.documents.opened(uri)
            if opened is not None:
                self._tell(opened, await self.work(self.checked, opened, opened.data, self.around()))
        except Exception:
            log.exception("%s: cannot be told of; please report this", uri)
        self._pending.pop(uri, None)  # not reached where another check has taken the place of this one

    def _tell(self, opened: Opened, checked: Checked) -> None:
        for remark in checked.remarks if checked.remarks != self._remarked.get(opened.uri) else ():
            log.info("%s", remark)
        self._remarked[opened.uri] = checked.remarks
        directory = os.path.dirname(opened.path)
        trouble = checked.trouble
        if trouble is None:
            self._troubles.pop(directory, None)
        else:
            if trouble not in self._troubles.values():
                self.window_show_message(types.ShowMessageParams(types.MessageType.Error, f"initlint: {trouble}"))
            self._troubles[directory] = trouble
        if checked.findings is None:
            return  # while a line is being written, what was said of the others stays
        self.told[opened.uri] = Told(opened, checked.findings)
        for params in diagnostics(opened, checked.findings, self.documents):
            self.text_document_publish_diagnostics(params)


def touched(told: Told, uri: str, asked: types.Range) -> Iterator[Finding]:
    """The findings that a part of a text, or a position in it, touches."""
    first, last = (asked.start.line, asked.start.character), (asked.end.line, asked.end.character)
    for finding in told.findings:
        if told.opened.text(finding).uri == uri:
            place = told.opened.span(finding)
            if first <= (place.end.line, place.end.character) and (place.start.line, place.start.character) <= last:
                yield finding
