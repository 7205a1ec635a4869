"""OpSpec: what inputs of an op are legal, what must be refused, and how exact its answers are.

One spec per op stands in ``tests/specs/<family>.py``; ``tests/ops/test_specs.py`` generates from each the
forward, gradient, integer, NaN, bad-input and fuzz tests for every instruction set, thread count and device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

import ranvier as rv


@dataclass
class Call:
    """One call of an op: its tensor arguments (floating ones in float64) and its plain options, by name."""

    arrays: dict[str, np.ndarray | None]
    options: dict[str, Any] = field(default_factory=dict)

    def rounded(self, dtype: str) -> Call:
        """The same call with floating arguments rounded to ``dtype`` (still held in it)."""
        return Call({k: _as_dtype(v, dtype) for k, v in self.arrays.items()}, self.options)

    def absolute(self) -> Call:
        """The same call with floating arguments replaced by their absolute values, in float64."""
        arrays = {k: np.abs(_as_dtype(v, "float64")) if _floating(v) else v for k, v in self.arrays.items()}
        return Call(arrays, self.options)


def _floating(value: Any) -> bool:
    return value is not None and np.asarray(value).dtype.kind == "f"


def _as_dtype(value: Any, dtype: str) -> Any:
    return np.asarray(value, dtype) if _floating(value) else value


@dataclass(frozen=True)
class Refused:
    """A call that must raise ``error`` with a message that contains ``match`` (plain text)."""

    call: Call
    error: type[Exception]
    match: str


# bound(call, expected, eps) -> absolute error allowed, per output, as an array or a number that broadcasts
# against that output. ``call`` holds the rounded inputs; ``eps`` is np.finfo(dtype).eps.
Bound = Callable[[Call, list[np.ndarray], float], list[Any]]
# gradient_bound(call, output_gradients, expected, eps) -> the same, by argument name
GradientBound = Callable[[Call, list[np.ndarray], dict[str, np.ndarray], float], dict[str, Any]]


@dataclass(frozen=True)
class OpSpec:
    """What the suite must know of one op; see the module's docstring."""

    op: Callable[..., Any]
    calls: st.SearchStrategy[Call]
    bound: Bound
    gradients: tuple[str, ...] = ()
    gradient_bound: GradientBound | None = None
    gradient_calls: st.SearchStrategy[Call] | None = None  # smaller, away from kinks: for central differences
    watched_calls: st.SearchStrategy[Call] | None = None  # for the simulator, where no call of ``calls`` is small
    integers: st.SearchStrategy[Call] | None = None  # calls whose float results are exact
    refused: tuple[Refused, ...] = ()
    twice: bool = False  # differentiable twice (create_graph)
    nan: bool = True  # check that NaN and Inf travel as in the reference
    properties: tuple[Callable[[Call, list[np.ndarray]], None], ...] = ()
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or self.op.__name__)


# --- strategies -----------------------------------------------------------------------------------------


def normal(shape: tuple[int, ...], seed: int, scale: float = 1.0) -> np.ndarray:
    """float64 normal numbers. (Drawing a seed instead of each element keeps examples fast to make and shrink.)"""
    return np.random.default_rng(seed).normal(size=shape) * scale


seeds = st.integers(0, 2**32 - 1)


def shapes(min_rank: int = 0, max_rank: int = 4, min_side: int = 0, max_side: int = 9) -> st.SearchStrategy[Any]:
    """Shapes with odd, one and (if ``min_side`` is 0) zero sides."""
    return st.lists(st.integers(min_side, max_side), min_size=min_rank, max_size=max_rank).map(tuple)


# --- bounds -----------------------------------------------------------------------------------------------

TINY = 1e-300


def gamma(k: float, eps: float) -> float:
    """Higham's gamma_k: the relative error of k roundings, u = eps / 2."""
    u = eps / 2
    assert k * u < 0.5, "the bound means nothing for a sum this long"
    return k * u / (1 - k * u)


def ulps(count: float) -> Bound:
    """Within ``count`` units in the last place of each element."""
    return lambda call, expected, eps: [count * eps * np.abs(e) + smallest(eps) for e in expected]


def smallest(eps: float) -> float:
    """A few times the smallest normal number of the dtype with this eps: the floor of relative bounds."""
    return 4 * float(np.finfo(np.float32 if eps > 1e-10 else np.float64).tiny)


def linear_bound(op: Callable[..., Any], length: Callable[[Call], int]) -> Bound:
    """For sums of products of ``length(call)`` terms: gamma times the op on absolute values."""

    def bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
        magnitude = run(op, call.absolute(), "float64", "reference")
        return [gamma(length(call) + 2, eps) * np.abs(m) + smallest(eps) for m in magnitude]

    return bound


def linear_gradient_bound(
    op: Callable[..., Any], gradients: tuple[str, ...], lengths: Callable[[Call], dict[str, int]]
) -> GradientBound:
    """The same for gradients that are sums of products: the gradient on absolute values, times gamma."""

    def bound(call: Call, dys: list[np.ndarray], expected: dict[str, np.ndarray], eps: float) -> dict[str, Any]:
        magnitude = run_backward(op, call.absolute(), gradients, [np.abs(d) for d in dys], "float64", "reference")
        length = lengths(call)
        return {k: gamma(length[k] + 2, eps) * np.abs(m) + smallest(eps) for k, m in magnitude.items()}

    return bound


# --- running ops ------------------------------------------------------------------------------------------


def tensors_of(call: Call, dtype: str, device: str, requiring: tuple[str, ...] = ()) -> dict[str, Any]:
    """The call's arrays as tensors, floating ones in ``dtype``; those named require gradients."""
    return {
        k: None if v is None else rv.Tensor(_as_dtype(v, dtype), device=device, requires_grad=k in requiring)
        for k, v in call.arrays.items()
    }


def _outputs(result: Any) -> list[Any]:
    return list(result) if isinstance(result, (tuple, list)) else [result]


def run(op: Callable[..., Any], call: Call, dtype: str, device: str) -> list[np.ndarray]:
    """The op's outputs as NumPy arrays."""
    with rv.device(device), rv.no_grad():
        return [o.numpy() for o in _outputs(op(**tensors_of(call, dtype, device), **call.options))]


def output_gradients(op: Callable[..., Any], call: Call, seed: int) -> list[np.ndarray]:
    """Random gradients for the floating outputs of a call."""
    outputs = run(op, call, "float64", "reference")
    return [normal(o.shape, seed + i) for i, o in enumerate(outputs) if o.dtype.kind == "f"]


def run_backward(
    op: Callable[..., Any],
    call: Call,
    gradients: tuple[str, ...],
    dys: list[np.ndarray],
    dtype: str,
    device: str,
) -> dict[str, np.ndarray]:
    """Gradients of sum(dy * output) with respect to the named arguments (zeros where nothing depends on one)."""
    present = tuple(k for k in gradients if _floating(call.arrays[k]))  # an op of any dtype may be given integers
    with rv.device(device):
        tensors = tensors_of(call, dtype, device, present)
        outputs = [o for o in _outputs(op(**tensors, **call.options)) if o.dtype in ("float32", "float64")]
        upstream = [rv.Tensor(_as_dtype(d, dtype), device=device) for d in dys]
        found = rv.grad(outputs, [tensors[k] for k in present], upstream, allow_unused=True)
    zeros = {k: np.zeros(tensors[k].shape, dtype) for k in present}
    return {k: zeros[k] if g is None else g.numpy() for k, g in zip(present, found, strict=True)}
