"""What a script does, in the order it does it."""

from __future__ import annotations

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
