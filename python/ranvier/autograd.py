"""The tape: Function (an op with its gradient), backward, grad and no_grad."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import numpy as np

import ranvier
from ranvier import _core
from ranvier._kernels import kernels_for
from ranvier.tensor import Tensor, as_tensor, wrap


class _Mode(threading.local):
    recording = True


_mode = _Mode()
_FLOATING = frozenset(("float32", "float64", "float16", "bfloat16"))


def is_recording() -> bool:
    """Whether ops on this thread are put on the tape."""
    return _mode.recording


class _set_recording(contextlib.ContextDecorator):
    def __init__(self, recording: bool) -> None:
        self._recording = recording
        self._outer: list[bool] = []

    def _recreate_cm(self) -> _set_recording:
        """A context of its own for each call of a decorated function: threads must not share ``_outer``."""
        return _set_recording(self._recording)

    def __enter__(self) -> None:
        self._outer.append(_mode.recording)
        _mode.recording = self._recording

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _mode.recording = self._outer.pop()


class no_grad(_set_recording):
    """A context, or a decorator, in which nothing is put on the tape.

    >>> import ranvier as rv
    >>> x = rv.Tensor(2.0, requires_grad=True)
    >>> with rv.no_grad():
    ...     (x * x).requires_grad
    False
    """

    def __init__(self) -> None:
        super().__init__(False)


class enable_grad(_set_recording):
    """A context in which ops are put on the tape again, inside ``no_grad``."""

    def __init__(self) -> None:
        super().__init__(True)


class _Saved:
    """An array kept for backward: where it stands on the tape, and the version that it had.

    An output of the very node that saves it does not hold that node: a cycle would keep both until the garbage
    collector comes, and with them a training step's activations.
    """

    __slots__ = ("array", "index", "leaf", "node", "own", "version")

    def __init__(
        self, array: _core.Array, leaf: Tensor | None, node: Function | None, index: int, own: bool = False
    ) -> None:
        self.array = array
        self.leaf = leaf
        self.node = node
        self.index = index
        self.own = own
        self.version = array.version

    def tensor(self, owner: Function) -> Tensor:
        if self.array.version != self.version:
            raise RuntimeError(
                f"{owner.name}: an array of shape {self.array.shape} that backward needs was changed in place after "
                f"the forward pass (version {self.version} then, {self.array.version} now)"
            )
        if self.leaf is not None:
            return self.leaf
        return wrap(self.array, owner if self.own else self.node, self.index)


class Function:
    """A differentiable op: ``forward`` on Arrays, ``backward`` on Tensors.

    ``forward(self, *arrays, **params)`` calls ``self.kernels`` (the functions of the arrays' device), keeps what
    backward needs with ``self.save(...)``, and returns an Array or a tuple of them.

    ``backward(self, *gradients)`` gets one Tensor per output and returns one Tensor, or None, per input (a bare
    Tensor for a single input). It computes only what ``self.needs[i]`` asks for. If it is built from ops, the
    gradient is differentiable in turn (``create_graph``); if it calls ``self.kernels``, it must start with
    ``self.refuse_create_graph()`` or take a differentiable path when ``is_recording()``.
    """

    optional: tuple[int, ...] = ()  # positions of inputs that may be None
    kernels: Any
    needs: tuple[bool, ...]
    edges: tuple[Any, ...]  # per input: None, a leaf Tensor, or (node, index)
    _saved: tuple[_Saved | None, ...] | None = ()
    _to_save: tuple[_core.Array | None, ...] = ()
    _outputs: tuple[tuple[tuple[int, ...], str, str], ...]  # shape, dtype, device: for zeros of unused outputs

    @property
    def name(self) -> str:
        """The op's name in messages: that of the class in snake case."""
        return "".join("_" + c.lower() if c.isupper() else c for c in type(self).__name__).lstrip("_")

    def forward(self, *arrays: Any, **params: Any) -> Any:
        raise NotImplementedError

    def backward(self, *gradients: Any) -> Any:
        raise NotImplementedError(f"{self.name} has no gradient")

    def save(self, *arrays: _core.Array | None) -> None:
        """Keeps arrays for backward, where ``self.saved`` gives them as Tensors.

        Inputs and outputs keep their place on the tape; other arrays are constants there.
        """
        self._to_save = arrays

    @property
    def saved(self) -> tuple[Any, ...]:
        """What ``save`` kept, as Tensors."""
        if self._saved is None:
            raise RuntimeError(
                f"{self.name}: the tape's buffers were freed by an earlier backward; pass retain_graph=True to it"
            )
        return tuple(s.tensor(self) if s is not None else None for s in self._saved)

    def refuse_create_graph(self) -> None:
        """For gradients that are kernels of their own, without a derivative."""
        if _mode.recording:
            raise NotImplementedError(f"{self.name}: its gradient is not itself differentiable (create_graph=True)")

    @classmethod
    def apply(cls, *inputs: Any, **params: Any) -> Any:
        """Runs the op on tensors (or None for an absent one), on the tape if any of them requires a gradient."""
        # Tiny networks spend their time here: no generators, no look-ups that the plain case does not need.
        self = cls()
        for x in inputs:
            if not isinstance(x, Tensor):
                inputs = self._as_tensors(inputs)
                break
        arrays = [None if t is None else t.array for t in inputs]
        first = arrays[0] if arrays[0] is not None else next(a for a in arrays if a is not None)
        self.kernels = kernels_for(first)
        if _mode.recording:
            self.needs = tuple([t is not None and t.requires_grad for t in inputs])
        else:
            self.needs = (False,) * len(inputs)
        try:
            result = self.forward(*arrays, **params)
        except TypeError as error:
            raise self._clear(error, params) from None
        recorded = True in self.needs
        if not isinstance(result, tuple):
            if not recorded:
                return wrap(result)
            self._record(inputs, arrays, (result,))
            return wrap(result, self if self._outputs[0][1] in _FLOATING else None)
        if not recorded:
            return tuple([wrap(a) for a in result])
        self._record(inputs, arrays, result)
        return tuple([wrap(a, self if self._outputs[i][1] in _FLOATING else None, i) for i, a in enumerate(result)])

    def _as_tensors(self, inputs: tuple[Any, ...]) -> tuple[Tensor | None, ...]:
        device = next((x.array.device for x in inputs if isinstance(x, Tensor)), None)
        for position, x in enumerate(inputs):
            if x is None and position not in self.optional:
                raise TypeError(f"{self.name}: argument {position} is None; expected a tensor")
        return tuple(x if x is None or isinstance(x, Tensor) else as_tensor(x, device=device) for x in inputs)

    def _clear(self, error: TypeError, params: dict[str, Any]) -> TypeError:
        """pybind11's message for an argument of the wrong kind lists C++ signatures; say what came instead."""
        if "incompatible function arguments" not in str(error):
            return error
        came = ", ".join(f"{k}={v!r} ({type(v).__name__})" for k, v in params.items())
        return TypeError(f"{self.name}: an option has the wrong type or is too large; got {came}")

    def _record(
        self, tensors: Sequence[Tensor | None], arrays: list[_core.Array | None], outputs: tuple[_core.Array, ...]
    ) -> None:
        self.edges = tuple(
            [None if t is None or not t.requires_grad else t if t.node is None else (t.node, t.index) for t in tensors]
        )
        self._outputs = tuple([(a.shape, a.dtype, a.device) for a in outputs])
        self._saved = tuple([self._save_one(a, tensors, arrays, outputs) for a in self._to_save])
        self._to_save = ()

    def _save_one(
        self,
        array: _core.Array | None,
        tensors: Sequence[Tensor | None],
        arrays: list[_core.Array | None],
        outputs: tuple[_core.Array, ...],
    ) -> _Saved | None:
        if array is None:
            return None
        for tensor, candidate in zip(tensors, arrays, strict=True):
            if candidate is array and tensor is not None:
                leaf = tensor if tensor.node is None else None
                return _Saved(array, leaf, tensor.node, tensor.index)
        for index, candidate in enumerate(outputs):
            if candidate is array:
                return _Saved(array, None, None, index, own=True)
        return _Saved(array, None, None, 0)


# --- walking the tape ---------------------------------------------------------------------------------


def _target(edge: Any) -> Function | None:
    return edge[0] if isinstance(edge, tuple) else None


def _topological_order(roots: list[Function]) -> list[Function]:
    """Nodes reachable from the roots, each before those that made its inputs (iterative: graphs may be deep)."""
    order: list[Function] = []
    seen: set[int] = set()
    stack: list[tuple[Function, bool]] = [(root, False) for root in roots]
    while stack:
        node, finished = stack.pop()
        if finished:
            order.append(node)
            continue
        if id(node) in seen:
            continue
        seen.add(id(node))
        stack.append((node, True))
        stack.extend((child, False) for edge in node.edges if (child := _target(edge)) is not None)
    return order[::-1]


class _Pass:
    """One walk: gradients in flight, and the leaves or inputs that collect them."""

    def __init__(self, wanted: Sequence[Tensor] | None) -> None:
        self.in_flight: dict[int, list[Tensor | None]] = {}  # id(node) -> gradient per output
        self.leaf_gradients: dict[int, Tensor] = {}  # id(leaf tensor) -> gradient
        self.leaves: dict[int, Tensor] = {}
        self.inner_gradients: dict[tuple[int, int], Tensor] = {}  # (id(node), output) of wanted inner tensors
        self.all_leaves = wanted is None
        self.wanted_leaves = {id(t) for t in wanted or () if t.node is None}
        self.wanted_inner = {(id(t.node), t.index) for t in wanted or () if t.node is not None}

    def relevant_nodes(self, order: list[Function]) -> set[int]:
        """Nodes through which a gradient that somebody asked for passes."""
        relevant: set[int] = set()
        for node in reversed(order):
            made_wanted = any((id(node), i) in self.wanted_inner for i in range(len(node._outputs)))
            if made_wanted or any(self.leads_somewhere(edge, relevant) for edge in node.edges):
                relevant.add(id(node))
        return relevant

    def leads_somewhere(self, edge: Any, relevant: set[int]) -> bool:
        if edge is None:
            return False
        if isinstance(edge, tuple):
            return id(edge[0]) in relevant
        return self.all_leaves or id(edge) in self.wanted_leaves

    def send(self, edge: Any, gradient: Tensor) -> None:
        if isinstance(edge, tuple):
            node, index = edge
            slots = self.in_flight.setdefault(id(node), [None] * len(node._outputs))
            slots[index] = _accumulate(slots[index], gradient)
        else:
            self.leaves[id(edge)] = edge
            self.leaf_gradients[id(edge)] = _accumulate(self.leaf_gradients.get(id(edge)), gradient)


def _accumulate(total: Tensor | None, gradient: Tensor) -> Tensor:
    return gradient if total is None else ranvier.ops.add(total, gradient)


def _check_gradient(node: Function, index: int, gradient: Tensor) -> None:
    shape, dtype, _ = node._outputs[index]
    if gradient.shape != shape or gradient.dtype != dtype:
        raise ValueError(
            f"backward: the gradient of an output of {node.name} must be {dtype} of shape {shape} but is "
            f"{gradient.dtype} of shape {gradient.shape}"
        )


def _run_backward(
    outputs: Sequence[Tensor],
    gradients: Sequence[Tensor],
    wanted: Sequence[Tensor] | None,
    retain_graph: bool,
    create_graph: bool,
) -> _Pass:
    walk = _Pass(wanted)
    order = _topological_order([t.node for t in outputs if t.node is not None])
    relevant = walk.relevant_nodes(order)
    for output, gradient in zip(outputs, gradients, strict=True):
        walk.send(output if output.node is None else (output.node, output.index), gradient)
    with enable_grad() if create_graph else no_grad():
        for node in order:
            slots = walk.in_flight.pop(id(node), None)
            if slots is None:
                continue
            for index, slot in enumerate(slots):
                if slot is not None and (id(node), index) in walk.wanted_inner:
                    walk.inner_gradients[id(node), index] = slot
            node.needs = tuple(walk.leads_somewhere(edge, relevant) for edge in node.edges)
            if any(node.needs):
                _backward_one(walk, node, slots)
            if not retain_graph:
                node._saved = None
    return walk


def _backward_one(walk: _Pass, node: Function, slots: list[Tensor | None]) -> None:
    filled = [
        slot if slot is not None else wrap(_core.Array.zeros(shape, dtype, device))
        for slot, (shape, dtype, device) in zip(slots, node._outputs, strict=True)
    ]
    result = node.backward(*filled)
    input_gradients = result if isinstance(result, tuple) else (result,)
    for edge, need, gradient in zip(node.edges, node.needs, input_gradients, strict=True):
        if not need or gradient is None:
            continue
        if isinstance(edge, tuple):
            _check_gradient(edge[0], edge[1], gradient)
        walk.send(edge, gradient)


def _output_gradient(output: Tensor, gradient: Any) -> Tensor:
    if gradient is None:
        if output.size != 1:
            raise ValueError(f"backward: an output of shape {output.shape} needs a gradient; only a scalar has its own")
        return as_tensor(np.ones(output.shape), output.dtype, output.device)
    tensor = as_tensor(gradient, output.dtype, output.device)
    if tensor.shape != output.shape:
        raise ValueError(f"backward: the gradient has shape {tensor.shape}, the output {output.shape}")
    return tensor


def backward(
    output: Tensor, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False
) -> None:
    """Adds d output / d leaf to ``grad`` of every leaf that requires one; see ``Tensor.backward``."""
    if not output.requires_grad:
        raise RuntimeError("backward: this tensor does not depend on any tensor that requires a gradient")
    retain = create_graph if retain_graph is None else retain_graph
    walk = _run_backward([output], [_output_gradient(output, gradient)], None, retain, create_graph)
    for key, leaf in walk.leaves.items():
        fresh = walk.leaf_gradients[key]
        leaf.grad = fresh if leaf.grad is None else ranvier.ops.add(leaf.grad, fresh)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> Any:
    """Gradients of ``outputs`` with respect to any ``inputs``, leaves or not; nothing else is computed.

    One Tensor for one input, else a list. ``grad_outputs`` has the outputs' shapes (ones for scalars);
    ``create_graph`` makes the result differentiable. Raises ValueError for an input that the outputs do not
    depend on, unless ``allow_unused``, which gives None for it.

    >>> import ranvier as rv
    >>> x = rv.Tensor(3.0, requires_grad=True)
    >>> dx = rv.grad(x * x * x, x, create_graph=True)
    >>> dx.item(), rv.grad(dx, x).item()
    (27.0, 18.0)
    """
    single = isinstance(inputs, Tensor)
    input_list = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    output_list = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    if isinstance(outputs, Tensor):
        grad_outputs = [grad_outputs]
    elif grad_outputs is None:
        grad_outputs = [None] * len(output_list)
    pairs = [(o, _output_gradient(o, g)) for o, g in zip(output_list, grad_outputs, strict=True) if o.requires_grad]
    retain = create_graph if retain_graph is None else retain_graph
    walk = _run_backward([o for o, _ in pairs], [g for _, g in pairs], input_list, retain, create_graph)
    results: list[Tensor | None] = []
    for position, tensor in enumerate(input_list):
        if tensor.node is None:
            found = walk.leaf_gradients.get(id(tensor))
        else:
            found = walk.inner_gradients.get((id(tensor.node), tensor.index))
        if found is None and not allow_unused:
            raise ValueError(
                f"grad: input {position} (shape {tensor.shape}) has no gradient: the outputs do not depend on it, or "
                "it does not require one; pass allow_unused=True to get None"
            )
        results.append(found)
    return results[0] if single else results
