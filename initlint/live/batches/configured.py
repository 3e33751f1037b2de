"""Inputs by name of a model that carries a configuration with its sizes, as those of transformers and diffusers do."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from initlint.live.batches.batch_spec import BatchSpec

__all__ = ["configured"]

_LENGTH = 16
_SAMPLES = 4000
"""Of a sound: a quarter of a second, which leaves a dozen frames."""
_PARTS = (
    "text_config",
    "vision_config",
    "backbone_config",
    "audio_config",
    "encoder",
    "decoder",
    "qformer_config",
)


def configured(module: nn.Module, batch: int) -> Iterator[tuple[BatchSpec, ...]]:
    """Sets of keyword inputs to try, likeliest first; none for a model without a configuration.

    The main input alone, with the inputs that forward requires and a decoder's; text and image together where the
    configuration describes both; then everything whose size is known.
    """
    config = getattr(module, "config", None)
    if config is None:
        return
    try:
        parameters = inspect.signature(module.forward).parameters
    except (TypeError, ValueError):
        return
    sizes = _Sizes(config, batch)
    known = {name: spec for name in parameters if (spec := sizes.of(name)) is not None}
    if not known:
        return
    main = getattr(module, "main_input_name", None)
    if not isinstance(main, str) or main not in known:
        main = next(iter(known))
    required = [p.name for p in parameters.values() if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    first = {main, *(name for name in required if name in known)}
    if sizes.read("is_encoder_decoder") is True and "decoder_input_ids" in known:
        first.add("decoder_input_ids")
    sets = [first]
    if getattr(config, "text_config", None) is not None and getattr(config, "vision_config", None) is not None:
        sets.insert(0, first | (known.keys() & {"input_ids", "pixel_values"}))
    sets.append(set(known) - _REPLACED)
    seen: list[set[str]] = []
    for names in sets:
        if names not in seen:
            seen.append(names)
            yield tuple(known[name] for name in known if name in names)


_REPLACED = {"class_labels", "input_features"}
"""What stands in for another input, and is given only where forward requires it."""


class _Sizes:
    """The shape of each input that has a name, as a configuration tells it."""

    def __init__(self, config: Any, batch: int) -> None:
        self.holders = [config, *(part for name in _PARTS if (part := getattr(config, name, None)) is not None)]
        self.batch = batch

    def read(self, *names: str) -> Any:
        """The first of these that the configuration, or one of its parts, says."""
        for holder in self.holders:
            for name in names:
                value = getattr(holder, name, None)
                if value is not None:
                    return value
        return None

    def whole(self, *names: str) -> int | None:
        """Likewise, a whole number above 0; of a pair the first."""
        value = self.read(*names)
        if isinstance(value, (list, tuple)) and value:
            value = value[0]
        return value if type(value) is int and value > 0 else None

    def of(self, name: str) -> BatchSpec | None:
        """The input of that name; None where its size is not told."""
        make = _MAKERS.get(name)
        spec = make(self) if make is not None else None
        return None if spec is None else BatchSpec(spec.shape, spec.dtype, spec.bound, name)

    def floats(self, *shape: int | None) -> BatchSpec | None:
        return None if None in shape else BatchSpec((self.batch, *(size for size in shape if size is not None)))

    def tokens(self) -> BatchSpec | None:
        bound = self.whole("vocab_size")
        length = min(_LENGTH, self.whole("max_position_embeddings", "n_positions") or _LENGTH)
        return None if bound is None else BatchSpec((self.batch, length), "int64", bound)

    def image(self) -> BatchSpec | None:
        side = self.whole("image_size", "img_size", "crop_size")
        channels = self.whole("num_channels", "in_channels", "in_chans") or 3
        frames = self.whole("num_frames", "frames_per_clip") if self.read("tubelet_size") is not None else None
        if frames is not None:
            return self.floats(frames, channels, side, side)
        side = side or 64
        return self.floats(channels, side, side)

    def sound(self) -> BatchSpec | None:
        channels = self.whole("audio_channels")
        if channels is not None:
            return self.floats(channels, _SAMPLES)
        return self.floats(_SAMPLES) if self.read("conv_stride", "feat_extract_norm") is not None else None

    def mel(self) -> BatchSpec | None:
        bins, frames = self.whole("num_mel_bins"), self.whole("max_source_positions")
        if bins is not None and frames is not None:
            return self.floats(bins, 2 * frames)
        width = self.whole("num_mel_channels", "feature_projection_input_dim", "input_feat_per_channel", "num_mel_bins")
        return self.floats(40, width)

    def noise(self) -> BatchSpec | None:
        return self.floats(40, self.whole("model_in_channels"))

    def latent(self) -> BatchSpec | None:
        """The sample that a diffusion model takes: an image, a line or a vector, by what its configuration says."""
        channels, side = self.whole("in_channels"), self.whole("sample_size")
        if channels is None:
            return self.floats(self.whole("embedding_dim"))
        if self.read("down_block_types") is not None and "1D" in str(self.read("down_block_types")):
            return self.floats(channels, min(side or 64, 1024))
        return self.floats(channels, min(side or 32, 64), min(side or 32, 64))

    def times(self) -> BatchSpec:
        return BatchSpec((self.batch,), "int64", 1000)

    def condition(self) -> BatchSpec | None:
        return self.floats(7, self.whole("caption_channels", "cross_attention_dim", "embedding_dim"))

    def series(self, length: str, *, features: str | None = None) -> BatchSpec | None:
        steps = self.whole(length)
        lags = self.read("lags_sequence")
        if length == "context_length" and steps is not None and isinstance(lags, (list, tuple)) and lags:
            steps += max(lags)
        if features is not None:
            return self.floats(steps, self.whole(features))
        width = self.whole("num_input_channels", "input_size") or 1
        return self.floats(steps, *(() if width == 1 else (width,)))

    def steps(self, width: str | None = None) -> BatchSpec | None:
        """A walk through an environment, for a model of decisions: 1 wide where no name says how wide."""
        if self.whole("state_dim") is None:
            return None
        return self.floats(8, 1 if width is None else self.whole(width))

    def walked(self) -> BatchSpec | None:
        bound = self.whole("max_ep_len")
        return None if bound is None else BatchSpec((self.batch, 8), "int64", bound)


_MAKERS: dict[str, Callable[[_Sizes], BatchSpec | None]] = {
    "input_ids": _Sizes.tokens,
    "decoder_input_ids": _Sizes.tokens,
    "pixel_values": _Sizes.image,
    "pixel_values_videos": _Sizes.image,
    "input_values": _Sizes.sound,
    "input_features": _Sizes.mel,
    "noise_sequence": _Sizes.noise,
    "sample": _Sizes.latent,
    "hidden_states": _Sizes.latent,
    "timestep": _Sizes.times,
    "encoder_hidden_states": _Sizes.condition,
    "proj_embedding": lambda sizes: sizes.floats(sizes.whole("embedding_dim")),
    "past_values": lambda sizes: sizes.series("context_length"),
    "past_observed_mask": lambda sizes: sizes.series("context_length"),
    "past_time_features": lambda sizes: sizes.series("context_length", features="num_time_features"),
    "future_values": lambda sizes: sizes.series("prediction_length"),
    "future_time_features": lambda sizes: sizes.series("prediction_length", features="num_time_features"),
    "states": lambda sizes: sizes.steps("state_dim"),
    "actions": lambda sizes: sizes.steps("act_dim"),
    "rewards": _Sizes.steps,
    "returns_to_go": _Sizes.steps,
    "timesteps": _Sizes.walked,
}
