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
