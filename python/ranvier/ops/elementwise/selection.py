"""where."""

from __future__ import annotations

from typing import Any

from ranvier.autograd import Function
from ranvier.ops.elementwise.comparison import truth
from ranvier.ops.elementwise.operands import narrowed, pair, to_shape
from ranvier.ops.symbolic import direct
from ranvier.tensor import Tensor, as_tensor


class Where(Function):
    def forward(self, condition: Any, x1: Any, x2: Any) -> Any:
        self.shapes = x1.shape, x2.shape
        self.save(condition)
        return self.kernels.where_forward(condition, x1, x2)

    def backward(self, dy: Tensor) -> tuple[None, Tensor | None, Tensor | None]:
        (condition,) = self.saved
        return (
            None,
            to_shape(where(condition, dy, 0), self.shapes[0]) if self.needs[1] else None,
            to_shape(where(condition, 0, dy), self.shapes[1]) if self.needs[2] else None,
        )


@direct("where")
def where(condition: Any, x1: Any, x2: Any) -> Tensor:
    """``x1`` where ``condition`` is true (not 0), else ``x2``: the three broadcast as in NumPy; any dtypes.

    The gradient goes to the element chosen; the other gets 0, whatever it was. Source: Keras ``ops.where``.

    >>> import ranvier as rv
    >>> rv.ops.where([True, False], [1.0, 2.0], 0).numpy()
    array([1., 0.], dtype=float32)
    """
    mask = truth(condition)
    if not isinstance(mask, Tensor):
        mask = as_tensor(mask, device=next((x.array.device for x in (x1, x2) if isinstance(x, Tensor)), None))
    a, b = pair(x1, x2)
    return narrowed(Where.apply(mask, a, b), x1, x2)
