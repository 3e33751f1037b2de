"""A model that carries its configuration, as Hugging Face's do, is run on inputs of the sizes that this tells."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from torch import nn

from initlint.live.batches.configured import configured

pytestmark = pytest.mark.torch


def inputs(arguments: str, main: str | None = None, **config: Any) -> list[dict[str, tuple[int, ...]]]:
    """The sets of inputs that are tried on a model with a forward of these arguments: the shape of each."""
    space: dict[str, Any] = {}
    exec(f"def forward(self, {arguments}): pass", space)
    module = type("Net", (nn.Module,), {"forward": space["forward"]})()
    module.config = SimpleNamespace(**config)
    if main is not None:
        module.main_input_name = main
    return [{str(spec.name): tuple(spec.shape) for spec in found} for found in configured(module, 2)]


TOLD: list[tuple[str, dict[str, Any], dict[str, tuple[int, ...]]]] = [
    ("input_ids", {"vocab_size": 99}, {"input_ids": (2, 16)}),
    ("input_ids", {"vocab_size": 99, "n_positions": 5}, {"input_ids": (2, 5)}),
    ("input_ids", {"text_config": SimpleNamespace(vocab_size=9)}, {"input_ids": (2, 16)}),
    ("pixel_values", {"image_size": 32, "num_channels": 1}, {"pixel_values": (2, 1, 32, 32)}),
    ("pixel_values", {"image_size": (48, 48)}, {"pixel_values": (2, 3, 48, 48)}),
    ("pixel_values", {}, {"pixel_values": (2, 3, 64, 64)}),
    (
        "pixel_values_videos",
        {"tubelet_size": 2, "frames_per_clip": 4, "crop_size": 16, "in_chans": 3},
        {"pixel_values_videos": (2, 4, 3, 16, 16)},
    ),
    ("input_features", {"num_mel_bins": 80, "max_source_positions": 50}, {"input_features": (2, 80, 100)}),
    ("input_features", {"feature_projection_input_dim": 160}, {"input_features": (2, 40, 160)}),
    ("noise_sequence", {"model_in_channels": 64}, {"noise_sequence": (2, 40, 64)}),
    ("sample", {"in_channels": 4, "sample_size": 16}, {"sample": (2, 4, 16, 16)}),
    ("sample", {"in_channels": 4, "sample_size": 512}, {"sample": (2, 4, 64, 64)}),
    ("sample", {"in_channels": 4}, {"sample": (2, 4, 32, 32)}),
    ("sample", {"in_channels": 2, "sample_size": 128, "down_block_types": ("Down1D",)}, {"sample": (2, 2, 128)}),
    ("hidden_states", {"embedding_dim": 24}, {"hidden_states": (2, 24)}),
    (
        "sample, timestep, encoder_hidden_states",
        {"in_channels": 4, "sample_size": 8, "cross_attention_dim": 32},
        {"sample": (2, 4, 8, 8), "timestep": (2,), "encoder_hidden_states": (2, 7, 32)},
    ),
    ("proj_embedding", {"embedding_dim": 12}, {"proj_embedding": (2, 12)}),
    (
        "past_values, past_time_features, past_observed_mask, future_values=None",
        {"context_length": 10, "lags_sequence": [1, 7], "num_time_features": 3, "input_size": 1},
        {"past_values": (2, 17), "past_time_features": (2, 17, 3), "past_observed_mask": (2, 17)},
    ),
    ("past_values", {"context_length": 10, "num_input_channels": 4}, {"past_values": (2, 10, 4)}),
    (
        "states, actions, rewards, returns_to_go, timesteps",
        {"state_dim": 11, "act_dim": 3, "max_ep_len": 50},
        {"states": (2, 8, 11), "actions": (2, 8, 3), "rewards": (2, 8, 1), "returns_to_go": (2, 8, 1)}
        | {"timesteps": (2, 8)},
    ),
]


@pytest.mark.parametrize(("arguments", "config", "expected"), TOLD)
def test_sizes_are_those_that_the_configuration_tells(
    arguments: str, config: dict[str, Any], expected: dict[str, tuple[int, ...]]
) -> None:
    assert inputs(arguments, **config)[0] == expected


def test_sound_has_channels_where_the_configuration_counts_them() -> None:
    (mono,), (stereo,) = inputs("input_values", conv_stride=(5, 2)), inputs("input_values", audio_channels=2)
    assert len(mono["input_values"]) == 2
    assert stereo["input_values"][1] == 2
    assert inputs("input_values") == []


@pytest.mark.parametrize(
    ("arguments", "config"),
    [
        ("input_ids", {}),
        ("x, y", {"vocab_size": 9}),
        ("input_ids", {"vocab_size": True}),
        ("input_ids", {"vocab_size": -1}),
        ("input_ids", {"vocab_size": "many"}),
        ("states, rewards", {}),
        ("timesteps", {"max_ep_len": ()}),
        ("hidden_states", {}),
        ("past_values", {"context_length": None}),
    ],
)
def test_what_is_not_told_is_not_made_up(arguments: str, config: dict[str, Any]) -> None:
    assert inputs(arguments, **config) == []


def test_the_likeliest_set_comes_first() -> None:
    both = {"text_config": SimpleNamespace(vocab_size=9), "vision_config": SimpleNamespace(image_size=8)}
    sets = inputs("input_ids=None, pixel_values=None, sample=None", **both)
    assert set(sets[0]) == {"input_ids", "pixel_values"}
    assert {"input_ids"} in map(set, sets)

    sets = inputs("input_ids, decoder_input_ids=None", vocab_size=9, is_encoder_decoder=True)
    assert set(sets[0]) == {"input_ids", "decoder_input_ids"}

    sets = inputs("input_ids=None, pixel_values=None", main="pixel_values", vocab_size=9)
    assert set(sets[0]) == {"pixel_values"}
    assert set(inputs("input_ids=None", main="gone", vocab_size=9)[0]) == {"input_ids"}


def test_a_model_without_a_configuration_is_offered_nothing() -> None:
    assert list(configured(nn.Linear(2, 2), 2)) == []
