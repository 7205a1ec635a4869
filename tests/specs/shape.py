"""Moving elements: nothing is rounded, so every forward must be exact; gradients add up what was copied."""

from __future__ import annotations

import numpy as np

import ranvier as rv
from tests.opspec import Call, OpSpec, Refused
from tests.specs.shape_calls import (
    added,
    broadcast_calls,
    concatenate,
    concatenate_calls,
    exact,
    expand_calls,
    flip_calls,
    full_calls,
    item_calls,
    like_calls,
    moved,
    one_hot_calls,
    pad_calls,
    range_calls,
    repeat_calls,
    reshape_calls,
    scatter_bound,
    scatter_calls,
    split_calls,
    squeeze_calls,
    stack,
    stack_calls,
    take_calls,
    tile_calls,
    transpose_calls,
)

X = np.ones((2, 3))
RANGE_OF_ROWS = "index 2 at position 1 is out of range for 2 rows"

SPECS = [
    OpSpec(
        op=rv.ops.reshape,
        calls=reshape_calls(),
        bound=exact,
        gradients=("x",),
        gradient_bound=moved,
        refused=(
            Refused(Call({"x": X}, {"newshape": (4, 2)}), ValueError, "cannot turn shape 2x3 (6 elements) into 4x2"),
            Refused(Call({"x": X}, {"newshape": (4, -1)}), ValueError, "cannot turn shape (2, 3) (6 elements)"),
            Refused(Call({"x": X}, {"newshape": (-1, -1)}), ValueError, "cannot turn shape"),
            Refused(Call({"x": X}, {"newshape": (-6,)}), ValueError, "negative side"),
            Refused(Call({"x": X}, {"newshape": 1.5}), TypeError, "reshape: shape must be an int"),
        ),
    ),
    OpSpec(
        op=rv.ops.transpose,
        calls=transpose_calls(),
        bound=exact,
        gradients=("x",),
        gradient_bound=moved,
        gradient_calls=transpose_calls(small=True),
        refused=(
            Refused(Call({"x": X}, {"axes": (0,)}), ValueError, "axes 0 must name each of the 2 axes of shape 2x3"),
            Refused(Call({"x": X}, {"axes": (0, -2)}), ValueError, "axis -2 is given twice"),
            Refused(Call({"x": X}, {"axes": (0, 2)}), ValueError, "axis 2 is out of range"),
        ),
    ),
    OpSpec(
        op=rv.ops.broadcast_to,
        calls=broadcast_calls(),
        bound=exact,
        gradients=("x",),
        gradient_bound=added(rv.ops.broadcast_to, ("x",)),
        gradient_calls=broadcast_calls(small=True),
        refused=(
            Refused(Call({"x": X}, {"shape": (2, 4)}), ValueError, "shape 2x3 does not broadcast to shape 2x4"),
            Refused(Call({"x": X}, {"shape": (3,)}), ValueError, "shape 2x3 does not broadcast to shape 3"),
            Refused(Call({"x": X}, {"shape": (-1, 2, 3)}), ValueError, "negative side"),
            Refused(Call({"x": X}, {"shape": (2**40, 2**40, 2, 3)}), ValueError, "too many elements"),
        ),
    ),
    OpSpec(
        op=rv.ops.expand_dims,
        calls=expand_calls(),
        bound=exact,
        gradients=("x",),
        gradient_bound=moved,
        refused=(
            Refused(
                Call({"x": X}, {"axis": 3}), ValueError, "expand_dims: axis 3 is out of range for a result of rank 3"
            ),
            Refused(Call({"x": X}, {"axis": (0, 0)}), ValueError, "names an axis twice"),
        ),
    ),
    OpSpec(
        op=rv.ops.squeeze,
        calls=squeeze_calls(),
        bound=exact,
        gradients=("x",),
        gradient_bound=moved,
        refused=(Refused(Call({"x": X}, {"axis": 1}), ValueError, "axis 1 of shape (2, 3) has length 3, not one"),),
    ),
    OpSpec(
        op=concatenate,
        calls=concatenate_calls(),
        bound=exact,
        gradients=("a", "b", "c"),
        gradient_bound=moved,
        gradient_calls=concatenate_calls(small=True),
        refused=(
            Refused(
                Call({"a": X, "b": X.T, "c": X}, {"axis": 0}), ValueError, "x 1 must have shape 3x3 but has shape 3x2"
            ),
            Refused(
                Call({"a": X, "b": X.astype("f"), "c": X}, {"axis": 0}), TypeError, "x 0 is float64 but x 1 is float32"
            ),
            Refused(Call({"a": X[0, 0], "b": X, "c": X}, {"axis": 0}), ValueError, "x 0 must have rank 1 or more"),
        ),
    ),
    OpSpec(
        op=stack,
        calls=stack_calls(),
        bound=exact,
        gradients=("a", "b"),
        gradient_bound=moved,
        refused=(Refused(Call({"a": X, "b": X.T}, {"axis": 0}), ValueError, "x 1 has shape (3, 2) but x 0 has shape"),),
    ),
    OpSpec(
        op=rv.ops.split,
        calls=split_calls(),
        bound=exact,
        gradients=("x",),
        gradient_bound=added(rv.ops.split, ("x",)),
        refused=(
            Refused(
                Call({"x": X}, {"indices_or_sections": 2, "axis": 1}), ValueError, "cannot be cut into 2 equal parts"
            ),
            Refused(Call({"x": X}, {"indices_or_sections": 0}), ValueError, "cannot be cut into 0 equal parts"),
        ),
    ),
    OpSpec(
        op=rv.ops.tile,
        calls=tile_calls(),
        bound=exact,
        gradients=("x",),
        gradient_bound=added(rv.ops.tile, ("x",)),
        gradient_calls=tile_calls(small=True),
        refused=(Refused(Call({"x": X}, {"repeats": -1}), ValueError, "tile: repeats must not be negative"),),
    ),
    OpSpec(
        op=rv.ops.repeat,
        calls=repeat_calls(),
        bound=exact,
        gradients=("x",),
        gradient_bound=added(rv.ops.repeat, ("x",)),
        gradient_calls=repeat_calls(small=True),
        refused=(
            Refused(Call({"x": X}, {"repeats": -1}), ValueError, "repeat: repeats must be one or 6 numbers"),
            Refused(
                Call({"x": X}, {"repeats": (1, 2), "axis": 1}), ValueError, "repeat: repeats must be one or 3 numbers"
            ),
        ),
    ),
    OpSpec(
        op=rv.ops.pad,
        calls=pad_calls(),
        bound=exact,
        gradients=("x",),
        gradient_bound=added(rv.ops.pad, ("x",)),
        refused=(
            Refused(Call({"x": X}, {"pad_width": -1}), ValueError, "pad_width of axis 0 must not be negative or huge"),
            Refused(
                Call({"x": X}, {"pad_width": ((1, 1),) * 3}), ValueError, "does not give a pair for each of 2 axes"
            ),
            Refused(Call({"x": X}, {"pad_width": 1.5}), TypeError, "pad_width must hold integers"),
            Refused(Call({"x": X}, {"pad_width": 1, "mode": "wrap"}), ValueError, "mode must be 'constant'"),
            Refused(Call({"x": X[:0]}, {"pad_width": 1, "mode": "edge"}), ValueError, "cannot be padded by (1, 1)"),
        ),
    ),
    OpSpec(
        op=rv.ops.flip,
        calls=flip_calls(),
        bound=exact,
        gradients=("x",),
        gradient_bound=moved,
        gradient_calls=flip_calls(small=True),
        refused=(Refused(Call({"x": X}, {"axis": 2}), ValueError, "flip: axis 2 is out of range for shape (2, 3)"),),
    ),
    OpSpec(
        op=rv.ops.get_item,
        calls=item_calls(),
        bound=exact,
        gradients=("x",),
        gradient_bound=added(rv.ops.get_item, ("x",)),
        gradient_calls=item_calls(small=True),
        refused=(
            Refused(Call({"x": X}, {"key": 2}), IndexError, "index 2 is out of range for axis 0 of shape (2, 3)"),
            Refused(Call({"x": X}, {"key": (0, [0, -4])}), IndexError, "index -4 is out of range for axis 1"),
            Refused(Call({"x": X}, {"key": (0, 0, 0)}), IndexError, "3 indices are too many for an array of rank 2"),
            Refused(Call({"x": X}, {"key": (Ellipsis, Ellipsis)}), IndexError, "single ellipsis"),
            Refused(Call({"x": X}, {"key": np.ones(3, bool)}), IndexError, "a mask of shape (3,) does not fit"),
            Refused(Call({"x": X}, {"key": 0.5}), TypeError, "an index must be an integer, a slice"),
            Refused(Call({"x": X}, {"key": slice(None, None, 0)}), ValueError, "slice step cannot be zero"),
        ),
    ),
    OpSpec(
        op=rv.ops.take,
        calls=take_calls(),
        bound=exact,
        gradients=("x",),
        gradient_bound=added(rv.ops.take, ("x",)),
        gradient_calls=take_calls(small=True),
        refused=(
            Refused(Call({"x": X, "indices": np.asarray([0, 2])}, {"axis": 0}), ValueError, RANGE_OF_ROWS),
            Refused(Call({"x": X, "indices": np.asarray([-3])}, {"axis": 0}), ValueError, "index -3 at position 0"),
            Refused(
                Call({"x": X, "indices": np.asarray([0.0])}, {"axis": 0}), TypeError, "indices must be int32 or int64"
            ),
            Refused(Call({"x": X, "indices": np.asarray([0])}, {"axis": 2}), ValueError, "axis 2 is out of range"),
        ),
    ),
    OpSpec(
        op=rv.ops.scatter_add,
        calls=scatter_calls(),
        bound=scatter_bound,
        gradients=("x", "updates"),
        gradient_bound=moved,
        gradient_calls=scatter_calls(small=True),
        refused=(
            Refused(
                Call({"x": X, "indices": np.asarray([0, 2]), "updates": X}, {"axis": 0}), ValueError, RANGE_OF_ROWS
            ),
            Refused(
                Call({"x": X, "indices": np.asarray([0]), "updates": X}, {"axis": 0}),
                ValueError,
                "updates must have shape 1x3 but has shape 2x3",
            ),
            Refused(
                Call({"x": X > 0, "indices": np.asarray([0]), "updates": X[:1] > 0}, {"axis": 0}),
                TypeError,
                "x must be float32, float64, int32 or int64 but is bool",
            ),
        ),
    ),
    OpSpec(
        op=rv.ops.one_hot,
        calls=one_hot_calls(),
        bound=exact,
        refused=(
            Refused(
                Call({"x": np.asarray([0])}, {"num_classes": 0}), ValueError, "num_classes must be positive but is 0"
            ),
            Refused(Call({"x": np.asarray([0])}, {"num_classes": 2, "axis": 2}), ValueError, "axis 2 is out of range"),
            Refused(Call({"x": np.asarray([0.0])}, {"num_classes": 2}), TypeError, "x must be int32 or int64"),
            Refused(Call({"x": np.asarray([0])}, {"num_classes": 2, "dtype": "int7"}), TypeError, "int7"),
        ),
    ),
    OpSpec(
        op=rv.ops.arange,
        calls=range_calls(),
        bound=exact,
        refused=(
            Refused(Call({}, {"start": 0, "stop": 5, "step": 0}), ValueError, "from 0 to 5 by 0 is not a finite range"),
            Refused(Call({}, {"start": np.inf}), ValueError, "from 0 to inf by 1 is not a finite range"),
            Refused(Call({}, {"start": "a"}), TypeError, "must be real number"),
        ),
    ),
    OpSpec(op=rv.ops.zeros_like, calls=like_calls(), bound=exact),
    OpSpec(op=rv.ops.ones_like, calls=like_calls(), bound=exact),
    OpSpec(op=rv.ops.full, calls=full_calls(), bound=exact),
]
