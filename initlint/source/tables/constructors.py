"""The classes of torch.nn as a table: what their constructors take, and what they make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from initlint.record import NamedTuple
from initlint.source.tables import shapes
from initlint.source.tables.shapes import MAYBE, Arguments, Made


class Kind(NamedTuple):
    """One class of torch.nn."""

    name: str
    parameters: tuple[tuple[str, Any], ...]
    bases: tuple[str, ...]
    makes: Callable[[Arguments], list[Made]]


def _table() -> dict[str, Kind]:
    kinds: dict[str, Kind] = {}

    def add(name: str, signature: str, makes: Callable[[Arguments], list[Made]], *bases: str, **defaults: Any) -> None:
        parameters = tuple((word, defaults.get(word, MAYBE)) for word in signature.split())
        kinds[name] = Kind(name, parameters, bases, makes)

    dtypes: dict[str, Any] = {"device": None, "dtype": None}
    add("Linear", "in_features out_features bias device dtype", shapes.linear, bias=True, **dtypes)
    add("Bilinear", "in1_features in2_features out_features bias device dtype", shapes.bilinear, bias=True, **dtypes)
    conv: dict[str, Any] = dict(
        stride=1, padding=0, dilation=1, groups=1, bias=True, padding_mode="zeros", output_padding=0, **dtypes
    )
    for size in (1, 2, 3):
        add(
            f"Conv{size}d",
            "in_channels out_channels kernel_size stride padding dilation groups bias padding_mode device dtype",
            shapes.conv(size, False),
            "_ConvNd",
            **conv,
        )
        add(
            f"ConvTranspose{size}d",
            "in_channels out_channels kernel_size stride padding output_padding groups bias dilation padding_mode "
            "device dtype",
            shapes.conv(size, True),
            "_ConvTransposeNd",
            "_ConvNd",
            **conv,
        )
        norm: dict[str, Any] = {"eps": 1e-5, "momentum": 0.1, "track_running_stats": True, **dtypes}
        words = "num_features eps momentum affine track_running_stats device dtype"
        add(f"BatchNorm{size}d", words, shapes.batch_norm, "_BatchNorm", "_NormBase", affine=True, **norm)
        norm["track_running_stats"] = False
        add(f"InstanceNorm{size}d", words, shapes.batch_norm, "_InstanceNorm", "_NormBase", affine=False, **norm)
    add(
        "SyncBatchNorm",
        "num_features eps momentum affine track_running_stats process_group device dtype",
        shapes.batch_norm,
        "_BatchNorm",
        "_NormBase",
        eps=1e-5,
        momentum=0.1,
        affine=True,
        track_running_stats=True,
        process_group=None,
        **dtypes,
    )
    add(
        "GroupNorm",
        "num_groups num_channels eps affine device dtype",
        shapes.group_norm,
        eps=1e-5,
        affine=True,
        **dtypes,
    )
    add(
        "LayerNorm",
        "normalized_shape eps elementwise_affine bias device dtype",
        shapes.layer_norm,
        eps=1e-5,
        elementwise_affine=True,
        bias=True,
        **dtypes,
    )
    add(
        "RMSNorm",
        "normalized_shape eps elementwise_affine device dtype",
        shapes.rms_norm,
        eps=None,
        elementwise_affine=True,
        **dtypes,
    )
    table: dict[str, Any] = dict(
        padding_idx=None,
        max_norm=None,
        norm_type=2.0,
        scale_grad_by_freq=False,
        sparse=False,
        _weight=None,
        _freeze=False,
        mode="mean",
        include_last_offset=False,
        **dtypes,
    )
    add(
        "Embedding",
        "num_embeddings embedding_dim padding_idx max_norm norm_type scale_grad_by_freq sparse _weight _freeze "
        "device dtype",
        shapes.embedding,
        **table,
    )
    add(
        "EmbeddingBag",
        "num_embeddings embedding_dim max_norm norm_type scale_grad_by_freq mode sparse _weight "
        "include_last_offset padding_idx device dtype",
        shapes.embedding,
        **table,
    )
    add("PReLU", "num_parameters init device dtype", shapes.prelu, num_parameters=1, init=0.25, **dtypes)
    cells: dict[str, Any] = dict(
        num_layers=1,
        bias=True,
        batch_first=False,
        dropout=0.0,
        bidirectional=False,
        proj_size=0,
        nonlinearity="tanh",
        **dtypes,
    )
    usual = "num_layers bias batch_first dropout bidirectional"
    add("LSTM", f"input_size hidden_size {usual} proj_size device dtype", shapes.recurrent(4), "RNNBase", **cells)
    add("GRU", f"input_size hidden_size {usual} device dtype", shapes.recurrent(3), "RNNBase", **cells)
    add(
        "RNN",
        f"input_size hidden_size num_layers nonlinearity {usual[11:]} device dtype",
        shapes.recurrent(1),
        "RNNBase",
        **cells,
    )
    add("LSTMCell", "input_size hidden_size bias device dtype", shapes.cell(4), "RNNCellBase", **cells)
    add("GRUCell", "input_size hidden_size bias device dtype", shapes.cell(3), "RNNCellBase", **cells)
    add("RNNCell", "input_size hidden_size bias nonlinearity device dtype", shapes.cell(1), "RNNCellBase", **cells)
    add(
        "MultiheadAttention",
        "embed_dim num_heads dropout bias add_bias_kv add_zero_attn kdim vdim batch_first device dtype",
        shapes.attention,
        dropout=0.0,
        bias=True,
        add_bias_kv=False,
        add_zero_attn=False,
        kdim=None,
        vdim=None,
        batch_first=False,
        **dtypes,
    )
    for name, signature, defaults in _PLAIN:
        add(name, signature, shapes.nothing, **defaults)
    return kinds


_PLAIN: tuple[tuple[str, str, dict[str, Any]], ...] = (
    *(
        (name, "inplace", {"inplace": False})
        for name in ["ReLU", "ReLU6", "SELU", "SiLU", "Mish", "Hardswish", "Hardsigmoid"]
    ),
    *(
        (name, "", {})
        for name in ["Sigmoid", "Tanh", "Softsign", "LogSigmoid", "Tanhshrink", "Identity", "Softmax2d", "Flatten"]
    ),
    ("GELU", "approximate", {"approximate": "none"}),
    ("LeakyReLU", "negative_slope inplace", {"negative_slope": 0.01, "inplace": False}),
    *((name, "alpha inplace", {"alpha": 1.0, "inplace": False}) for name in ("ELU", "CELU")),
    ("Softplus", "beta threshold", {"beta": 1.0, "threshold": 20.0}),
    *((name, "dim", {"dim": None}) for name in ("Softmax", "LogSoftmax", "Softmin", "GLU")),
    ("RReLU", "lower upper inplace", {"lower": 0.125, "upper": 1 / 3, "inplace": False}),
    ("Hardtanh", "min_val max_val", {"min_val": -1.0, "max_val": 1.0}),
    *(
        (name, "p inplace", {"p": 0.5, "inplace": False})
        for name in ["Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"]
    ),
    *(
        (name, "kernel_size stride padding", {"stride": None, "padding": 0})
        for name in [
            "MaxPool1d",
            "MaxPool2d",
            "MaxPool3d",
            "AvgPool1d",
            "AvgPool2d",
            "AvgPool3d",
            "LPPool1d",
            "LPPool2d",
        ]
    ),
    *(
        (name, "output_size", {})
        for name in [
            "AdaptiveAvgPool1d",
            "AdaptiveAvgPool2d",
            "AdaptiveAvgPool3d",
            "AdaptiveMaxPool1d",
            "AdaptiveMaxPool2d",
        ]
    ),
    *(
        (name, "size", {})
        for name in (
            [
                "Upsample",
                "UpsamplingNearest2d",
                "UpsamplingBilinear2d",
                "PixelShuffle",
                "PixelUnshuffle",
                "Unflatten",
                "Fold",
                "Unfold",
                "ZeroPad2d",
                "ConstantPad1d",
                "ConstantPad2d",
                "ReflectionPad1d",
                "ReflectionPad2d",
                "ReplicationPad1d",
                "ReplicationPad2d",
                "ChannelShuffle",
                "LocalResponseNorm",
                "CosineSimilarity",
                "PairwiseDistance",
                "CrossEntropyLoss",
                "MSELoss",
                "L1Loss",
                "NLLLoss",
                "BCELoss",
                "BCEWithLogitsLoss",
                "SmoothL1Loss",
                "HuberLoss",
                "KLDivLoss",
                "TripletMarginLoss",
                "CosineEmbeddingLoss",
                "CTCLoss",
                "MarginRankingLoss",
                "MaxUnpool2d",
                "Threshold",
                "Softshrink",
                "Hardshrink",
                "ZeroPad1d",
            ]
        )
    ),
)

KINDS = _table()
"""By name. An argument without a default stands as MAYBE."""
