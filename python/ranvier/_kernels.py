"""Which functions compute: ``_core``'s kernels, or the NumPy reference behind the same names and checks."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranvier import _core, reference


def _as_numpy(value: Any) -> Any:
    """NumPy views of the arrays in an argument, however nested; bfloat16 as its bits in uint16."""
    if isinstance(value, _core.Array):
        return value.numpy()
    if isinstance(value, (list, tuple)):
        return type(value)(_as_numpy(item) for item in value)
    return value


def _fill(name: str, outputs: Any, results: Any) -> Any:
    """Copies what the reference computed into what the C++ op allocated; their shapes and dtypes must agree."""
    if isinstance(outputs, (tuple, list)):
        if len(outputs) != len(results):
            raise AssertionError(f"reference.{name} returned {len(results)} results, the op has {len(outputs)}")
        return type(outputs)(_fill(name, o, r) for o, r in zip(outputs, results, strict=True))
    if not isinstance(outputs, _core.Array):
        return results
    target = outputs.numpy()
    result = np.asarray(results)
    if result.shape != target.shape or result.dtype != target.dtype:
        raise AssertionError(
            f"reference.{name} gave {result.dtype} {result.shape}, the op infers {target.dtype} {target.shape}"
        )
    target[...] = result
    return outputs


class _ReferenceKernels:
    """The functions of ``_core``, computed by ``ranvier.reference``.

    The C++ op runs first: on arrays of the reference device it checks its arguments and allocates its outputs,
    but computes nothing. An op that returns nothing works in place; so does its reference, on NumPy views.
    """

    def __getattr__(self, name: str) -> Any:
        checked = getattr(_core, name)
        computed = getattr(reference, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            outputs = checked(*args, **kwargs)
            views = {key: _as_numpy(value) for key, value in kwargs.items()}
            with np.errstate(all="ignore"):  # NaN and Inf travel silently, as in the kernels
                results = computed(*(_as_numpy(arg) for arg in args), **views)
            return None if outputs is None else _fill(name, outputs, results)

        setattr(self, name, call)
        return call


reference_kernels = _ReferenceKernels()


def kernels_for(array: _core.Array) -> Any:
    """The functions that compute on ``array``'s device."""
    return reference_kernels if array.on_reference else _core


def kernels_on(device: str) -> Any:
    """The same by the device's name, for functions that make arrays from nothing."""
    return reference_kernels if device == "reference" else _core
