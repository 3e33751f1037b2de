"""How long an editor waits for ``initlint server``: from a keystroke to the diagnostics of the text that it makes.

Each FILE is opened as it lies there, then typed into: a comment grows by a letter a time, in the middle. The pause that
the server waits for after the last keystroke is not counted. Needs the extra ``lsp``. What lies in site-packages is
passed over by the server: copy a package elsewhere, as a whole, for what is looked up in its other files counts too.

    python benchmarks/server_latency.py copy/transformers/models/gpt2/modeling_gpt2.py copy/timm/models/resnet.py
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from pathlib import Path

from lsprotocol import types
from pygls.lsp.client import LanguageClient

from initlint.server.conversation import PAUSE


class Editor:
    def __init__(self) -> None:
        self.client = LanguageClient("latency", "1")
        self.told: asyncio.Queue[types.PublishDiagnosticsParams] = asyncio.Queue()

        @self.client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def hear(params: types.PublishDiagnosticsParams) -> None:
            self.told.put_nowait(params)

    async def start(self) -> None:
        await self.client.start_io(sys.executable, "-m", "initlint", "server")
        await self.client.initialize_async(types.InitializeParams(types.ClientCapabilities()))
        self.client.initialized(types.InitializedParams())

    async def answered(self, uri: str, version: int) -> int:
        """Wait until a version of a text is told of; how many findings there are."""
        while True:
            params = await self.told.get()
            if (params.uri, params.version) == (uri, version):
                return len(params.diagnostics)


async def measure(path: Path, keystrokes: int) -> str:
    editor = Editor()
    started = time.perf_counter()
    await editor.start()
    ready = time.perf_counter()
    text = path.read_text()
    uri = path.resolve().as_uri()
    editor.client.text_document_did_open(
        types.DidOpenTextDocumentParams(types.TextDocumentItem(uri, "python", 0, text))
    )
    findings = await editor.answered(uri, 0)
    opened = time.perf_counter()
    lines = text.split("\n")
    middle = next(i for i in range(len(lines) // 2, len(lines)) if not lines[i])
    waits = []
    for version in range(1, keystrokes + 1):
        typed, column = ("#", 0) if version == 1 else ("x", version - 1)
        where = types.Position(middle, column)
        change = types.TextDocumentContentChangePartial(types.Range(where, where), typed)
        before = time.perf_counter()
        editor.client.text_document_did_change(
            types.DidChangeTextDocumentParams(types.VersionedTextDocumentIdentifier(version, uri), [change])
        )
        await editor.answered(uri, version)
        waits.append(time.perf_counter() - before - PAUSE)
    await editor.client.shutdown_async(None)
    editor.client.exit(None)
    await editor.client.stop()
    waits.sort()
    return (
        f"| {path.name} | {len(lines):,} | {findings} | {ready - started:.2f} s | {opened - ready:.2f} s "
        f"| {statistics.median(waits):.2f} s | {waits[0]:.2f} to {waits[-1]:.2f} s |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path)
    parser.add_argument("--keystrokes", type=int, default=15)
    arguments = parser.parse_args()
    print(f"| file | lines | findings | server's start | first check | a keystroke, after {PAUSE} s | range |")
    print("|---|---|---|---|---|---|---|")
    for path in arguments.files:
        print(asyncio.run(measure(path, arguments.keystrokes)), flush=True)


if __name__ == "__main__":
    main()
