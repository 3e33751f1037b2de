"""Batches in files. Nothing that a file holds is run: no pickled code, and every offset is checked."""

from __future__ import annotations

import importlib
import json
import os
import zipfile
from collections.abc import Callable
from pickle import UnpicklingError
from typing import Any, TypeGuard

import torch
from torch import Tensor

from initlint.live.host.failures import first_line
from initlint.regular import opened

__all__ = ["load_batch"]

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_MAX_HEADER = 100_000_000
"""Bytes; the format's own limit."""
_MOST = 1 << 32
"""Bytes that a batch may have, also when it is unpacked: a few packed ones can fill any memory."""
_MANY = 100_000
"""Values in a nest."""
_LOOSE_TORCH = (2, 6)
"""Before it torch.load(weights_only=True) could be made to run code by what is no zip archive (CVE-2025-32434)."""


def load_batch(path: str) -> Any:
    """What a file holds: a tensor, or a tuple, list or mapping of tensors.

    ``.pt`` and ``.pth`` are read with ``weights_only``, ``.npy`` and ``.npz`` without pickled objects. An archive's
    unnamed arrays (arr_0, arr_1) are a tuple. Raises ValueError, in one line, for what cannot be read, is no regular
    file or larger than 4 GiB, and for what holds anything but tensors, numbers and None.
    """
    shown = os.path.basename(path)
    try:
        _within_bounds(path)
        value = _reader(path)(path)
    except (OSError, MemoryError) as error:
        raise ValueError(f"batch @{shown}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    except UnpicklingError:
        raise ValueError(f"batch @{shown}: holds no tensors, or pickled objects, which could run code") from None
    except Exception as error:  # the readers raise what they like for a broken file
        why = first_line(error, 160)
        raise ValueError(f"batch @{shown}: holds no tensors that can be read safely ({why})") from None
    stranger = _stranger(value)
    if stranger is not None:
        raise ValueError(f"batch @{shown}: holds a {stranger}, and a batch is made of tensors")
    return value


def _reader(path: str) -> Callable[[str], Any]:
    ending = os.path.splitext(path)[1].lower()
    return {".npy": _numpy, ".npz": _numpy, ".safetensors": _safetensors}.get(ending, _torch)


def _within_bounds(path: str) -> None:
    """Raises OSError for what is no regular file (a FIFO never ends), ValueError for too much, also unpacked."""
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                size = max(size, sum(member.file_size for member in archive.infolist()))
    if size > _MOST:
        raise ValueError(f"it has {size / 2**30:.3g} GiB, and a batch {_MOST >> 30} at most")


def _torch(path: str) -> Any:
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if version < _LOOSE_TORCH and not zipfile.is_zipfile(path):
        raise ValueError("of a file that is no zip archive, torch before 2.6 may run what it holds")
    return torch.load(path, map_location="cpu", weights_only=True)


def _numpy(path: str) -> Any:
    try:
        import numpy
    except ImportError:
        raise ValueError("numpy is not installed") from None
    value = numpy.load(path, allow_pickle=False)
    if isinstance(value, numpy.ndarray):
        return torch.from_numpy(value)
    with value:
        arrays = {name: torch.from_numpy(value[name]) for name in value.files}
    unnamed = [f"arr_{index}" for index in range(len(arrays))]
    return tuple(arrays[name] for name in unnamed) if sorted(arrays) == sorted(unnamed) else arrays


def _safetensors(path: str) -> dict[str, Tensor]:
    try:
        library = importlib.import_module("safetensors.torch")
    except ImportError:
        return read_safetensors(path)
    found: dict[str, Tensor] = library.load_file(path)
    return found


def read_safetensors(path: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file: 8 bytes of length, a JSON header, then the values.

    Raises ValueError for a file that is not so. Format: huggingface.co/docs/safetensors.
    """
    with open(path, "rb") as file:
        content = file.read()
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(_MAX_HEADER, len(content) - 8):
        raise ValueError("no safetensors header")
    header = json.loads(content[8 : 8 + length].decode())
    if not isinstance(header, dict):
        raise ValueError("no safetensors header")
    values = memoryview(content)[8 + length :]
    return {name: _entry(name, entry, values) for name, entry in header.items() if name != "__metadata__"}


def _entry(name: str, entry: Any, values: memoryview) -> Tensor:
    if not isinstance(entry, dict) or entry.get("dtype") not in _DTYPES:
        raise ValueError(f"{name!r} has a dtype that is not known")
    dtype = _DTYPES[entry["dtype"]]
    shape, offsets = entry.get("shape"), entry.get("data_offsets")
    if not _is_counts(shape) or not _is_counts(offsets) or len(offsets) != 2:
        raise ValueError(f"{name!r} has no shape or no place")
    elements = 1
    for size in shape:
        elements *= size
    begin, end = offsets
    if not begin <= end <= len(values) or end - begin != elements * dtype.itemsize:
        raise ValueError(f"{name!r} lies outside the file or has another size than its shape")
    if not elements:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(bytearray(values[begin:end]), dtype=dtype).reshape(shape)


def _is_counts(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(each) is int and each >= 0 for each in value)


def _stranger(value: Any) -> str | None:
    """The type of something in a nest that is neither a tensor nor a plain value, or the nest is endless; else None."""
    waiting, seen = [value], 0
    while waiting:
        item = waiting.pop()
        seen += 1
        if seen > _MANY:
            return f"nest of more than {_MANY} values"
        if isinstance(item, (list, tuple)):
            waiting += item[:_MANY]
        elif isinstance(item, dict):
            waiting += item.values()
        elif item is not None and not isinstance(item, (Tensor, bool, int, float, str)):
            return type(item).__name__
    return None
