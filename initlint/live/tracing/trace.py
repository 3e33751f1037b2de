"""One forward pass, followed operation by operation: which parameter each one uses and what becomes of its result.

A dispatch mode sees every operation below autograd, whatever Python was wrapped around it. Values are known by the
storage they lie in and the view taken of it, since an in-place operation changes a value without a new tensor. Each
value becomes a ``Node``; the nodes, in order, are the graph that ``flow`` and ``chains`` read.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils.hooks import RemovableHandle

from initlint.live.host.sharded import held, is_sharder
from initlint.live.tracing.graph import Node, Ref, Trace, Use, tensors_in
from initlint.live.tracing.meaning import Meaning
from initlint.live.tracing.one_hot import one_hot_share
from initlint.live.tracing.projection import spread

__all__ = ["trace_forward"]

_MAX_NODES = 60_000  # a graph beyond this (long recurrent loops) is not followed to its end


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, trace: Trace) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.trace = trace
        self.views: dict[int, dict[tuple[Any, ...], int]] = {}
        self.latest: dict[int, int] = {}
        self.alive: list[Any] = []  # a storage that died could lend its address to another value
        self.scope: list[str] = [""]
        self.meaning = Meaning(trace, self.scope)
        self.places: dict[tuple[int, str], int] = {}
        self.opaque = 0
        self.full = False
        self.untouched: dict[int, int] = {}
        """The buffers that nothing has read or written yet, by their storage."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False: torch would import dynamo to keep it out of the mode, which takes a second or two."""
        return False

    # -- which node a tensor is

    def _storage(self, tensor: Tensor) -> int:
        try:
            storage = held(tensor).untyped_storage()
        except (NotImplementedError, RuntimeError):  # sparse and other wrappers have none
            self.alive.append(tensor)
            return -id(tensor)
        key: int = storage._cdata
        if key not in self.latest:
            self.alive.append(storage)
        return key

    @staticmethod
    def _view(tensor: Tensor) -> tuple[Any, ...]:
        tensor = held(tensor)
        try:
            return (tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype)
        except (NotImplementedError, RuntimeError):
            return (tuple(tensor.shape),)

    def lookup(self, tensor: Tensor) -> int:
        key = self._storage(tensor)
        found = self.views.get(key, {}).get(self._view(tensor))
        if found is not None and math.prod(tensor.shape) != self.trace.nodes[found].numel:
            found = self._other_side(tensor, found)
        if found is None:
            found = self.latest.get(key)
        if found is None:
            found = self.new("constant", tensor, value=_single_value(tensor))
            if id(tensor) in self.trace.stand_for:
                self.trace.originals[found] = self.trace.stand_for[id(tensor)]
        return found

    def _other_side(self, tensor: Tensor, index: int) -> int:
        """The node of a DTensor known by the piece that this process holds, or of that piece known by its DTensor."""
        before = self.trace.nodes[index]
        node = Node(
            len(self.trace.nodes),
            "view",
            op="piece",
            inputs=(index,),
            shape=tuple(tensor.shape),
            data=before.data,
            parameters=before.parameters,
            exact=before.exact,
            module=self.scope[-1],
        )
        self.bind(tensor, self.trace.add(node), fresh=False)
        return node.index

    def bind(self, tensor: Tensor, index: int, *, fresh: bool) -> None:
        key = self._storage(tensor)
        if fresh or key not in self.latest:
            self.latest[key] = index
            self.views[key] = {}
        self.views.setdefault(key, {})[self._view(tensor)] = index

    def new(self, category: str, tensor: Tensor, **facts: Any) -> int:
        node = Node(len(self.trace.nodes), category, shape=tuple(tensor.shape), module=self.scope[-1], **facts)
        index = self.trace.add(node)
        self.bind(tensor, index, fresh=category in ("input", "constant", "noise"))
        return index

    def register_parameters(self, module: nn.Module) -> None:
        indices: dict[int, int] = {}
        for parameter in module.parameters():
            indices[id(parameter)] = index = self.trace.add(
                Node(
                    len(self.trace.nodes),
                    "parameter",
                    shape=tuple(parameter.shape),
                    parameters=frozenset({self.trace.identity(parameter)}),
                )
            )
            key = self._storage(parameter)
            self.latest.setdefault(key, index)
            self.views.setdefault(key, {})[self._view(parameter)] = index
        for buffer in module.buffers():
            if buffer.is_floating_point() and buffer.numel():
                self.untouched[self._storage(buffer)] = id(buffer)
        self.places = {
            (id(child), leaf): indices[id(parameter)]
            for child in module.modules()
            for leaf, parameter in child._parameters.items()
            if parameter is not None
        }

    def gathered(self, module: nn.Module) -> None:
        """Parameters stand in the places of others now, which hold the same values (fully_shard)."""
        for child in module.modules():
            for leaf, parameter in child._parameters.items():
                index = self.places.get((id(child), leaf))
                if parameter is not None and index is not None:
                    self.bind(parameter, index, fresh=True)

    # -- one operation

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.opaque or self.full:
            return func(*args, **kwargs)
        refs = {id(t): self.lookup(t) for t in tensors_in((args, tuple(kwargs.values())))}
        if self.untouched and not func.is_view:
            self._touch(func, args, kwargs)
        result = func(*args, **kwargs)
        self._record(func, args, kwargs, result, refs)
        if len(self.trace.nodes) > _MAX_NODES:
            self.full = True
        return result

    def _record(self, func: Any, args: Any, kwargs: Any, result: Any, refs: dict[int, int]) -> None:
        trace = self.trace
        name = func._schema.name.rpartition("::")[2]
        written = [
            value
            for argument, value in zip(func._schema.arguments, args, strict=False)
            if argument.alias_info is not None and argument.alias_info.is_write and isinstance(value, Tensor)
        ]
        op = name[:-1] if name.endswith("_") and not name.endswith("__") else name
        results = list(tensors_in(result)) if isinstance(result, (Tensor, tuple, list)) else []
        if not results:
            return
        inputs = tuple(refs[id(t)] for t in tensors_in((args, tuple(kwargs.values()))))
        nodes = [trace.nodes[i] for i in inputs]
        arguments = _template(args, refs)
        facts: dict[str, Any] = {
            "op": op,
            "inputs": inputs,
            "function": func,
            "arguments": arguments,
            "keywords": {key: _template(value, refs) for key, value in kwargs.items()},
            "tracked": torch.is_grad_enabled(),
        }
        if op in ("fill", "zero", "copy") and written:
            inputs, nodes = inputs[1:], nodes[1:]
            facts["inputs"] = inputs
        category, extra = self.meaning.classify(op, func, nodes, args, results)
        facts.update(extra)
        data = facts.pop("data", any(node.data for node in nodes))
        if data:
            parameters, exact = frozenset[int](), True
        else:
            used = [trace.nodes[i] for i in facts["inputs"]]
            parameters = frozenset().union(*(node.parameters for node in used))
            moved = category in ("view", "part")
            exact = bool(parameters) and moved and all(node.exact for node in nodes if node.parameters)
        if category in ("constant", "noise") and (data or parameters):
            category = "other"
        if op in ("zeros", "zeros_like", "new_zeros", "zero"):
            facts["value"] = 0.0
        elif op in ("ones", "ones_like", "new_ones"):
            facts["value"] = 1.0
        elif op in ("full", "full_like", "new_full", "fill", "scalar_tensor"):
            numbers = [a for a in args if isinstance(a, (int, float)) and not isinstance(a, bool)]
            facts["value"] = float(numbers[-1]) if numbers else None
        elif category == "view" and nodes and nodes[0].value is not None:
            facts["value"] = nodes[0].value
        for position, tensor in enumerate(results):
            if position and not tensor.is_floating_point():  # the indices beside a maximum
                continue
            whole = not written or self._covers(tensor)
            node = Node(
                len(trace.nodes),
                category
                if position == 0 or category in ("view", "part")
                else "statistic"
                if category == "norm" or op == "log_sigmoid_forward"  # which keeps exp(-|x|) beside its result
                else "other",
                shape=tuple(tensor.shape),
                module=self.scope[-1],
                data=data,
                parameters=parameters,
                exact=exact,
                **facts,
            )
            if written and not whole:  # the rest of the storage keeps what it held
                key = self._storage(tensor)
                before = self.latest.get(key)
                index = trace.add(node)
                merged = (index,) if before is None else (before, index)
                self.latest[key] = trace.add(
                    Node(
                        len(trace.nodes),
                        "cat",
                        op="partial_write",
                        inputs=merged,
                        shape=() if before is None else trace.nodes[before].shape,
                        module=self.scope[-1],
                        data=data or (before is not None and trace.nodes[before].data),
                    )
                )
                self.views[key] = {self._view(tensor): index}
                continue
            index = trace.add(node)
            if position == 0 and data and category in ("softmax", "attention") and op != "_log_softmax":
                self._note_one_hot(index, op, func, args, kwargs)
            if position == 0 and category == "application":
                self._note_spread(index, tensor)
            self.bind(tensor, index, fresh=bool(written) or not (func.is_view or category in ("view", "part")))

    def _note_one_hot(self, index: int, op: str, func: Any, args: Any, kwargs: Any) -> None:
        try:
            share = one_hot_share(op, func, args, kwargs)
        except (RuntimeError, KeyError, TypeError):  # a variant that calls its arguments by other names
            return
        if share is not None:
            self.trace.one_hot[index] = share

    def _note_spread(self, index: int, tensor: Tensor) -> None:
        """Of what comes of a product with a table that was looked up before."""
        uses = (use for parameter in self.trace.nodes[index].weights for use in self.trace.uses.get(parameter, ()))
        std = spread(tensor) if any(use.kind == "embedding" for use in uses) else None
        if std is not None:
            self.trace.spreads[index] = std

    def _touch(self, func: Any, args: Any, kwargs: Any) -> None:
        """Note the buffers that an operation reads, if it is the first to touch them."""
        written = {
            id(value)
            for argument, value in zip(func._schema.arguments, args, strict=False)
            if argument.alias_info is not None and argument.alias_info.is_write
        }
        for tensor in tensors_in((args, tuple(kwargs.values()))):
            buffer = self.untouched.pop(self._storage(tensor), None)
            if buffer is not None and id(tensor) not in written:
                self.trace.read.add(buffer)

    @staticmethod
    def _covers(tensor: Tensor) -> bool:
        try:
            return tensor.numel() * tensor.element_size() >= tensor.untyped_storage().nbytes()
        except (NotImplementedError, RuntimeError):
            return True


