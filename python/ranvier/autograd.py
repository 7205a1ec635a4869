"""The tape: Function (an op with its gradient), backward, grad and no_grad.

An op that runs on a tensor that requires a gradient leaves a Function behind: it knows the Functions that made its
inputs, and keeps the arrays that its gradient needs. ``backward`` walks these from a result to the leaves. The
bookkeeping of both directions is C++ (``csrc/tape``: a network as small as the course's runs more ops than it has
weights); what an op computes, forward and backward, is Python (``ranvier/ops``).
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, TypeVar

from ranvier import _core
from ranvier._kernels import reference_kernels
from ranvier.tensor import Tensor, as_tensor

_Callable = TypeVar("_Callable", bound=Callable[..., Any])

NARROW = ("float16", "bfloat16")
GPUS = ("sim", "cuda")

is_recording = _core._is_on_tape  # whether ops on this thread are put on the tape


class _set_recording(contextlib.ContextDecorator):
    def __init__(self, recording: bool) -> None:
        self._recording = recording
        self._outer: list[bool] = []

    def __call__(self, function: _Callable) -> _Callable:
        recording = self._recording

        @functools.wraps(function)
        def inner(*args: Any, **kwargs: Any) -> Any:
            outer = _core._set_on_tape(recording)
            try:
                return function(*args, **kwargs)
            finally:
                _core._set_on_tape(outer)

        return inner  # type: ignore[return-value]

    def __enter__(self) -> None:
        self._outer.append(_core._set_on_tape(self._recording))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _core._set_on_tape(self._outer.pop())


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


class Function(_core.FunctionBase):
    """A differentiable op: ``forward`` on Arrays, ``backward`` on Tensors.

    ``forward(self, *arrays, **params)`` calls ``self.kernels`` (the functions of the arrays' device), keeps what
    backward needs with ``self.save(...)``, and returns an Array or a tuple of them.

    ``backward(self, *gradients)`` gets one Tensor per output and returns one Tensor, or None, per input (a bare
    Tensor for a single input; an Array does where there is nothing to differentiate again). It computes only what
    ``self.needs[i]`` asks for, from ``self.saved``. If it is built from ops, the gradient is differentiable in turn
    (``create_graph``); if it calls ``self.kernels``, it must start with ``self.refuse_create_graph()`` or take a
    differentiable path when ``is_recording()``.

    Where ``narrow`` says that a device has no kernels for float16 and bfloat16, such inputs are widened to float32 and
    results rounded back once; ``forward`` and ``backward`` then see float32 alone.

    ``apply(*inputs, **params)``, of the class, runs it: inputs that are no tensors become some, and if any requires a
    gradient, so does what comes out, and this object stays on the tape.

    >>> import ranvier as rv
    >>> class Double(rv.autograd.Function):
    ...     def forward(self, x):
    ...         return self.kernels.add_forward(x, x)
    ...     def backward(self, dy):
    ...         return dy * 2
    >>> x = rv.Tensor([1.0, 2.0], requires_grad=True)
    >>> rv.grad(Double.apply(x).sum(), x).numpy()
    array([2., 2.], dtype=float32)
    """

    optional: tuple[int, ...] = ()  # positions of inputs that may be None
    takes_none = False  # whether backward gets None, not zeros, for outputs that nobody used
    # Kinds of devices whose kernels take float16 and bfloat16; elsewhere inputs are widened. None: all kinds.
    narrow: tuple[str, ...] | None = None
    mixes_widths = False  # whether some inputs may be float32 beside an input of 16 bits

    kernels: Any
    needs: tuple[bool, ...]
    saved: tuple[Any, ...]  # what `save` kept, as Tensors
    freed: bool  # whether a backward pass has let that go

    @property
    def name(self) -> str:
        """The op's name in messages: that of the class in snake case."""
        return "".join("_" + c.lower() if c.isupper() else c for c in type(self).__name__).lstrip("_")

    def forward(self, *arrays: Any, **params: Any) -> Any:
        raise NotImplementedError

    def backward(self, *gradients: Any) -> Any:
        raise NotImplementedError(f"{self.name} has no gradient")

    def _widened(self, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """The op in float32 on inputs of 16 bits, its results rounded once to the dtype of the first of them.

        NotImplemented where the kernels take the inputs as they are, or where their dtypes do not go together (the
        kernels' checks say what is wrong).
        """
        floating = [x for x in inputs if x is not None and "float" in x.dtype]
        dtype, device = floating[0].dtype, floating[0].array.device.partition(":")[0]
        widths = {x.dtype for x in floating}
        fits = widths <= {dtype, "float32"} if self.mixes_widths else len(widths) == 1
        direct = self.narrow is None or device in self.narrow
        if direct and self.mixes_widths:  # the kernels have but one mixture
            direct = all(x.dtype == "float32" for x in floating[1:])
        if direct or not fits:
            return NotImplemented
        from ranvier.ops.elementwise import cast

        wide = (cast(x, "float32") if x is not None and x.dtype in NARROW else x for x in inputs)
        results = type(self).apply(*wide, **params)
        if isinstance(results, tuple):
            return tuple(cast(y, dtype) if y.dtype == "float32" else y for y in results)
        return cast(results, dtype) if results.dtype == "float32" else results

    def refuse_create_graph(self) -> None:
        """For gradients that are kernels of their own, without a derivative."""
        if is_recording():
            raise NotImplementedError(f"{self.name}: its gradient is not itself differentiable (create_graph=True)")

    def _as_tensors(self, inputs: tuple[Any, ...]) -> tuple[Tensor | None, ...]:
        """The inputs of ``apply``, those that are no tensors on the device of those that are."""
        device = next((x.array.device for x in inputs if isinstance(x, Tensor)), None)
        for position, x in enumerate(inputs):
            if x is None and position not in self.optional:
                raise TypeError(f"{self.name}: argument {position} is None; expected a tensor")
        return tuple(x if x is None or isinstance(x, Tensor) else as_tensor(x, device=device) for x in inputs)

    def _clearer(self, error: TypeError, params: dict[str, Any]) -> TypeError:
        """pybind11's message for an argument of the wrong kind lists C++ signatures; say what came instead."""
        if "incompatible function arguments" not in str(error):
            return error
        came = ", ".join(f"{k}={v!r} ({type(v).__name__})" for k, v in params.items())
        return TypeError(f"{self.name}: an option has the wrong type or is too large; got {came}")


_core._set_tape_types(Tensor, reference_kernels)


def _output_gradient(output: Tensor, gradient: Any) -> Tensor | None:
    """The gradient to begin with; None, for a scalar without one, stands for 1."""
    if gradient is None:
        return None
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
    found = _core._run_backward([output], [_output_gradient(output, gradient)], None, retain, create_graph)
    for leaf, fresh in found:
        leaf.grad = fresh if leaf.grad is None else leaf.grad + fresh


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
    input_list = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    output_list = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    gradients: list[Tensor | None] = [None] * len(output_list)
    if grad_outputs is not None:
        given = [grad_outputs] if isinstance(outputs, Tensor) else grad_outputs
        gradients = [_output_gradient(o, g) for o, g in zip(output_list, given, strict=True)]
    retain = create_graph if retain_graph is None else retain_graph
    found = _core._run_backward(output_list, gradients, input_list, retain, create_graph)
    if not allow_unused:
        for position, gradient in enumerate(found):
            if gradient is None:
                raise ValueError(
                    f"grad: input {position} (shape {input_list[position].shape}) has no gradient: the outputs do not "
                    "depend on it, or it does not require one; pass allow_unused=True to get None"
                )
    return found[0] if isinstance(inputs, Tensor) else found
