"""Cross-entropies from logits, and regression losses."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import ranvier as rv
from tests.opspec import Call, OpSpec, Refused, gamma, seeds, shapes, smallest

# --- softmax cross-entropy ----------------------------------------------------------------------------------


@st.composite
def class_calls(draw: Any, max_side: int = 70, scale: float = 30.0, weights: bool | None = None) -> Call:
    """Labels as classes (int32, int64) or as weights: one-hot, probabilities, or any numbers that are not negative."""
    outer = draw(shapes(0, 2, 0, 9 if max_side > 9 else 3))  # small ones are for central differences
    classes = draw(st.integers(1, max_side))
    rng = np.random.default_rng(draw(seeds))
    logits = rng.normal(size=(*outer, classes)) * scale
    labels = rng.integers(0, classes, outer).astype(draw(st.sampled_from(["int32", "int64"])))
    if draw(st.booleans()) if weights is None else weights:
        kind = draw(st.sampled_from(["one-hot", "probabilities", "any"]))
        if kind == "one-hot":
            labels = (labels[..., None] == np.arange(classes)).astype(np.float64)
        else:
            labels = rng.random((*outer, classes)) * 2
            labels = labels / labels.sum(-1, keepdims=True) if kind == "probabilities" else labels
    smoothing = draw(st.sampled_from([0.0, 0.0, 0.1, 1.0]))
    return Call({"labels": labels, "logits": logits}, {"label_smoothing": smoothing})


class Row:
    """The quantities of a call that its error bounds are made of, in float64."""

    def __init__(self, call: Call) -> None:
        logits, labels = np.asarray(call.arrays["logits"], np.float64), np.asarray(call.arrays["labels"])
        self.classes, smoothing = logits.shape[-1], call.options["label_smoothing"]
        weights = labels if labels.dtype.kind == "f" else (labels[..., None] == np.arange(self.classes)) * 1.0
        self.targets = weights.astype(np.float64) * (1 - smoothing) + smoothing / self.classes
        self.total = self.targets.sum(-1, keepdims=True)
        self.shift = np.abs(logits - logits.max(-1, keepdims=True))
        self.p = rv.reference.softmax_forward(logits)
        self.logsum = np.log(np.exp(-self.shift).sum(-1, keepdims=True))

    def logsum_error(self, eps: float) -> np.ndarray:
        """exp of a rounded difference d has the relative error |d| eps; the rest is the sum's and the logarithm's."""
        from_exp = eps * (self.p * self.shift).sum(-1, keepdims=True)
        return from_exp + gamma(self.classes + 8, eps) + eps * self.logsum


def softmax_cross_entropy_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    row = Row(call)
    terms = (row.targets * (row.logsum + row.shift)).sum(-1)
    return [(row.total * row.logsum_error(eps))[..., 0] + gamma(row.classes + 6, eps) * terms + smallest(eps)]


def softmax_cross_entropy_gradient_bound(
    call: Call, dys: list[np.ndarray], expected: dict[str, np.ndarray], eps: float
) -> dict[str, Any]:
    row = Row(call)
    dy = np.abs(dys[0])[..., None]
    smoothing = call.options["label_smoothing"]
    relative = row.logsum_error(eps) + eps * (row.shift + row.logsum + 4) + gamma(row.classes + 4, eps)
    one = 0 if np.asarray(call.arrays["labels"]).dtype.kind == "f" else 1 - smoothing  # taken off in a step of its own
    dlogits = dy * (relative * row.p * row.total + 6 * eps * (row.p * row.total + row.targets + one))
    dlabels = dy * (row.logsum_error(eps) + 6 * eps * (row.shift + row.logsum))
    return {"logits": dlogits + smallest(eps), "labels": dlabels + smallest(eps)}


def never_negative(call: Call, outputs: list[np.ndarray]) -> None:
    assert not (outputs[0] < 0).any()  # NaN: a mean of nothing


LOGITS = np.zeros((2, 3))
CLASS_REFUSED = (
    Refused(
        Call({"labels": np.array([0, 3], np.int32), "logits": LOGITS}),
        ValueError,
        "softmax_cross_entropy: label 3 at position 1 is out of range for 3 classes; expected 0 to 2",
    ),
    Refused(Call({"labels": np.array([-1, 0], np.int64), "logits": LOGITS}), ValueError, "label -1 at position 0"),
    Refused(Call({"labels": np.array([2**40, 0], np.int64), "logits": LOGITS}), ValueError, "label 1099511627776"),
    Refused(Call({"labels": np.zeros((2, 2)), "logits": LOGITS}), ValueError, "must have shape 2x3 but has shape 2x2"),
    Refused(Call({"labels": np.zeros(3, np.int32), "logits": LOGITS}), ValueError, "must have shape 2 but has shape 3"),
    Refused(Call({"labels": np.zeros(2, np.uint8), "logits": LOGITS}), TypeError, "labels must be int32 or int64"),
    Refused(Call({"labels": np.zeros(2, np.int32), "logits": np.zeros((2, 0))}), ValueError, "one class or more"),
    Refused(Call({"labels": np.zeros((), np.int32), "logits": np.float64(0)}), ValueError, "rank 1 or more"),
    Refused(
        Call({"labels": np.zeros(2, np.int32), "logits": LOGITS}, {"label_smoothing": 1.5}),
        ValueError,
        "label_smoothing must be between 0 and 1 but is 1.5",
    ),
)

# --- element by element and row by row ----------------------------------------------------------------------


@st.composite
def pair_calls(
    draw: Any,
    name: str,
    min_rank: int = 1,
    scale: float = 3.0,
    apart: bool = False,
    options: dict[str, Any] | None = None,
) -> Call:
    """Two arrays of one shape; ``apart`` keeps their difference off the kinks at 0 and +-delta."""
    shape = draw(shapes(min_rank, 3, 0, 3 if apart else 20))
    if shape and draw(st.integers(0, 3)) == 0:
        shape = (*shape[:-1], 1)  # rows of one element have kernels of their own
    rng = np.random.default_rng(draw(seeds))
    labels = rng.normal(size=shape) * scale
    others = rng.normal(size=shape) * scale
    if apart:
        others = labels + rng.choice([-2.0, -0.5, 0.3, 1.7], shape)
    drawn = {k: draw(v) for k, v in (options or {}).items()}
    return Call({"labels": labels, name: others}, drawn)


@st.composite
def probability_calls(draw: Any, scale: float = 20.0, max_side: int = 40) -> Call:
    shape = draw(shapes(0, 3, 0, max_side))
    rng = np.random.default_rng(draw(seeds))
    labels = rng.random(shape) if draw(st.booleans()) else rng.integers(0, 2, shape).astype(np.float64)
    return Call({"labels": labels, "logits": rng.normal(size=shape) * scale})


def sigmoid_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    z, y = (np.asarray(call.arrays[k], np.float64) for k in ("logits", "labels"))
    tail = np.log1p(np.exp(-np.abs(z)))  # exp has the relative error of its argument's rounding: none, -|z| is exact
    return [2 * eps * (np.abs(z) + np.abs(z * y)) + 8 * eps * tail + eps * np.abs(expected[0]) + smallest(eps)]


def sigmoid_gradient_bound(
    call: Call, dys: list[np.ndarray], expected: dict[str, np.ndarray], eps: float
) -> dict[str, Any]:
    z, y = (np.asarray(call.arrays[k], np.float64) for k in ("logits", "labels"))
    p = 1 / (1 + np.exp(-np.clip(z, -700, 700)))
    dy = np.abs(dys[0])
    return {
        "logits": dy * eps * (6 * p + 2 * np.abs(p - y) + np.abs(y)) + smallest(eps),
        "labels": eps * np.abs(expected["labels"]) + smallest(eps),
    }


def regression_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    """Every term is a function of a rounded difference, never negative but for huber's cancelling constant."""
    columns = call.arrays["predictions"].shape[-1]  # type: ignore[union-attr]
    delta = call.options.get("delta", 0.0)
    return [gamma(columns + 8, eps) * (np.abs(expected[0]) + delta * delta) + smallest(eps)]