def _single_value(tensor: Tensor) -> float | None:
    if tensor.numel() != 1 or tensor.is_meta or tensor.is_complex() or isinstance(tensor, nn.Parameter):
        return None
    if type(tensor) is not Tensor:
        held = getattr(tensor, "constant", None)  # a fake knows the value of a number that a model writes down
        if type(held) is not Tensor:
            return None
        with _disable_current_modes():
            return float(held.detach().reshape(()).item())
    return None if tensor.device.type != "cpu" else float(tensor.detach().reshape(()).item())


def _template(value: Any, refs: Mapping[int, int]) -> Any:
    """The arguments of a call, with a ``Ref`` for each tensor."""
    if isinstance(value, Tensor):
        return Ref(refs[id(value)])
    if isinstance(value, (list, tuple)):
        return tuple(_template(item, refs) for item in value)
    return value


@contextlib.contextmanager
def _scopes(module: nn.Module, recorder: _Recorder) -> Iterator[None]:
    """Keep the recorder told which module is running, and what each returned."""
    trace = recorder.trace

    def enter(name: str, opaque: bool) -> Any:
        def hook(_: nn.Module, __: Any) -> None:
            recorder.scope.append(name)
            recorder.opaque += opaque

        return hook

    def leave(name: str, opaque: bool) -> Any:
        def hook(child: nn.Module, inputs: Any, result: Any) -> None:
            if len(recorder.scope) > 1:
                recorder.scope.pop()
            recorder.opaque -= opaque
            if recorder.full or recorder.opaque:
                return
            if opaque:
                sources = tuple(recorder.lookup(t) for t in tensors_in(inputs) if t.is_floating_point())
                weights = frozenset(trace.identity(p) for p in child.parameters(recurse=False))
                for tensor in tensors_in(result):
                    index = trace.add(
                        Node(
                            len(trace.nodes),
                            "application",
                            op="recurrent",
                            inputs=sources,
                            shape=tuple(tensor.shape),
                            data=True,
                            module=name,
                            layer=name,
                            weights=weights,
                        )
                    )
                    recorder.bind(tensor, index, fresh=True)
                trace.use(weights, Use("recurrent"))
            first = next(tensors_in(result), None)
            if first is not None:
                trace.returned.setdefault(name, []).append(recorder.lookup(first))

        return hook

    recurrent = (nn.RNNBase, nn.RNNCellBase)
    with contextlib.ExitStack() as hooks:
        for name, child in module.named_modules():
            if isinstance(child, torch.jit.ScriptModule):
                continue
            if is_sharder(child):
                for each in _gathering(child, recorder):
                    hooks.enter_context(each)
            opaque = isinstance(child, recurrent)
            hooks.enter_context(child.register_forward_pre_hook(enter(name, opaque), prepend=True))
            hooks.enter_context(child.register_forward_hook(leave(name, opaque)))
        yield


