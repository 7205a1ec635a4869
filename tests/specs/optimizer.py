"""Optimizer steps, as functions: the arrays are copied into lists of two tensors, stepped, and returned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

import ranvier as rv
from tests.opspec import Call, OpSpec, Refused, seeds
from tests.specs.optimizer_bounds import (
    adadelta_bound,
    adagrad_bound,
    adam_bound,
    adamax_bound,
    blend_bound,
    ftrl_bound,
    lamb_bound,
    lion_bound,
    nadam_bound,
    rmsprop_bound,
    sgd_bound,
)

Arrays = dict[str, np.ndarray]


def functional(step: Callable[..., None], name: str) -> Callable[..., list[rv.Tensor]]:
    """The step as a function of one array per list, each cut into two tensors: new parameters, then new state."""

    def cut_up(value: Any, cut: int) -> Any:
        if value is None:
            return None
        pieces = (value.numpy()[:cut], value.numpy()[cut:]) if value.ndim else (value.numpy(),)
        return [rv.Tensor(piece, device=value.device) for piece in pieces]

    def stepped(gradients: Any, parameters: Any, cut: int = 0, **arguments: Any) -> list[rv.Tensor]:
        lists = {k: cut_up(v, cut) for k, v in arguments.items() if v is None or isinstance(v, rv.Tensor)}
        options = {k: v for k, v in arguments.items() if k not in lists}
        if "gradient_scale" in options:  # and then the iteration may be on the device as well
            device = getattr(parameters, "device", "cpu")
            options["gradient_scale"] = rv.Tensor(np.float64(options["gradient_scale"]), device=device)
            if "iteration" in options:
                options["iteration"] = rv.Tensor(np.int64(options["iteration"]), device=device).array
        targets = cut_up(parameters, cut)
        step(targets, cut_up(gradients, cut), **lists, **options)
        return [t for group in (targets, *lists.values()) if group is not None for t in group]

    stepped.__name__ = name
    return stepped


# --- calls --------------------------------------------------------------------------------------------------

BASE_OPTIONS = {"learning_rate": st.sampled_from([0.1, 1e-3, 1.0, 0.0])}
PREPARATIONS: list[dict[str, float]] = [{}, {}, {"weight_decay": 0.01}, {"clipvalue": 0.5}, {"clipnorm": 1.0}]
PREPARATIONS += [{"global_clipnorm": 1.5, "weight_decay": 0.1}, {"global_clipnorm": 1e6}]
PREPARATIONS += [{"gradient_scale": 0.25}, {"gradient_scale": 0.0, "weight_decay": 0.1}]
PREPARATIONS += [{"gradient_scale": 2.0, "clipnorm": 1.0}, {"gradient_scale": 0.5, "global_clipnorm": 1.5}]


@st.composite
def calls(
    draw: Any, signed: tuple[str, ...], squares: tuple[str, ...], optional: tuple[str, ...], **options: Any
) -> Call:
    """State of both kinds (squares are never negative); sometimes longer than a chunk of the kernel."""
    size = draw(st.sampled_from([0, 1, 3, 16, 17, 40, 300, 40_000]))
    rng = np.random.default_rng(draw(seeds))
    arrays: dict[str, np.ndarray | None] = {
        "gradients": rng.normal(size=size) * draw(st.sampled_from([1.0, 100.0, 1e-4])),
        "parameters": rng.normal(size=size),
    }
    for name in signed + squares:
        fresh = draw(st.booleans())
        state = rng.normal(size=size) * (0 if fresh else 1)
        arrays[name] = state**2 if name in squares else state
    for name in optional:
        if draw(st.booleans()):
            arrays[name] = None
    drawn = {k: draw(v) for k, v in (BASE_OPTIONS | options).items()}
    if "momentum" in drawn and any(arrays[k] is None for k in optional if k != "average_gradients"):
        drawn["momentum"] = 0.0
    return Call(arrays, {"cut": draw(st.integers(0, size))} | drawn | draw(st.sampled_from(PREPARATIONS)))


# --- what must be refused -----------------------------------------------------------------------------------

THREE = {"gradients": np.ones(3), "parameters": np.ones(3)}


def refusals(op: str, state: tuple[str, ...], options: dict[str, Any]) -> tuple[Refused, ...]:
    arrays = THREE | {k: np.ones(3) for k in state}
    options = {"learning_rate": 0.1} | options

    def call(changed: dict[str, Any] | None = None, **changed_options: Any) -> Call:
        return Call(arrays | (changed or {}), options | changed_options)

    ints = {k: np.ones(3, np.int32) for k in arrays}
    return (
        Refused(call({"gradients": np.ones(2)}), ValueError, f"{op}: gradients[1] must have shape 3 but has shape 2"),
        Refused(call({"gradients": np.ones(3, np.float32)}), TypeError, "gradients[0] is float32"),
        Refused(call({"gradients": np.float64(1)}), ValueError, f"{op}: 1 gradients for 2 parameters"),
        Refused(call({"gradients": None}), TypeError, f"{op}: gradients must be a list of Tensors but is NoneType"),
        Refused(call(ints), TypeError, "parameters[0] must be floating"),
        Refused(call(learning_rate=float("nan")), ValueError, "learning_rate must be finite but is nan"),
        Refused(call(weight_decay=-1.0), ValueError, "weight_decay must be finite and not negative but is -1"),
        Refused(call(clipnorm=1.0, clipvalue=1.0), ValueError, "only one of clipnorm, clipvalue and global_clipnorm"),
        Refused(call(clipnorm=-1.0), ValueError, "clipnorm must be finite and not negative"),
        *(
            Refused(call({k: np.ones(4)}), ValueError, f"{op}: {k}[1] must have shape 3 but has shape 4")
            for k in state
        ),
    )  # fmt: skip


def refused_option(op: str, state: tuple[str, ...], match: str, **options: Any) -> Refused:
    return Refused(
        Call(THREE | {k: np.ones(3) for k in state}, {"learning_rate": 0.1} | options), ValueError, f"{op}: {match}"
    )


@st.composite
def whole_sgd(draw: Any) -> Call:
    size = draw(st.integers(0, 70))
    rng = np.random.default_rng(draw(seeds))
    arrays = {k: rng.integers(-9, 10, size).astype(float) for k in ("gradients", "parameters", "velocities")}
    return Call(arrays, {"cut": draw(st.integers(0, size)), "learning_rate": 2.0, "momentum": 1.0, "nesterov": True})


# --- the scale of a loss ------------------------------------------------------------------------------------


def scaled(gradients: Any, cut: int, scale: float, good_steps: int, growth_steps: int) -> rv.Tensor:
    """What a decision leaves: scale, good steps, steps taken, factor of the gradients."""
    if not isinstance(gradients, rv.Tensor) or not isinstance(good_steps, int) or abs(good_steps) > 2**62:
        raise TypeError("loss_scale_step: a tensor and counts, please")
    device, values = gradients.device, gradients.numpy()
    state = [rv.Tensor(v, device=device) for v in (np.float32(scale), np.int64(good_steps), np.int64(7), np.float64(3))]
    pieces = [rv.Tensor(piece, device=device) for piece in (values[:cut], values[cut:])]
    rv.ops.loss_scale_step(pieces, *state, growth_steps=growth_steps)
    return rv.Tensor(np.array([t.item() for t in state], values.dtype), device=device)


scaled.__name__ = "loss_scale_step"


@st.composite
def gradients_with_overflows(draw: Any) -> Call:
    size = draw(st.sampled_from([0, 1, 17, 300, 40_000]))
    values = np.random.default_rng(draw(seeds)).normal(size=size) * 1e30  # whose squares no float32 holds
    if size and draw(st.booleans()):
        values[draw(st.integers(0, size - 1))] = draw(st.sampled_from([np.inf, -np.inf, np.nan]))
    options = {"scale": draw(st.sampled_from([1.0, 2.0**15, 2.0**-3])), "good_steps": draw(st.integers(0, 2))}
    return Call({"gradients": values}, {"cut": draw(st.integers(0, size)), "growth_steps": 3} | options)


EPSILON = st.sampled_from([1e-7, 1e-3])
RHO = st.sampled_from([0.9, 0.95, 0.0, 0.5])
MOMENTUM = st.sampled_from([0.9, 0.5, 0.0, 1.0])

SPECS = [
    OpSpec(
        op=scaled,
        calls=gradients_with_overflows(),
        bound=lambda call, expected, eps: [np.zeros(4)],  # powers of two and counts
        refused=(
            Refused(
                Call({"gradients": np.ones(3)}, {"cut": 1, "scale": 2.0, "good_steps": 0, "growth_steps": 0}),
                ValueError,
                "loss_scale_step: growth_steps must be positive but is 0",
            ),
        ),
    ),
    OpSpec(
        op=functional(rv.ops.sgd_step, "sgd_step"),
        calls=calls(("velocities",), (), ("velocities",), momentum=MOMENTUM, nesterov=st.booleans()),
        bound=sgd_bound,
        integers=whole_sgd(),
        refused=(
            *refusals("sgd_step", ("velocities",), {"momentum": 0.9}),
            refused_option("sgd_step", (), "momentum needs velocities", momentum=0.9),
            refused_option("sgd_step", (), "momentum must be between 0 and 1 but is 2", momentum=2.0),
        ),
    ),
    OpSpec(
        op=functional(rv.ops.adagrad_step, "adagrad_step"),
        calls=calls((), ("accumulators",), (), epsilon=EPSILON),
        bound=adagrad_bound,
        refused=refusals("adagrad_step", ("accumulators",), {}),
    ),
    OpSpec(
        op=functional(rv.ops.adadelta_step, "adadelta_step"),
        calls=calls((), ("accumulated_gradients", "accumulated_deltas"), (), rho=RHO, epsilon=EPSILON),
        bound=adadelta_bound,
        refused=(
            *refusals("adadelta_step", ("accumulated_gradients", "accumulated_deltas"), {}),
            refused_option(
                "adadelta_step",
                ("accumulated_gradients", "accumulated_deltas"),
                "rho must be between 0 and 1 but is -1",
                rho=-1.0,
            ),
        ),
    ),
    OpSpec(
        op=functional(rv.ops.rmsprop_step, "rmsprop_step"),
        calls=calls(
            ("momentums", "average_gradients"),
            ("velocities",),
            ("momentums", "average_gradients"),
            rho=RHO,
            epsilon=EPSILON,
            momentum=MOMENTUM,
        ),
        bound=rmsprop_bound,
        refused=(
            *refusals("rmsprop_step", ("velocities", "momentums", "average_gradients"), {}),
            refused_option("rmsprop_step", ("velocities",), "momentum needs momentums", momentum=0.5),
        ),
    ),
    OpSpec(
        op=functional(rv.ops.adam_step, "adam_step"),
        calls=calls(
            ("momentums",),
            ("velocities", "max_velocities"),
            ("max_velocities",),
            epsilon=EPSILON,
            iteration=st.sampled_from([1, 2, 10, 100_000]),
            beta_1=st.sampled_from([0.9, 0.0, 0.5]),
            beta_2=st.sampled_from([0.999, 0.0, 0.9]),
        ),
        bound=adam_bound,
        refused=(
            *refusals("adam_step", ("momentums", "velocities"), {"iteration": 1}),
            refused_option(
                "adam_step",
                ("momentums", "velocities"),
                "iteration (counted from 1) must be positive but is 0",
                iteration=0,
            ),
            refused_option("adam_step", ("momentums", "velocities"), "beta_1 must be", iteration=1, beta_1=1.0),
        ),
    ),
    *(
        OpSpec(
            op=functional(step, name),
            calls=calls(
                ("momentums",),
                (second,),
                (),
                epsilon=EPSILON,
                iteration=st.sampled_from([1, 2, 10, 1000]),
                beta_1=st.sampled_from([0.9, 0.0, 0.5]),
                beta_2=st.sampled_from([0.999, 0.0, 0.9]),
            ),
            bound=bound,
            refused=(
                *refusals(name, ("momentums", second), {"iteration": 1}),
                refused_option(name, ("momentums", second), "iteration (counted from 1) must be positive", iteration=0),
                refused_option(name, ("momentums", second), "beta_2 must be", iteration=1, beta_2=1.0),
            ),
        )
        for name, step, second, bound in (
            ("nadam_step", rv.ops.nadam_step, "velocities", nadam_bound),
            ("adamax_step", rv.ops.adamax_step, "norms", adamax_bound),
            ("lamb_step", rv.ops.lamb_step, "velocities", lamb_bound),
        )
    ),
    OpSpec(
        op=functional(rv.ops.lion_step, "lion_step"),
        calls=calls(("momentums",), (), (), beta_1=MOMENTUM, beta_2=MOMENTUM),
        bound=lion_bound,
        refused=(
            *refusals("lion_step", ("momentums",), {}),
            refused_option("lion_step", ("momentums",), "beta_1 must be between 0 and 1 but is 2", beta_1=2.0),
        ),
    ),
    OpSpec(
        op=functional(rv.ops.ftrl_step, "ftrl_step"),
        calls=calls(
            ("linears",),
            ("accumulators",),
            (),
            learning_rate=st.sampled_from([0.1, 1e-3, 1.0]),
            learning_rate_power=st.sampled_from([-0.5, -0.5, -0.25, -1.0, 0.0]),
            l1=st.sampled_from([0.0, 0.5]),
            l2=st.sampled_from([0.0, 0.1]),
            l2_shrinkage=st.sampled_from([0.0, 0.1]),
            beta=st.sampled_from([0.0, 0.5]),
        ),
        bound=ftrl_bound,
        refused=(
            *refusals("ftrl_step", ("accumulators", "linears"), {}),
            refused_option("ftrl_step", ("accumulators", "linears"), "l1 must be finite and not negative", l1=-1.0),
            refused_option(
                "ftrl_step",
                ("accumulators", "linears"),
                "learning_rate_power must be finite and not positive but is 1",
                learning_rate_power=1.0,
            ),
        ),
    ),
    OpSpec(
        op=functional(rv.ops.blend_step, "blend_step"),
        calls=calls(
            (), (), (), keep=st.sampled_from([1.0, 0.99, 0.0, -0.5]), add=st.sampled_from([1.0, 0.01, 0.0, -0.5])
        ),
        bound=blend_bound,
        refused=refusals("blend_step", (), {"keep": 1.0, "add": 1.0}),
    ),
]
