"""How the classes of torch.nn relate, and how many dimensions their parameters have."""

from __future__ import annotations

from initlint.source.tables.constructors import KINDS

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

CLASS_NAMES = tuple(name for name in (*KINDS, *CONTAINERS, *ABSTRACT, *_OTHERS) if name != "Parameter")
"""The classes of torch.nn that are modules, by name."""
