"""What is told of a checkpoint of which no key matches is what torch finds: each script is read, and run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .test_scripts import script

pytestmark = pytest.mark.torch

FOLLOWED = {
    "as it is": "state = net.state_dict()",
    "of the wrapper": "state = wrapped.state_dict()",
    "of what is wrapped": "state = wrapped.module.state_dict()",
    "beside other things": "state = {'model': net.state_dict(), 'epoch': 3}",
    "replaced": "state = {k.replace('module.', ''): v for k, v in wrapped.state_dict().items()}",
    "removed": "state = {k.removeprefix('module.'): v for k, v in wrapped.state_dict().items()}",
    "put in front": "state = {'module.' + k: v for k, v in net.state_dict().items()}",
    "formatted": "state = {f'module.{k}': v for k, v in net.state_dict().items()}",
}
NOT_FOLLOWED = {
    "under a name that is not read": "state = {name: net.state_dict()}",
    "cut by its length": "state = {k[7:]: v for k, v in wrapped.state_dict().items()}",
    "with another name in front": "state = {'net.' + k: v for k, v in net.state_dict().items()}",
    "formatted with another name": "state = {f'net.{k}': v for k, v in net.state_dict().items()}",
    "formatted of more": "state = {f'module.{k}{1}': v for k, v in net.state_dict().items()}",
    "chosen": "state = {'module.' + k: v for k, v in net.state_dict().items() if 'weight' in k}",
    "by its keys": "state = {k: net.state_dict()[k] for k in net.state_dict()}",
    "changed otherwise": "state = {k.upper(): v for k, v in net.state_dict().items()}",
    "of one of several": "state = {k: v for m in [wrapped] for k, v in m.state_dict().items()}",
    "with one entry more": "state = wrapped.state_dict()\nstate['weight'] = net.weight",
    "saved over": "state = net.state_dict()\ntorch.save(wrapped.state_dict(), 'net.pt')",
    "saved over by something else": "torch.save(wrapped.state_dict(), 'net.pt')\nstate = {}",
}


def told_and_found(text: str, target: str) -> tuple[bool, bool]:
    """Whether reading says that no key matches, and whether none does."""
    before = "net = nn.Linear(2, 2)\nwrapped = nn.DataParallel(net)\nname = 'net'\n"
    after = f"\ntorch.save(state, 'net.pt')\nfound = {target}.load_state_dict(torch.load('net.pt'), strict=False)\n"
    names: dict[str, Any] = {}
    exec("import torch\nfrom torch import nn\n" + before + text + after, names)
    told = script(before + text + after + "for x in net:\n    x.backward()\n").unmatched
    return bool(told), len(names["found"].missing_keys) == 2


@pytest.mark.parametrize("target", ["net", "wrapped"])
@pytest.mark.parametrize("made", FOLLOWED)
def test_keys_that_are_followed(made: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told, found = told_and_found(FOLLOWED[made], target)
    assert told == found


@pytest.mark.parametrize("target", ["net", "wrapped"])
@pytest.mark.parametrize("made", NOT_FOLLOWED)
def test_keys_that_are_not_followed(made: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told, found = told_and_found(NOT_FOLLOWED[made], target)
    assert found or not told
