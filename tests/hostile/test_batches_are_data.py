"""A batch in a file is data: nothing in it runs or fills the memory, and what is wrong with it is one line."""

from __future__ import annotations

import ast
import json
import os
import pickle
import re
import struct
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import initlint

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.torch

ROOT = Path(__file__).parents[2]


class Runs:
    """Makes a file when it is unpickled, by a function that no reader should call."""

    def __init__(self, canary: Path) -> None:
        self._command = f"touch {canary}"

    def __reduce__(self) -> Any:
        return os.system, (self._command,)


def archive(path: Path, members: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", how) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def array(shape: str, descr: str = "'<f4'", data: bytes = b"") -> bytes:
    """A .npy file that says of itself what it likes."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def hostile_files(folder: Path, canary: Path) -> Iterator[Path]:
    """Files of every kind that is read, each of which would make ``canary`` or fill the memory."""
    harm = pickle.dumps(Runs(canary))
    for name in ("bare.pt", "bare.pth", "bare.npy", "bare.npz", "bare.safetensors"):
        (folder / name).write_bytes(harm)
        yield folder / name
    torch.save(Runs(canary), folder / "zipped.pt")
    torch.save({"x": torch.ones(8, 8), "y": Runs(canary)}, folder / "beside_a_tensor.pt")
    torch.save(Runs(canary), folder / "legacy.pt", _use_new_zipfile_serialization=False)
    yield from (folder / name for name in ("zipped.pt", "beside_a_tensor.pt", "legacy.pt"))
    yield archive(folder / "climbs.npz", {f"../../{canary.name}.npy": harm})
    yield archive(folder / "objects.npz", {"x.npy": array("(1,)", "'|O'", harm)})
    (folder / "objects.npy").write_bytes(array("(1,)", "'|O'", harm))
    (folder / "vast.npy").write_bytes(array(f"({1 << 60},)"))
    (folder / "negative.npy").write_bytes(array("(-1,)"))
    (folder / "code.npy").write_bytes(array(f"__import__('os').system('touch {canary}')"))
    yield from (folder / name for name in ("objects.npy", "vast.npy", "negative.npy", "code.npy"))
    # The directory of the archive says five GiB, as that of a real bomb would, which takes long to make.
    with zipfile.ZipFile(folder / "bomb.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bomb:
        info = zipfile.ZipInfo("x.npy")
        bomb.writestr(info, bytes(1 << 20))
        info.file_size = 5 << 30
    yield folder / "bomb.npz"
    nest: list[Any] = []
    nest.append(nest)
    torch.save(nest, folder / "itself.pt")
    wide: Any = [0.5]
    for _ in range(20):
        wide = [wide] * 10
    torch.save(wide, folder / "wide.pt")
    yield from (folder / name for name in ("itself.pt", "wide.pt"))
    header = json.dumps({"x": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 4 << 40]}}).encode()
    (folder / "vast.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    (folder / "header.safetensors").write_bytes(struct.pack("<Q", 1 << 62) + b"{}")
    yield from (folder / name for name in ("vast.safetensors", "header.safetensors"))
    with open(folder / "sparse.pt", "wb") as sparse:
        sparse.truncate(5 << 30)
    os.symlink("loop.pt", folder / "loop.pt")
    os.symlink("/dev/zero", folder / "endless.pt")
    os.mkfifo(folder / "fifo.npy")
    os.mkdir(folder / "folder.pt")
    yield from (folder / name for name in ("sparse.pt", "loop.pt", "endless.pt", "fifo.npy", "folder.pt", "absent.pt"))


def test_nothing_in_a_file_runs_or_fills_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numpy")
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # loosens the calls that do not say what they want
    canary = tmp_path / "canary"
    (tmp_path / "files").mkdir()
    model = torch.nn.Linear(8, 4)
    began = time.monotonic()
    for path in hostile_files(tmp_path / "files", canary):
        with pytest.raises(ValueError, match=r"^batch @") as refused:
            initlint.audit(model, f"@{path}")
        assert len(str(refused.value).splitlines()) == 1, path.name
        assert len(str(refused.value)) < 300, path.name
        assert not canary.exists(), path.name
    assert time.monotonic() - began < 60
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["files"], "nothing was unpacked"


UNSAFE = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml"}
"""Modules that run what they read, or come near it."""
MAY_LOAD = re.compile("|".join([r"\bload\s*\(", *(rf"\b{name}\b" for name in sorted(UNSAFE))]))


def test_no_line_of_ours_unpickles() -> None:
    loads = []
    for path in [*ROOT.glob("initlint/**/*.py"), *ROOT.glob("rules/**/*.py")]:
        text = path.read_text()
        if not MAY_LOAD.search(text):
            continue
        for node in ast.walk(ast.parse(text)):
            where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import):
                assert not {name.name.partition(".")[0] for name in node.names} & UNSAFE, where
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in UNSAFE:
                assert [name.name for name in node.names] == ["UnpicklingError"], where
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "load":
                owner = ast.unparse(node.func.value)
                options = {option.arg: ast.unparse(option.value) for option in node.keywords}
                if owner == "torch":
                    loads.append(where)
                    assert options.get("weights_only") == "True", where
                if owner in ("numpy", "np"):
                    loads.append(where)
                    assert options.get("allow_pickle") == "False", where
    assert len(loads) == 2, loads
