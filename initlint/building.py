"""Models built and probed in child processes, and what became of each."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from initlint.live.batch_spec import BatchSpec, parse_spec

if TYPE_CHECKING:
    from initlint.live.process import Outcome
    from initlint.live.targets import Target

__all__ = ["Built", "Plan"]

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", re.IGNORECASE)
_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
