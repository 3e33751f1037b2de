"""Real code that reading once stumbled over, reduced to what it stumbled over."""

from __future__ import annotations

import textwrap

from initlint.source.reader import read


def test_arms_that_know_different_things_can_be_joined() -> None:
    """A layer whose weight is drawn in both arms of an unknown test: what one arm left unknown is not compared."""
    text = textwrap.dedent("""\
        import torch
        from torch import nn

        class Net(nn.Module):
            def __init__(self, wide):
                super().__init__()
                layer = nn.Linear(width, 4)
                if wide:
                    if width == 3:
                        nn.init.normal_(layer.weight, mean=other / 2, std=0.1)
                    else:
                        nn.init.normal_(layer.weight, 0.0, other / 3)
        """)
    calls = read(text.encode(), "m.py").facts.calls
    assert [call.function for call in calls] == ["torch.nn.init.normal_"] * 2


def test_a_gain_that_is_chosen_by_what_is_not_known() -> None:
    text = textwrap.dedent("""\
        import torch
        from torch import nn

        def layer(kind, slope):
            conv = nn.Conv1d(8, 8, 3)
            nn.init.xavier_uniform_(conv.weight, torch.nn.init.calculate_gain(kind))
            nn.init.xavier_uniform_(conv.weight, torch.nn.init.calculate_gain("leaky_relu", slope))
            return conv
        """)
    calls = read(text.encode(), "m.py").facts.calls
    assert [call.function for call in calls] == ["torch.nn.init.xavier_uniform_"] * 2
