"""What an operation of torch's dispatcher means for a signal: the table the trace is read with.

Names are those of ``aten`` without the trailing underscore of the in-place variant.
"""

from __future__ import annotations

__all__ = [
    "ATTENTION",
    "CAST",
    "COLLECTIVES",
    "ELEMENTWISE",
    "FACTORIES",
    "MATMUL",
    "NORMS",
    "PARTS",
    "POOLS",
    "RANDOM",
    "REARRANGE",
    "REDUCTIONS",
    "RESIZES",
    "SOFTMAX",
]

MATMUL = {
    "mm": (0, 1),
    "addmm": (1, 2),
    "bmm": (0, 1),
    "baddbmm": (1, 2),
    "addbmm": (1, 2),
    "mv": (0, 1),
    "addmv": (1, 2),
    "dot": (0, 1),
    "_grouped_mm": (0, 1),
}
"""Positions of the two factors among the arguments of a matrix product (an earlier argument is added)."""

NORMS = frozenset(
    [
        "native_batch_norm",
        "_native_batch_norm_legit",
        "_native_batch_norm_legit_functional",
        "_batch_norm_with_update",
        "_batch_norm_no_update",
        "cudnn_batch_norm",
        "miopen_batch_norm",
        "native_layer_norm",
        "native_group_norm",
        "_fused_rms_norm",
        "rms_norm",
    ]
)

ATTENTION = frozenset(
    [
        "_scaled_dot_product_flash_attention",
        "_scaled_dot_product_flash_attention_for_cpu",
        "_scaled_dot_product_efficient_attention",
        "_scaled_dot_product_cudnn_attention",
        "_scaled_dot_product_fused_attention_overrideable",
        "_scaled_dot_product_attention_math_for_mps",
    ]
)

SOFTMAX = frozenset(["_softmax", "_log_softmax", "_safe_softmax"])

CAST = frozenset(["_to_copy", "clone", "contiguous", "lift_fresh", "lift_fresh_copy", "detach", "alias", "_conj"])

COLLECTIVES = frozenset(
    [
        "all_gather_into_tensor",
        "all_gather_into_tensor_out",
        "all_reduce",
        "all_to_all_single",
        "broadcast",
        "reduce_scatter_tensor",
        "wait_tensor",
        "_wrap_tensor_autograd",
    ]
)
"""What processes say to each other: the same signal, put together or parted."""

REARRANGE = frozenset(
    [
        "view",
        "_unsafe_view",
        "_reshape_copy",
        "_reshape_alias",
        "reshape",
        "t",
        "transpose",
        "permute",
        "expand",
        "squeeze",
        "unsqueeze",
        "flip",
        "roll",
        "as_strided",
        "unfold",
        "view_as_real",
        "view_as_complex",
        "pixel_shuffle",
        "pixel_unshuffle",
        "channel_shuffle",
        "im2col",
        "col2im",
        "repeat",
        "index_select",
        "movedim",
    ]
)
"""The same values in another arrangement."""

PARTS = frozenset(
    [
        "slice",
        "select",
        "split",
        "split_with_sizes",
        "chunk",
        "unbind",
        "narrow",
        "index",
        "gather",
        "unsafe_split",
        "unsafe_split_with_sizes",
        "unsafe_chunk",
    ]
)
"""Some of the values."""

POOLS = frozenset(
    [
        "max_pool2d_with_indices",
        "max_pool3d_with_indices",
        "max_pool2d",
        "mkldnn_max_pool2d",
        "avg_pool1d",
        "avg_pool2d",
        "avg_pool3d",
        "_adaptive_avg_pool2d",
        "_adaptive_avg_pool3d",
        "adaptive_avg_pool2d",
        "adaptive_max_pool2d",
        "adaptive_max_pool3d",
    ]
)

RESIZES = frozenset(
    [
        "upsample_nearest1d",
        "upsample_nearest2d",
        "upsample_nearest3d",
        "_upsample_nearest_exact2d",
        "upsample_bilinear2d",
        "_upsample_bilinear2d_aa",
        "upsample_bicubic2d",
        "_upsample_bicubic2d_aa",
        "upsample_linear1d",
        "upsample_trilinear3d",
        "constant_pad_nd",
        "reflection_pad1d",
        "reflection_pad2d",
        "replication_pad1d",
        "replication_pad2d",
    ]
)

REDUCTIONS = frozenset(
    [
        "mean",
        "sum",
        "var",
        "var_mean",
        "std",
        "std_mean",
        "norm",
        "linalg_vector_norm",
        "amax",
        "amin",
        "max",
        "min",
        "logsumexp",
        "prod",
    ]
)

RANDOM = frozenset(
    [
        "bernoulli",
        "uniform",
        "normal",
        "rand",
        "rand_like",
        "randn",
        "randn_like",
        "randint",
        "randint_like",
        "randperm",
        "exponential",
        "random",
        "multinomial",
    ]
)

FACTORIES = frozenset(
    [
        "zeros",
        "zeros_like",
        "ones",
        "ones_like",
        "full",
        "full_like",
        "empty",
        "empty_like",
        "new_zeros",
        "new_ones",
        "new_full",
        "new_empty",
        "new_empty_strided",
        "empty_strided",
        "arange",
    ]
)
"""Operations whose result takes at most a shape from their operands."""

ELEMENTWISE = frozenset(
    [
        "relu",
        "leaky_relu",
        "elu",
        "gelu",
        "silu",
        "mish",
        "hardswish",
        "hardsigmoid",
        "hardtanh",
        "sigmoid",
        "tanh",
        "softplus",
        "log_sigmoid_forward",
        "softshrink",
        "hardshrink",
        "threshold",
        "rrelu_with_noise",
        "rrelu_with_noise_functional",
        "abs",
        "add",
        "clamp",
        "clamp_max",
        "clamp_min",
        "cos",
        "div",
        "erf",
        "exp",
        "expm1",
        "ge",
        "gt",
        "le",
        "log",
        "log1p",
        "logaddexp",
        "logical_not",
        "lt",
        "maximum",
        "minimum",
        "mul",
        "neg",
        "pow",
        "reciprocal",
        "rsqrt",
        "rsub",
        "sgn",
        "sign",
        "sin",
        "special_expit",
        "sqrt",
        "square",
        "sub",
        "where",
        "masked_fill",
        "relu6",
    ]
)
"""One value for each value; operations of several operands count where all of them come from one tensor."""
