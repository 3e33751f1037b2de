"""The layers of torch.nn: what their constructors take, and the parameters that they make.

Shapes follow the torch documentation of each class. A dimension that is not known is None; a shape whose number of
dimensions is not known is None as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from initlint.record import record

Shape = tuple["int | None", ...]
Arguments = Mapping[str, Any]
"""Constructor arguments by name: Python constants, or ``MAYBE`` for what is not known."""

MAYBE: Any = object()
"""An argument whose value is not known."""


@record(frozen=True, slots=True)
class Made:
    """One parameter that a constructor makes. ``exists`` is None where that depends on what is not known."""

    name: str
    role: str
    shape: Shape | None
    exists: bool | None = True


@record(frozen=True, slots=True)
class Kind:
    """One class of torch.nn."""

    name: str
    parameters: tuple[tuple[str, Any], ...]
    bases: tuple[str, ...]
    makes: Callable[[Arguments], list[Made]]


def _int(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _flag(value: Any) -> bool | None:
    if value is MAYBE:
        return None
    return bool(value)


def _over(a: int | None, b: int | None) -> int | None:
    if a is None or not b or a % b:
        return None
    return a // b


def _times(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a * b


def _linear(given: Arguments) -> list[Made]:
    fan_in, out = _int(given["in_features"]), _int(given["out_features"])
    return [Made("weight", "weight", (out, fan_in)), Made("bias", "bias", (out,), _flag(given["bias"]))]


def _bilinear(given: Arguments) -> list[Made]:
    out = _int(given["out_features"])
    shape = (out, _int(given["in1_features"]), _int(given["in2_features"]))
    return [Made("weight", "weight", shape), Made("bias", "bias", (out,), _flag(given["bias"]))]


def _kernel(value: Any, dimensions: int) -> Shape:
    if isinstance(value, (tuple, list)):
        sizes = tuple(_int(size) for size in value)
        return sizes if len(sizes) == dimensions else (None,) * dimensions
    return (_int(value),) * dimensions


def _conv(dimensions: int, transposed: bool) -> Callable[[Arguments], list[Made]]:
    def makes(given: Arguments) -> list[Made]:
        channels, out, groups = _int(given["in_channels"]), _int(given["out_channels"]), _int(given["groups"])
        first: Shape = (channels, _over(out, groups)) if transposed else (out, _over(channels, groups))
        shape = first + _kernel(given["kernel_size"], dimensions)
        return [Made("weight", "weight", shape), Made("bias", "bias", (out,), _flag(given["bias"]))]

    return makes


def _batch_norm(given: Arguments) -> list[Made]:
    size, affine = _int(given["num_features"]), _flag(given["affine"])
    return [Made("weight", "norm_scale", (size,), affine), Made("bias", "norm_bias", (size,), affine)]


def _group_norm(given: Arguments) -> list[Made]:
    size, affine = _int(given["num_channels"]), _flag(given["affine"])
    return [Made("weight", "norm_scale", (size,), affine), Made("bias", "norm_bias", (size,), affine)]


def _normalized_shape(value: Any) -> Shape | None:
    if value is MAYBE:
        return None
    return tuple(_int(size) for size in value) if isinstance(value, (tuple, list)) else (_int(value),)


def _layer_norm(given: Arguments) -> list[Made]:
    shape, affine = _normalized_shape(given["normalized_shape"]), _flag(given["elementwise_affine"])
    bias = _flag(given["bias"])
    has_bias = False if affine is False or bias is False else (True if affine and bias else None)
    return [Made("weight", "norm_scale", shape, affine), Made("bias", "norm_bias", shape, has_bias)]


def _rms_norm(given: Arguments) -> list[Made]:
    shape = _normalized_shape(given["normalized_shape"])
    return [Made("weight", "norm_scale", shape, _flag(given["elementwise_affine"]))]


def _embedding(given: Arguments) -> list[Made]:
    return [Made("weight", "embedding", (_int(given["num_embeddings"]), _int(given["embedding_dim"])))]


def _prelu(given: Arguments) -> list[Made]:
    return [Made("weight", "scale", (_int(given["num_parameters"]),))]


def _recurrent(gates: int) -> Callable[[Arguments], list[Made]]:
    def makes(given: Arguments) -> list[Made]:
        size, hidden = _int(given["input_size"]), _int(given["hidden_size"])
        layers, bias, projected = _int(given["num_layers"]), _flag(given["bias"]), given.get("proj_size", 0)
        both = given["bidirectional"]
        if layers is None or layers > 64 or both is MAYBE or _int(projected) is None:
            return []
        ways = ("", "_reverse") if both else ("",)
        out = _int(projected) or hidden
        made = []
        for layer in range(layers):
            below = size if layer == 0 else _times(out, len(ways))
            rows = _times(hidden, gates)
            for way in ways:
                end = f"_l{layer}{way}"
                made.append(Made("weight_ih" + end, "weight", (rows, below)))
                made.append(Made("weight_hh" + end, "recurrent_weight", (rows, out)))
                made.append(Made("bias_ih" + end, "bias", (rows,), bias))
                made.append(Made("bias_hh" + end, "bias", (rows,), bias))
                if projected:
                    made.append(Made("weight_hr" + end, "weight", (out, hidden)))
        return made

    return makes


def _cell(gates: int) -> Callable[[Arguments], list[Made]]:
    def makes(given: Arguments) -> list[Made]:
        size, hidden, bias = _int(given["input_size"]), _int(given["hidden_size"]), _flag(given["bias"])
        rows = _times(hidden, gates)
        return [
            Made("weight_ih", "weight", (rows, size)),
            Made("weight_hh", "recurrent_weight", (rows, hidden)),
            Made("bias_ih", "bias", (rows,), bias),
            Made("bias_hh", "bias", (rows,), bias),
        ]

    return makes


def _attention(given: Arguments) -> list[Made]:
    size, key, value = _int(given["embed_dim"]), given["kdim"], given["vdim"]
    if key is MAYBE or value is MAYBE:
        return []
    bias = _flag(given["bias"])
    if (key is None or key == size) and (value is None or value == size):
        made = [Made("in_proj_weight", "weight", (_times(size, 3), size))]
    else:
        made = [
            Made("q_proj_weight", "weight", (size, size)),
            Made("k_proj_weight", "weight", (size, _int(key) if key is not None else size)),
            Made("v_proj_weight", "weight", (size, _int(value) if value is not None else size)),
        ]
    made.append(Made("in_proj_bias", "bias", (_times(size, 3),), bias))
    extra = _flag(given["add_bias_kv"])
    made += [Made("bias_k", "bias", (1, 1, size), extra), Made("bias_v", "bias", (1, 1, size), extra)]
    return made


def _nothing(_: Arguments) -> list[Made]:
    return []


REQUIRED = MAYBE
_TAIL: tuple[tuple[str, Any], ...] = (("device", None), ("dtype", None))


def _table() -> dict[str, Kind]:
    kinds: dict[str, Kind] = {}

    def add(name: str, signature: str, makes: Callable[[Arguments], list[Made]], *bases: str, **defaults: Any) -> None:
        parameters = tuple((word, defaults.get(word, REQUIRED)) for word in signature.split())
        kinds[name] = Kind(name, parameters, bases, makes)

    dtypes: dict[str, Any] = {"device": None, "dtype": None}
    add("Linear", "in_features out_features bias device dtype", _linear, bias=True, **dtypes)
    add("Bilinear", "in1_features in2_features out_features bias device dtype", _bilinear, bias=True, **dtypes)
    conv: dict[str, Any] = dict(
        stride=1, padding=0, dilation=1, groups=1, bias=True, padding_mode="zeros", output_padding=0, **dtypes
    )
    for size in (1, 2, 3):
        add(
            f"Conv{size}d",
            "in_channels out_channels kernel_size stride padding dilation groups bias padding_mode device dtype",
            _conv(size, False),
            "_ConvNd",
            **conv,
        )
        add(
            f"ConvTranspose{size}d",
            "in_channels out_channels kernel_size stride padding output_padding groups bias dilation padding_mode "
            "device dtype",
            _conv(size, True),
            "_ConvTransposeNd",
            "_ConvNd",
            **conv,
        )
        norm: dict[str, Any] = {"eps": 1e-5, "momentum": 0.1, "track_running_stats": True, **dtypes}
        words = "num_features eps momentum affine track_running_stats device dtype"
        add(f"BatchNorm{size}d", words, _batch_norm, "_BatchNorm", "_NormBase", affine=True, **norm)
        norm["track_running_stats"] = False
        add(f"InstanceNorm{size}d", words, _batch_norm, "_InstanceNorm", "_NormBase", affine=False, **norm)
    add(
        "SyncBatchNorm",
        "num_features eps momentum affine track_running_stats process_group device dtype",
        _batch_norm,
        "_BatchNorm",
        "_NormBase",
        eps=1e-5,
        momentum=0.1,
        affine=True,
        track_running_stats=True,
        process_group=None,
        **dtypes,
    )
    add("GroupNorm", "num_groups num_channels eps affine device dtype", _group_norm, eps=1e-5, affine=True, **dtypes)
    add(
        "LayerNorm",
        "normalized_shape eps elementwise_affine bias device dtype",
        _layer_norm,
        eps=1e-5,
        elementwise_affine=True,
        bias=True,
        **dtypes,
    )
    add(
        "RMSNorm",
        "normalized_shape eps elementwise_affine device dtype",
        _rms_norm,
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
        _embedding,
        **table,
    )
    add(
        "EmbeddingBag",
        "num_embeddings embedding_dim max_norm norm_type scale_grad_by_freq mode sparse _weight "
        "include_last_offset padding_idx device dtype",
        _embedding,
        **table,
    )
    add("PReLU", "num_parameters init device dtype", _prelu, num_parameters=1, init=0.25, **dtypes)
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
    add("LSTM", f"input_size hidden_size {usual} proj_size device dtype", _recurrent(4), "RNNBase", **cells)
    add("GRU", f"input_size hidden_size {usual} device dtype", _recurrent(3), "RNNBase", **cells)
    add(
        "RNN",
        f"input_size hidden_size num_layers nonlinearity {usual[11:]} device dtype",
        _recurrent(1),
        "RNNBase",
        **cells,
    )
    add("LSTMCell", "input_size hidden_size bias device dtype", _cell(4), "RNNCellBase", **cells)
    add("GRUCell", "input_size hidden_size bias device dtype", _cell(3), "RNNCellBase", **cells)
    add("RNNCell", "input_size hidden_size bias nonlinearity device dtype", _cell(1), "RNNCellBase", **cells)
    add(
        "MultiheadAttention",
        "embed_dim num_heads dropout bias add_bias_kv add_zero_attn kdim vdim batch_first device dtype",
        _attention,
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
        add(name, signature, _nothing, **defaults)
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

CONTAINERS = frozenset({"Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict"})

ABSTRACT = {
    "_ConvNd": ("Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"),
    "_ConvTransposeNd": ("ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"),
    "_BatchNorm": ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm"),
    "_InstanceNorm": ("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"),
    "_NormBase": (
        "BatchNorm1d",
        "BatchNorm2d",
        "BatchNorm3d",
        "SyncBatchNorm",
        "InstanceNorm1d",
        "InstanceNorm2d",
        "InstanceNorm3d",
    ),
    "RNNBase": ("RNN", "LSTM", "GRU"),
    "RNNCellBase": ("RNNCell", "LSTMCell", "GRUCell"),
}
"""Private base classes of torch.nn, as isinstance tests use them, and what they stand for."""

_DIMENSIONS: dict[str, int] = {"Linear": 2, "Bilinear": 3, "Embedding": 2, "EmbeddingBag": 2, "PReLU": 1, "RMSNorm": 1}


def dimensions(kind: str, attribute: str) -> int | None:
    """How many dimensions a layer's ``weight`` or ``bias`` (or a recurrent layer's own) has; None if not known.

    A LayerNorm over several dimensions has a weight of as many; nobody writes those, but it is not established.
    """
    if attribute == "bias":
        return (
            1
            if (kind in KINDS and kind not in ("LayerNorm", "PReLU") and "bias" in dict(KINDS[kind].parameters))
            or kind.endswith(("Norm1d", "Norm2d", "Norm3d", "BatchNorm", "GroupNorm"))
            else None
        )
    if attribute == "weight":
        if kind in _DIMENSIONS:
            return _DIMENSIONS[kind]
        if kind.startswith("Conv") and kind[-1] == "d" and kind in KINDS:
            return int(kind[-2]) + 2
        return 1 if kind in KINDS and kind.endswith(("Norm1d", "Norm2d", "Norm3d", "BatchNorm", "GroupNorm")) else None
    if attribute.startswith("weight_") and kind in ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"):
        return 2
    if attribute.startswith("bias_") and kind in ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"):
        return 1
    if kind == "MultiheadAttention":
        return {"in_proj_weight": 2, "in_proj_bias": 1}.get(attribute)
    return None


def is_subclass(kind: str, base: str) -> bool | None:
    """Whether the torch.nn class ``kind`` derives from the torch.nn class ``base``; None where the table cannot say."""
    if base in (kind, "Module"):
        return True
    if kind in KINDS and (base in KINDS or base in ABSTRACT or base in CONTAINERS or base in _OTHERS):
        return base in KINDS[kind].bases
    if kind in CONTAINERS and (base in KINDS or base in ABSTRACT or base in CONTAINERS or base in _OTHERS):
        return False
    if kind == "Module" and (base in KINDS or base in ABSTRACT or base in CONTAINERS or base in _OTHERS):
        return False
    return None


_OTHERS = frozenset(
    {
        "Transformer",
        "TransformerEncoder",
        "TransformerDecoder",
        "TransformerEncoderLayer",
        "TransformerDecoderLayer",
        "NonDynamicallyQuantizableLinear",
        "Parameter",
        "LazyLinear",
        "LazyConv2d",
    }
)
