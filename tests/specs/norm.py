"""Batch normalisation, training (with its moving statistics as outputs) and inference."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import ranvier as rv
from tests.opspec import Call, OpSpec, Refused, gamma, seeds, shapes, smallest


def batch_norm(
    x: Any, gamma: Any, beta: Any, moving_mean: Any, moving_variance: Any, **options: Any
) -> tuple[rv.Tensor, rv.Tensor, rv.Tensor]:
    """The op on copies of the moving statistics, which are outputs too."""
    if isinstance(moving_mean, rv.Tensor) and isinstance(moving_variance, rv.Tensor):
        moving_mean, moving_variance = (rv.Tensor(m.numpy(), device=m.device) for m in (moving_mean, moving_variance))
    y = rv.ops.batch_norm(x, gamma, beta, moving_mean, moving_variance, **options)
    return y, moving_mean, moving_variance


@st.composite
def calls(draw: Any, training: bool, max_side: int = 40, offset: float = 10.0, momenta: Any = (0.99, 0.0, 1.0)) -> Call:
    """Any number of rows and channels, constant columns among them, means far from zero, sometimes several blocks."""
    shape = (*draw(shapes(0, 3, 0, max_side // 5)), draw(st.integers(0, max_side)))
    if max_side > 9 and draw(st.integers(0, 4)) == 0:
        shape = draw(st.sampled_from([(70, 300), (1700, 10), (20_001, 1), (3, 181, 33)]))
    rng = np.random.default_rng(draw(seeds))
    channels = shape[-1]
    x = rng.normal(size=shape) * 3 + rng.normal(size=channels) * offset
    if channels and draw(st.booleans()):
        x[..., 0] = 3.0
    arrays: dict[str, Any] = {
        "x": x,
        "gamma": rng.normal(size=channels) if draw(st.booleans()) else None,
        "beta": rng.normal(size=channels) if draw(st.booleans()) else None,
        "moving_mean": rng.normal(size=channels),
        "moving_variance": rng.random(channels) + 0.5,
    }
    epsilon, momentum = draw(st.sampled_from([1e-3, 0.1])), draw(st.sampled_from(momenta))
    call = Call(arrays, {"training": training, "momentum": momentum, "epsilon": epsilon})
    if draw(st.booleans()) and (max_side > 5 or away_from_zero(call)):
        call.options["activation"] = "relu"
    return call


def away_from_zero(call: Call) -> bool:
    """Whether no sum lies so near the kink of relu that a central difference would step over it."""
    return bool(np.all(np.abs(Statistics(call, 1e-16).sum) > 0.05))


class Statistics:
    """Mean and variance per channel, in float64, and bounds of their errors."""

    def __init__(self, call: Call, eps: float) -> None:
        arrays = {k: None if v is None else np.asarray(v, np.float64) for k, v in call.arrays.items()}
        self.x = arrays["x"]
        channels = self.x.shape[-1]
        rows = self.x.reshape(-1, channels) if self.x.size else np.zeros((0, channels))
        self.rows = len(rows)
        self.reduction_error = gamma(self.rows + 20, eps)
        self.scale = np.ones(channels) if arrays["gamma"] is None else arrays["gamma"]
        self.beta = np.zeros(channels) if arrays["beta"] is None else arrays["beta"]
        if call.options["training"] and self.rows:
            self.mean, self.variance = rows.mean(0), rows.var(0)
            size = np.abs(rows).mean(0)
            self.mean_error = self.reduction_error * size
            self.variance_error = (
                self.reduction_error * self.variance + self.mean_error**2 + 2 * eps * size * np.sqrt(self.variance)
            )
        else:
            self.mean, self.variance = arrays["moving_mean"], arrays["moving_variance"]
            self.mean_error = self.variance_error = np.zeros(channels)
        spread = self.variance + call.options["epsilon"]
        self.rstd = 1 / np.sqrt(spread)
        self.rstd_error = self.rstd * (0.6 * self.variance_error / spread + 3 * eps)
        self.centred = np.abs(self.x - self.mean)
        self.centred_error = self.mean_error + eps * (self.centred + np.abs(self.mean))
        self.sum = (self.x - self.mean) * self.rstd * self.scale + self.beta
        error = self.centred_error * self.rstd + self.centred * self.rstd_error + 3 * eps * self.centred * self.rstd
        self.sum_bound = np.abs(self.scale) * error + eps * (np.abs(self.sum) + np.abs(self.beta)) + smallest(eps)

    def gradients(self, call: Call, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """|dy| below relu, and the part of it that a sum within its error of 0 lets pass or not."""
        if call.options.get("activation") != "relu":
            return np.abs(dy), np.zeros_like(dy)
        unsure = np.abs(self.sum) <= self.sum_bound
        return np.abs(dy) * (unsure | (self.sum > 0)), np.abs(dy) * unsure


def bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    s = Statistics(call, eps)
    moved = [2 * eps * np.abs(call.arrays[k]) for k in ("moving_mean", "moving_variance")]  # type: ignore[arg-type]
    mean = s.mean_error + 3 * eps * np.abs(s.mean) + moved[0]
    variance = s.variance_error + 3 * eps * s.variance + moved[1]
    return [s.sum_bound, mean + smallest(eps), variance + smallest(eps)]


def gradient_bound(call: Call, dys: list[np.ndarray], expected: dict[str, np.ndarray], eps: float) -> dict[str, Any]:
    s = Statistics(call, eps)
    axes = tuple(range(s.x.ndim - 1))
    dy, unsure = s.gradients(call, np.asarray(dys[0], np.float64))
    total, along = dy.sum(axes), (dy * s.centred).sum(axes)
    along_error = (dy * s.centred_error).sum(axes) + s.reduction_error * along
    dgamma = along_error * s.rstd + along * s.rstd_error + 2 * eps * along * s.rstd
    dgamma = dgamma + (unsure * s.centred).sum(axes) * s.rstd
    dbeta = s.reduction_error * total + eps * total + unsure.sum(axes)
    slope = np.abs(s.scale) * s.rstd
    relative = s.rstd_error / s.rstd + 4 * eps
    dx = slope * (relative * dy + unsure) + eps * np.abs(expected["x"])
    if call.options["training"] and s.rows:
        normal, normal_error = s.centred * s.rstd, s.centred_error * s.rstd + s.centred * s.rstd_error
        inner = (total + normal * along * s.rstd) / s.rows
        inner_error = (dbeta + normal_error * along * s.rstd + normal * dgamma) / s.rows
        dx = dx + slope * (inner_error + (relative + 6 * eps) * inner)
    return {"x": dx + smallest(eps), "gamma": dgamma + smallest(eps), "beta": dbeta + smallest(eps)}


def stays_finite(call: Call, outputs: list[np.ndarray]) -> None:
    """Constant columns, single rows and no rows at all included."""
    assert np.isfinite(outputs[0]).all()


ONES = np.ones(3)
GOOD = {"x": np.ones((2, 3)), "gamma": ONES, "beta": ONES, "moving_mean": ONES, "moving_variance": ONES}


def refused(error: type[Exception], match: str, changed: dict[str, Any] | None = None, **options: Any) -> Refused:
    return Refused(Call(GOOD | (changed or {}), {"training": True} | options), error, match)


REFUSED = (
    refused(ValueError, "batch_norm: gamma must have shape 3 but has shape 2", {"gamma": np.ones(2)}),
    refused(ValueError, "batch_norm: beta must have shape 3 but has shape 3x1", {"beta": np.ones((3, 1))}),
    refused(ValueError, "moving_mean must have shape 3 but has shape 4", {"moving_mean": np.ones(4)}),
    refused(TypeError, "x is float64 but moving_variance is float32", {"moving_variance": np.ones(3, np.float32)}),
    refused(TypeError, "x must be floating", {"x": np.ones((2, 3), np.int32)}),
    refused(TypeError, "moving_mean must be a Tensor", {"moving_mean": None}),
    refused(ValueError, "rank 1 or more", {"x": np.float64(1)}),
    refused(ValueError, "momentum must be between 0 and 1 but is 1.5", momentum=1.5),
    refused(ValueError, 'activation must be "relu", "linear" or None but is "tanh"', activation="tanh"),
    refused(ValueError, "epsilon must be finite and not negative but is -1", epsilon=-1.0),
)


def spec(training: bool) -> OpSpec:
    return OpSpec(
        op=batch_norm,
        name=f"batch_norm {'training' if training else 'inference'}",
        calls=calls(training),
        bound=bound,
        gradients=("x", "gamma", "beta"),
        gradient_bound=gradient_bound,
        gradient_calls=calls(training, max_side=5, offset=1.0, momenta=(1.0,)),  # moving statistics have no gradient
        refused=REFUSED if training else (),
        properties=(stays_finite,),
        twice=True,
    )


SPECS = [spec(True), spec(False)]
