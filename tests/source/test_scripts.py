"""What a script does, in the order it does it."""

from __future__ import annotations

import pytest

from initlint.facts import Script

from .reading import facts

NET = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)
"""
TRAIN = """
def train(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.ones(2, 4)).sum().backward()
    optimizer.step()
"""


def script(text: str) -> Script:
    (found,) = facts(NET + TRAIN + text).scripts
    return found


def test_a_library_is_no_script() -> None:
    assert facts(NET + TRAIN).scripts == ()


def test_main_is_followed_in_the_order_it_runs() -> None:
    found = script("""
def main():
    model = Net().to("cuda")
    torch.manual_seed(1)
    train(model)

if __name__ == "__main__":
    main()
""")
    (build,), (seed,), (step,) = found.builds, found.seeds, found.trains
    assert (build.text, seed.text) == ("Net", "torch.manual_seed")
    assert build.precedes(seed)
    assert seed.precedes(step)


def test_what_stands_on_another_path_does_not_come_before() -> None:
    found = script("""
def main(resume):
    if resume:
        model = Net()
        train(model)
        return
    torch.manual_seed(1)

main(True)
""")
    assert not found.builds[0].precedes(found.seeds[0])


def test_seeds_of_other_generators_do_not_count() -> None:
    found = script("""
import numpy as np
np.random.seed(0)
generator = torch.Generator().manual_seed(0)
train(Net())
""")
    assert found.seeds == ()
    assert [build.text for build in found.builds] == ["Net"]


def test_functions_see_the_names_of_the_script() -> None:
    found = script("""
model = Net()

def run():
    train(model)

run()
""")
    assert len(found.builds) == 1


HELPERS = """
from models import Whole
from tools import make_optimizer
class Head(nn.Linear):
    pass
def everything(m):
    if isinstance(m, (nn.Linear, nn.Conv2d)):
        nn.init.normal_(m.weight)
def heads(m):
    if isinstance(m, Head):
        nn.init.zeros_(m.weight)
def linears(m):
    if isinstance(m, nn.Linear):
        nn.init.normal_(m.weight)
