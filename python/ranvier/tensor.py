"""Tensor: an array, whether its gradient is wanted, and the tape's node that made it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

import ranvier
from ranvier import _core
from ranvier._device import canonical, get_device

if TYPE_CHECKING:
    from ranvier.autograd import Function


class Tensor(_core.TensorBase):
    """An n-dimensional array on a device, with automatic differentiation.

    ``data`` is anything that NumPy understands, an Array or a Tensor, and is copied. Python floats become float32,
    Python integers int32; NumPy arrays keep their dtype unless ``dtype`` says otherwise.

    Raises TypeError for a dtype that Ranvier does not have, DeviceError for a device that is not there.

    >>> import ranvier as rv
    >>> x = rv.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad.numpy()
    array([[2., 4.],
           [6., 8.]], dtype=float32)
    """

    __slots__ = ()
    __array_priority__ = 1000  # NumPy arrays on the left leave arithmetic to us

    # what TensorBase holds
    shape: tuple[int, ...]
    ndim: int
    size: int
    dtype: str
    device: str
    array: _core.Array
    requires_grad: bool
    grad: Tensor | None
    node: Function | None  # None for a leaf
    index: int  # which of the node's outputs this is
    mask: Tensor | None  # which time steps of a sequence count; unset but where a layer sets it

    if TYPE_CHECKING:

        def __getitem__(self, key: Any) -> Tensor: ...

    def __init__(
        self, data: Any, dtype: str | None = None, requires_grad: bool = False, device: str | None = None
    ) -> None:
        self.array = array_of(data, dtype, device, copy=True)
        if requires_grad and not self.array.dtype.startswith(("float", "bfloat")):
            raise TypeError(f"Tensor: only floating tensors have gradients, this one is {self.array.dtype}")
        self.requires_grad = requires_grad

    # --- what it is -------------------------------------------------------------------------------

    @property
    def is_leaf(self) -> bool:
        return self.node is None

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len() of a scalar tensor")
        return self.shape[0]

    def __repr__(self) -> str:
        body = np.array2string(np.asarray(self), separator=", ", prefix="Tensor(")
        extra = ", requires_grad=True" if self.requires_grad else ""
        place = "" if self.device == "cpu" else f", device={self.device!r}"
        return f"Tensor({body}, dtype={self.dtype}{place}{extra})"

    # --- leaving for other libraries ----------------------------------------------------------------

    def numpy(self) -> np.ndarray:
        """A NumPy view of the values, sharing memory; on "cuda" and "sim" a copy, which waits for the GPU.

        bfloat16, which NumPy has not, is copied to float32.
        """
        if self.dtype == "bfloat16":
            return ranvier.ops.cast(self.detach(), "float32").array.numpy()
        return self.array.numpy()

    def item(self) -> Any:
        """The value of a one-element tensor as a Python number."""
        if self.size != 1:
            raise ValueError(f"item: only a tensor with one element is a number, this one has shape {self.shape}")
        return self.numpy().item()

    def tolist(self) -> Any:
        """The values as nested Python lists."""
        return self.numpy().tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        values = self.numpy()
        if dtype is not None and values.dtype != dtype:
            if copy is False:
                raise ValueError(f"__array__: {values.dtype} to {np.dtype(dtype)} needs a copy")
            return values.astype(dtype)
        return values.copy() if copy or copy is None else values

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        return self.array.__dlpack__(stream=stream, max_version=max_version, dl_device=dl_device, copy=copy)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        from ranvier.cuda import interface_of

        return interface_of(self.array)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        from ranvier.array_protocols import apply_ufunc

        return apply_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        from ranvier.array_protocols import apply_function

        return apply_function(function, args, kwargs)

    def __copy__(self) -> Any:
        """The values, cut from the tape."""
        twin = wrap(self.array.copy())
        twin.requires_grad = self.requires_grad
        return twin

    def __deepcopy__(self, memo: Any) -> Any:
        return self.__copy__()

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(
            f"a {type(self).__name__} is not pickled: pickles run code when they are read. Save models with "
            "model.save(path) or model.save_weights(path), and values as t.numpy()"
        )

    def __format__(self, specification: str) -> str:
        return format(self.item() if specification else str(self), specification)

    def __contains__(self, value: Any) -> bool:
        return bool(np.any(self.numpy() == (value.numpy() if isinstance(value, Tensor) else value)))

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError(
            "a tensor's elements are not written in place, which the tape would not see: make a new one with "
            "rv.ops.where, or overwrite all values with assign"
        )

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.ndim != 0 or self.dtype.startswith(("float", "bfloat")):
            raise TypeError("only an integer scalar tensor can be an index")
        return int(self.item())

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(f"the truth of a tensor of shape {self.shape} is ambiguous; use any() or all() of NumPy")
        return bool(self.item())

    # --- gradients --------------------------------------------------------------------------------

    def backward(self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False) -> None:
        """Adds the gradient of this tensor to ``grad`` of every leaf that requires one.

        ``gradient`` has this tensor's shape and may be left out for a scalar. The tape's saved buffers are freed
        unless ``retain_graph``; ``create_graph`` makes the gradients differentiable themselves.
        """
        ranvier.autograd.backward(self, gradient, retain_graph, create_graph)

    def detach(self) -> Tensor:
        """The same values, cut from the tape (memory is shared)."""
        return wrap(self.array)

    def assign(self, value: Any) -> Tensor:
        """Overwrites the values in place; tapes that saved the old ones refuse to run backward."""
        self.array.copy_from(array_of(value, self.dtype, self.device))
        return self

    def to(self, device: str) -> Tensor:
        """A copy on another device, cut from the tape; this tensor itself if it is there already."""
        return self if canonical(device) == self.device else wrap(self.array.to_device(device))

    # --- arithmetic: each operator is the op of its name --------------------------------------------

    def __add__(self, other: Any) -> Tensor:
        return ranvier.ops.add(self, other)

    def __radd__(self, other: Any) -> Tensor:
        return ranvier.ops.add(other, self)

    def __sub__(self, other: Any) -> Tensor:
        return ranvier.ops.subtract(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return ranvier.ops.subtract(other, self)

    def __mul__(self, other: Any) -> Tensor:
        return ranvier.ops.multiply(self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return ranvier.ops.multiply(other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return ranvier.ops.divide(self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return ranvier.ops.divide(other, self)

    def __pow__(self, other: Any) -> Tensor:
        return ranvier.ops.power(self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return ranvier.ops.power(other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return ranvier.ops.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return ranvier.ops.matmul(other, self)

    def __neg__(self) -> Tensor:
        return ranvier.ops.negative(self)

    def __abs__(self) -> Tensor:
        return ranvier.ops.abs(self)

    def __pos__(self) -> Tensor:
        return self

    def __invert__(self) -> Tensor:
        return ranvier.ops.logical_not(_booleans("~", self))

    def __and__(self, other: Any) -> Tensor:
        return ranvier.ops.logical_and(_booleans("&", self), _booleans("&", other))

    def __or__(self, other: Any) -> Tensor:
        return ranvier.ops.logical_or(_booleans("|", self), _booleans("|", other))

    __rand__ = __and__
    __ror__ = __or__

    def __eq__(self, other: Any) -> Any:
        return NotImplemented if other is None or isinstance(other, str) else ranvier.ops.equal(self, other)

    def __ne__(self, other: Any) -> Any:
        return NotImplemented if other is None or isinstance(other, str) else ranvier.ops.not_equal(self, other)

    def __lt__(self, other: Any) -> Tensor:
        return ranvier.ops.less(self, other)

    def __le__(self, other: Any) -> Tensor:
        return ranvier.ops.less_equal(self, other)

    def __gt__(self, other: Any) -> Tensor:
        return ranvier.ops.greater(self, other)

    def __ge__(self, other: Any) -> Tensor:
        return ranvier.ops.greater_equal(self, other)

    __hash__ = object.__hash__  # by identity: == compares elements

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    # --- the ops that array users expect as methods --------------------------------------------------

    @property
    def T(self) -> Tensor:
        return ranvier.ops.transpose(self)

    def reshape(self, *shape: Any) -> Tensor:
        return ranvier.ops.reshape(self, shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape)

    def transpose(self, *axes: Any) -> Tensor:
        named = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return ranvier.ops.transpose(self, named or None)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        return ranvier.ops.sum(self, axis, keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        return ranvier.ops.mean(self, axis, keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        return ranvier.ops.max(self, axis, keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        return ranvier.ops.min(self, axis, keepdims)

    def argmax(self, axis: int | None = None) -> Tensor:
        return ranvier.ops.argmax(self, axis)

    def argmin(self, axis: int | None = None) -> Tensor:
        return ranvier.ops.argmin(self, axis)

    def all(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        return ranvier.ops.all(self, axis, keepdims)

    def any(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        return ranvier.ops.any(self, axis, keepdims)

    def flatten(self) -> Tensor:
        return ranvier.ops.reshape(self, (-1,))

    def astype(self, dtype: str) -> Tensor:
        return ranvier.ops.cast(self, dtype)


wrap: Callable[[_core.Array], Tensor] = _core._wrap  # a Tensor over an array without a copy, a leaf


def _booleans(operator: str, value: Any) -> Any:
    """An operand of ``&``, ``|`` or ``~``; TypeError for numbers, whose bits Ranvier does not touch."""
    dtype = getattr(value, "dtype", None)
    if not isinstance(value, (bool, np.bool_)) and str(dtype) != "bool":
        raise TypeError(
            f"{operator} is for tensors of bool, as comparisons give them; got {dtype or type(value).__name__}"
        )
    return value


def array_of(data: Any, dtype: str | None = None, device: str | None = None, copy: bool = False) -> _core.Array:
    """An Array of ``data`` with the dtype and on the device asked for; shared with ``data`` only if ``copy`` is
    false and ``data`` is an Array or a Tensor that already fits."""
    if isinstance(data, Tensor):
        data = data.array
    if isinstance(data, _core.Array):
        array = data
        fresh = False
    else:
        values = np.asarray(data)
        if not isinstance(data, (np.ndarray, np.generic)):  # Python numbers and lists: our defaults, not NumPy's
            if values.dtype == np.float64 and dtype is None:
                values = values.astype(np.float32)
            elif values.dtype == np.int64 and dtype is None:
                values = values.astype(np.int32)
        if dtype is not None and dtype != "bfloat16" and values.dtype != np.dtype(dtype):
            values = values.astype(dtype)
        array = _core.Array.from_numpy(values, copy=True, device=device or get_device())
        fresh = True
    if dtype is not None and array.dtype != dtype:
        array = ranvier.ops.cast(wrap(array), dtype).array
        fresh = True
    if device is not None and array.device != canonical(device):
        array = array.to_device(device)
        fresh = True
    return array.copy() if copy and not fresh else array


def as_tensor(data: Any, dtype: str | None = None, device: str | None = None) -> Tensor:
    """``data`` as a Tensor: itself if it is one that fits, else a new leaf."""
    if isinstance(data, Tensor) and (dtype is None or data.dtype == dtype):
        return data
    return wrap(array_of(data, dtype, device))