def _gathering(module: nn.Module, recorder: _Recorder) -> list[RemovableHandle]:
    """Hooks around those by which fully_shard gathers a module's parameters, and may cast its inputs."""
    given: list[list[int]] = []

    def before(_: nn.Module, args: Any, kwargs: Any) -> None:
        given.append([recorder.lookup(tensor) for tensor in tensors_in((args, kwargs))])
        recorder.opaque += 1

    def after(_: nn.Module, args: Any, kwargs: Any) -> None:
        recorder.opaque -= 1
        for tensor, index in zip(tensors_in((args, kwargs)), given.pop(), strict=False):
            recorder.bind(tensor, index, fresh=False)
        recorder.gathered(module)

    return [
        module.register_forward_pre_hook(before, prepend=True, with_kwargs=True),
        module.register_forward_pre_hook(after, with_kwargs=True),
    ]


def trace_forward(
    module: nn.Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    primary: Any,
    stand_for: Mapping[int, Tensor] | None = None,
) -> Trace:
    """Run ``module(*args, **kwargs)`` once and follow it.

    ``primary`` picks the tensors of the output that the model is for. ``stand_for``: as in ``Trace``. Modes and buffers
    are the caller's to restore. Raises whatever the model raises.
    """
    trace = Trace(module, stand_for)
    recorder = _Recorder(trace)
    recorder.register_parameters(module)
    for tensor in tensors_in((args, dict(kwargs))):
        recorder.new("input", tensor, data=True)
    with _scopes(module, recorder), torch.enable_grad(), recorder:
        output = module(*args, **kwargs)
    trace.outputs = {recorder.lookup(t) for t in tensors_in(output)}
    chosen = primary(output)
    trace.primary = {recorder.lookup(chosen)} if chosen is not None else set()
    trace.complete = not recorder.full
    recorder.alive.clear()
    return trace