net = Whole()
"""
LOAD = "net.load_state_dict(torch.load('net.pt'))\n"
APPLY = "net.apply(everything)\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LOAD + APPLY, 1),
        (LOAD + "net.apply(heads)\n", 0),
        (LOAD + "net.apply(linears)\n", 0),
        (LOAD.replace("'))", "'), strict=False)") + APPLY, 0),
        (LOAD + "net.fc = nn.Linear(2, 2)\n" + APPLY, 0),
        (f"if args.resume:\n    {LOAD}if not args.resume:\n    {APPLY}", 0),
        (f"if args.resume is None:\n    {LOAD}if args.resume is not None:\n    {APPLY}", 0),
        (f"if args.resume:\n    {LOAD}args = more()\nif not args.resume:\n    {APPLY}", 1),
        (f"if ready():\n    {LOAD}if not ready():\n    {APPLY}", 1),
        (f"if args.resume:\n    {LOAD}if args.resume:\n    {APPLY}", 1),
    ],
)
def test_what_is_loaded_is_wiped_where_all_of_it_is_drawn_anew(text: str, expected: int) -> None:
    assert len(script(HELPERS + text + "for x in net:\n    x.backward()\n").wiped) == expected


FIRST = "optimizer = torch.optim.SGD(net.parameters(), lr=0.1)\nnet.fc = nn.Linear(2, 2)\n"
STEP = "net(1).backward()\n"
FREEZE = "for p in net.parameters():\n    p.requires_grad = False\n"
SECOND = "net.fc = nn.Linear(2, 2)\noptimizer = torch.optim.SGD(net.parameters(), lr=0.1)\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (FIRST + STEP, ["late"]),
        (FIRST + "net.head = nn.Linear(2, 2)\n" + STEP, ["late", "late"]),
        (FIRST + "print(net)\n" + STEP, ["late"]),
        (FIRST + "optimizer = make_optimizer(net)\n" + STEP, []),
        (FIRST + "optimizer = make_optimizer(list(net.parameters()))\n" + STEP, []),
        (FIRST + "optimizer.param_groups[0]['params'] = list(net.parameters())\n" + STEP, []),
        (SECOND + FREEZE + STEP, ["frozen"]),
        (SECOND + STEP + FREEZE, []),
        (SECOND + STEP + FREEZE + STEP, []),
    ],
)
def test_new_layers_that_no_optimiser_trains(text: str, expected: list[str]) -> None:
    assert [mishap.form for mishap in script(HELPERS + text).untrained] == expected


SEEDED = [
    "with open('x') as f, torch.no_grad() as g:\n    torch.manual_seed(1)\nmodel = Net()\n",
    "try:\n    torch.manual_seed(1)\nexcept ValueError as error:\n    print(error)\nfinally:\n    model = Net()\n",
    "while waiting():\n    pass\ntorch.manual_seed(1)\nmodel = Net()\n",
    "for k in range(3):\n    torch.manual_seed(k)\n    model = Net()\n",
    "def prepare():\n    torch.manual_seed(1)\nprepare()\nmodel = Net()\n",
    "def prepare():\n    torch.manual_seed(1)\n    return Net()\nmodel = prepare()\n",
    "def prepare(n):\n    if n > 3:\n        return prepare(n - 1)\n    torch.manual_seed(1)\n"
    "prepare(3)\nmodel = Net()\n",
    "make = lambda: Net()\ntorch.manual_seed(1)\nmodel = make()\n",
    "torch.manual_seed(1)\nmodel = Net() if args.small else Net()\n",
    "torch.manual_seed(1)\nmodels = [Net() for _ in range(3)]\nmodel = models[0]\n",
    "if args.quick:\n    torch.manual_seed(1)\nelse:\n    torch.manual_seed(2)\nmodel = Net()\n",
    "if args.wrong:\n    raise ValueError\ntorch.manual_seed(1)\nmodel = Net()\n",
    "seed: int\nseed = 1\ntorch.manual_seed(seed)\nmodel: nn.Module = Net()\n",
    "async def main():\n    async with session() as s:\n        torch.manual_seed(1)\n"
    "        return Net()\nmodel = main()\n",
    "class Run:\n    def go(self):\n        torch.manual_seed(1)\n        self.model = Net()\n"
    "        train(self.model)\nrun = Run()\nmodel = Net()\n",
]


@pytest.mark.parametrize("text", SEEDED)
def test_what_is_built_after_a_seed_is_not_said_to_come_before_it(text: str) -> None:
    found = script(text + "train(model)\n")
    assert not any(build.precedes(seed) for build in found.builds for seed in found.seeds)


@pytest.mark.parametrize(
    "text",
    [
        "model = Net()\nwith open('x'):\n    torch.manual_seed(1)\n",
        "model = Net()\ndef prepare():\n    torch.manual_seed(1)\nprepare()\n",
        "def make():\n    return Net()\nmodel = make()\ntorch.manual_seed(1)\n",
        "model = Net().float().train()\ntorch.manual_seed(1)\n",
        "model = copied = Net()\nwhile waiting():\n    wait()\ntorch.manual_seed(1)\n",
    ],
)
def test_what_is_built_before_a_seed_is_said_to_come_before_it(text: str) -> None:
    found = script(text + "train(model)\n")
    assert [build.text for build in found.builds if build.precedes(found.seeds[0])] == ["Net"]


@pytest.mark.parametrize(
    ("freeze", "expected"),
    [
        ("net.requires_grad_(False)\n", ["frozen"]),
        ("for p in net.parameters():\n    p.requires_grad_(False)\n", ["frozen"]),
        ("for name, p in net.named_parameters():\n    p.requires_grad = False\n", ["frozen"]),
        ("for p in net.backbone.parameters():\n    p.requires_grad = False\n", []),
        ("for p in net.parameters():\n    p.requires_grad = True\n", []),
        ("for p in net.parameters():\n    p.requires_grad = args.train\n", []),
        ("for name, p in net.named_parameters():\n    p.requires_grad = 'fc' in name\n", []),
        ("for name, p in net.named_parameters():\n    if 'fc' not in name:\n        p.requires_grad = False\n", []),
        (FREEZE + "net.requires_grad_(True)\n", []),
        (FREEZE + "net.fc.requires_grad_()\n", []),
        (FREEZE + "net.fc.weight.requires_grad = True\n", []),
        (FREEZE + "for p in net.fc.parameters():\n    p.requires_grad = True\n", []),
        (FREEZE + "unfreeze(net)\n", []),
    ],
)
def test_a_layer_is_frozen_where_all_are_and_none_is_let_go_again(freeze: str, expected: list[str]) -> None:
    text = "def unfreeze(m):\n    for p in m.parameters():\n        p.requires_grad = True\n"
    assert [mishap.form for mishap in script(HELPERS + text + SECOND + freeze + STEP).untrained] == expected