def regression_gradient_bound(
    call: Call, dys: list[np.ndarray], expected: dict[str, np.ndarray], eps: float
) -> dict[str, Any]:
    return {k: 4 * eps * np.abs(v) + smallest(eps) for k, v in expected.items()}


def pair_refused(name: str, op: str) -> tuple[Refused, ...]:
    return (
        Refused(
            Call({"labels": np.zeros((3, 1)), name: np.zeros(3)}), ValueError, f"{op}: labels must have shape 3 but has"
        ),
        Refused(Call({"labels": np.zeros(3, np.int32), name: np.zeros(3)}), TypeError, f"{name} is float64 but labels"),
        Refused(Call({"labels": np.zeros(3, np.int32), name: np.zeros(3, np.int32)}), TypeError, "must be floating"),
    )


def regression_spec(op: Any, options: dict[str, Any] | None = None, refused: tuple[Refused, ...] = ()) -> OpSpec:
    return OpSpec(
        op=op,
        calls=pair_calls("predictions", options=options),
        bound=regression_bound,
        gradients=("labels", "predictions"),
        gradient_bound=regression_gradient_bound,
        gradient_calls=pair_calls("predictions", apart=True, options=options),
        refused=(
            *pair_refused("predictions", op.__name__),
            Refused(Call({"labels": np.float64(1), "predictions": np.float64(1)}), ValueError, "rank 1 or more"),
            *refused,
        ),
        properties=(never_negative,),
        twice=True,
    )


def huber_delta(delta: float) -> Refused:
    call = Call({"labels": np.zeros(3), "predictions": np.zeros(3)}, {"delta": delta})
    return Refused(call, ValueError, f"huber: delta must be positive and finite but is {delta:g}")


SPECS = [
    OpSpec(
        op=rv.ops.softmax_cross_entropy,
        calls=class_calls(),
        bound=softmax_cross_entropy_bound,
        gradients=("logits",),
        gradient_bound=softmax_cross_entropy_gradient_bound,
        gradient_calls=class_calls(max_side=4, scale=2.0),
        refused=CLASS_REFUSED,
        properties=(never_negative,),
        twice=True,
    ),
    OpSpec(
        op=rv.ops.softmax_cross_entropy,
        name="softmax_cross_entropy with weights",
        calls=class_calls(weights=True),
        bound=softmax_cross_entropy_bound,
        gradients=("labels", "logits"),
        gradient_bound=softmax_cross_entropy_gradient_bound,
        gradient_calls=class_calls(max_side=4, scale=2.0, weights=True),
        twice=True,
    ),
    OpSpec(
        op=rv.ops.sigmoid_cross_entropy,
        calls=probability_calls(),
        bound=sigmoid_bound,
        gradients=("labels", "logits"),
        gradient_bound=sigmoid_gradient_bound,
        gradient_calls=probability_calls(scale=2.0, max_side=3),
        refused=pair_refused("logits", "sigmoid_cross_entropy"),
        properties=(never_negative,),
        twice=True,
    ),
    regression_spec(rv.ops.mean_squared_error),
    regression_spec(rv.ops.mean_absolute_error),
    regression_spec(
        rv.ops.huber,
        {"delta": st.sampled_from([1.0, 0.25])},
        (huber_delta(0.0), huber_delta(-1.0), huber_delta(float("inf"))),
    ),
]
