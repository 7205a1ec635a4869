"""Optimizer steps, as functions: the arrays are copied into lists of two tensors, stepped, and returned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

import ranvier as rv
from tests.opspec import Call, OpSpec, Refused, seeds, smallest

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
        targets = cut_up(parameters, cut)
        step(targets, cut_up(gradients, cut), **lists, **options)
        return [t for group in (targets, *lists.values()) if group is not None for t in group]

    stepped.__name__ = name
    return stepped


# --- calls --------------------------------------------------------------------------------------------------

BASE_OPTIONS = {"learning_rate": st.sampled_from([0.1, 1e-3, 1.0, 0.0])}
PREPARATIONS: list[dict[str, float]] = [{}, {}, {"weight_decay": 0.01}, {"clipvalue": 0.5}, {"clipnorm": 1.0}]
PREPARATIONS += [{"global_clipnorm": 1.5, "weight_decay": 0.1}, {"global_clipnorm": 1e6}]


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


# --- bounds: an error for each intermediate, in the order of the kernel -------------------------------------


class Step:
    """A call's arrays and options, with the gradient as the kernel uses it and the decayed parameter."""

    def __init__(self, call: Call, eps: float) -> None:
        self.eps = eps
        options = dict(call.options)
        self.cut, self.rate = options.pop("cut"), options["learning_rate"]
        self.options = options
        self.arrays = {k: np.asarray(v, np.float64) for k, v in call.arrays.items() if v is not None}
        self.g = self._clipped(self.arrays["gradients"])
        self.dg = 4 * eps * np.abs(self.g)
        p = self.arrays["parameters"]
        decay = self.rate * options.get("weight_decay", 0.0)
        self.p = p - p * decay
        self.dp = 3 * eps * (np.abs(p) + np.abs(p * decay))

    def _clipped(self, g: np.ndarray) -> np.ndarray:
        pieces = [g[: self.cut], g[self.cut :]]
        if "clipvalue" in self.options:
            return np.clip(g, -self.options["clipvalue"], self.options["clipvalue"])
        if "clipnorm" in self.options:
            limit = self.options["clipnorm"]
            return np.concatenate([x * min(1.0, limit / max(np.linalg.norm(x), 1e-300)) for x in pieces])
        if "global_clipnorm" in self.options:
            return g * min(1.0, self.options["global_clipnorm"] / max(np.linalg.norm(g), 1e-300))
        return g

    def results(self, update: np.ndarray, error: np.ndarray, **state: np.ndarray) -> list[Any]:
        """Bounds of the outputs: parameters, then the state that the call has, each in two pieces."""
        parameter = self.dp + error + self.eps * (np.abs(self.p) + 2 * np.abs(update))
        errors = [state[k] for k in self.arrays if k not in ("gradients", "parameters")]
        bounds = [b + smallest(self.eps) for b in (parameter, *errors)]
        return [piece for b in bounds for piece in (b[: self.cut], b[self.cut :])]


def sgd_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    s = Step(call, eps)
    pull, dpull = s.rate * s.g, s.rate * s.dg + 2 * eps * np.abs(s.rate * s.g)
    if "velocities" not in s.arrays:
        return s.results(pull, dpull)
    m, v = s.options["momentum"], s.arrays["velocities"]
    velocity = m * v - pull
    error = dpull + 3 * eps * np.abs(m * v) + eps * np.abs(velocity)
    if not s.options["nesterov"]:
        return s.results(velocity, error, velocities=error)
    step_error = m * error + 2 * eps * np.abs(m * velocity) + dpull
    return s.results(np.abs(m * velocity) + np.abs(pull), step_error, velocities=error)


def adagrad_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    s = Step(call, eps)
    total = s.arrays["accumulators"] + s.g**2
    with np.errstate(all="ignore"):
        update = np.abs(s.rate * s.g / np.sqrt(total + s.options["epsilon"]))
    return s.results(update, 14 * eps * update, accumulators=10 * eps * total)


def adadelta_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    s = Step(call, eps)
    rho, tiny = s.options["rho"], s.options["epsilon"]
    squares = rho * s.arrays["accumulated_gradients"] + (1 - rho) * s.g**2
    deltas = s.arrays["accumulated_deltas"]
    delta = np.sqrt(deltas + tiny) * np.abs(s.g) / np.sqrt(squares + tiny)
    moved = rho * deltas + (1 - rho) * delta**2
    states = {"accumulated_gradients": 12 * eps * squares, "accumulated_deltas": 40 * eps * moved}
    return s.results(s.rate * delta, 18 * eps * s.rate * delta, **states)


def rmsprop_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    s = Step(call, eps)
    rho, tiny = s.options["rho"], s.options["epsilon"]
    v = rho * s.arrays["velocities"] + (1 - rho) * s.g**2
    dv = 12 * eps * v
    spread, dspread = v, dv
    if "average_gradients" in s.arrays:
        old = s.arrays["average_gradients"]
        a = rho * old + (1 - rho) * s.g
        da = 6 * eps * (np.abs(rho * old) + np.abs((1 - rho) * s.g))
        spread = np.maximum(v - a**2, 0)
        dspread = dv + 2 * np.abs(a) * da + da**2 + eps * (a**2 + spread)
    step = np.abs(s.rate * s.g) / np.sqrt(spread + tiny)
    farthest = np.abs(s.rate * s.g) / np.sqrt(np.maximum(spread - dspread, 0) + tiny)
    error = farthest - step + 10 * eps * farthest
    states = {"velocities": dv}
    if "momentums" in s.arrays:
        carried = s.options["momentum"] * np.abs(s.arrays["momentums"])
        error = error + 3 * eps * (carried + step)
        step = step + carried
        states["momentums"] = error
    if "average_gradients" in s.arrays:
        states["average_gradients"] = da
    return s.results(step, error, **states)


def adam_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    s = Step(call, eps)
    o = s.options
    t, b1, b2 = o["iteration"], o["beta_1"], o["beta_2"]
    m, v = s.arrays["momentums"], s.arrays["velocities"]
    moved, spread = m + (1 - b1) * (s.g - m), v + (1 - b2) * (s.g**2 - v)
    dm = 7 * eps * (np.abs(m) + (1 - b1) * np.abs(s.g))
    dv = 10 * eps * (v + (1 - b2) * s.g**2)
    top = np.maximum(spread, s.arrays["max_velocities"]) if "max_velocities" in s.arrays else spread
    alpha = s.rate * np.sqrt(1 - b2**t) / (1 - b1**t)
    update = alpha * np.abs(moved) / (np.sqrt(top) + o["epsilon"])
    farthest = alpha * (np.abs(moved) + dm) / (np.sqrt(np.maximum(top - dv, 0)) + o["epsilon"])
    states = {"momentums": dm, "velocities": dv, "max_velocities": dv}
    return s.results(farthest, farthest - update + 10 * eps * farthest, **states)


def moments(s: Step) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Adam's two running means after the step, and their errors."""
    b1, b2 = s.options["beta_1"], s.options["beta_2"]
    m, v = s.arrays["momentums"], s.arrays.get("velocities", np.zeros(1))
    dm = 7 * s.eps * (np.abs(m) + (1 - b1) * np.abs(s.g))
    dv = 10 * s.eps * (v + (1 - b2) * s.g**2)
    return m + (1 - b1) * (s.g - m), v + (1 - b2) * (s.g**2 - v), dm, dv


def nadam_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    s = Step(call, eps)
    o, t = s.options, s.options["iteration"]
    m, v, dm, dv = moments(s)
    u = [o["beta_1"] * (1 - 0.5 * 0.96**i) for i in range(1, t + 2)]
    product = float(np.prod(u[:-1]))
    ahead, own = u[-1] / (1 - product * u[-1]), (1 - u[-2]) / (1 - product)
    correction = 1 / (1 - o["beta_2"] ** t)
    exact = np.abs(ahead * m + own * s.g)
    size = ahead * np.abs(m) + own * np.abs(s.g)
    root, low = np.sqrt(v * correction), np.sqrt(np.maximum(v - dv, 0) * correction)
    farthest = s.rate * (exact + ahead * dm + own * s.dg) / (low + o["epsilon"])
    error = farthest - s.rate * exact / (root + o["epsilon"]) + 10 * eps * s.rate * size / (low + o["epsilon"])
    return s.results(farthest, error, momentums=dm, velocities=dv)


def adamax_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    s = Step(call, eps)
    m, _, dm, _ = moments(s)
    norm = np.maximum(s.options["beta_2"] * s.arrays["norms"], np.abs(s.g))
    rate = s.rate / (1 - s.options["beta_1"] ** s.options["iteration"])
    farthest = rate * (np.abs(m) + dm) / (norm + s.options["epsilon"])
    error = rate * dm / (norm + s.options["epsilon"]) + 16 * eps * farthest
    return s.results(farthest, error, momentums=dm, norms=6 * eps * norm)


def lamb_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    """The trust ratio scales a tensor's update and, by the update's norm, brings the errors of all its elements."""
    s = Step(call, eps)
    o, t = s.options, s.options["iteration"]
    m, v, dm, dv = moments(s)
    c1, c2 = 1 / (1 - o["beta_1"] ** t), 1 / (1 - o["beta_2"] ** t)
    update = c1 * np.abs(m) / (np.sqrt(c2 * v) + o["epsilon"])
    farthest = c1 * (np.abs(m) + dm) / (np.sqrt(c2 * np.maximum(v - dv, 0)) + o["epsilon"])
    error = farthest - update + 12 * eps * farthest
    steps, errors = np.zeros_like(update), np.zeros_like(update)
    for piece in (slice(None, s.cut), slice(s.cut, None)):
        weight, norm = np.linalg.norm(s.p[piece]), np.linalg.norm(update[piece])
        dweight, dnorm = np.linalg.norm(s.dp[piece]) + 8 * eps * weight, np.linalg.norm(error[piece]) + 8 * eps * norm
        if norm <= dnorm:  # all rounding: nothing is promised
            errors[piece] = np.inf
            continue
        ratio, high = weight / norm, (weight + dweight) / (norm - dnorm)
        steps[piece] = s.rate * high * (update + error)[piece]
        errors[piece] = s.rate * (high * (update + error) - ratio * update)[piece] + 8 * eps * steps[piece]
    return s.results(steps, errors, momentums=dm, velocities=dv)


def lion_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    """Where rounding may turn the sign, the step may go the other way."""
    s = Step(call, eps)
    b1, b2, m = s.options["beta_1"], s.options["beta_2"], s.arrays["momentums"]
    way = b1 * m + (1 - b1) * s.g
    dway = 6 * eps * (np.abs(b1 * m) + (1 - b1) * np.abs(s.g))
    turned = np.where((np.abs(way) <= dway) & (dway > 0), 2 * s.rate, 2 * eps * s.rate)
    dm = 6 * eps * (np.abs(b2 * m) + (1 - b2) * np.abs(s.g))
    return s.results(np.full_like(s.g, s.rate), turned, momentums=dm)


def ftrl_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    s = Step(call, eps)
    o, rate, n = s.options, s.rate, s.arrays["accumulators"]
    q = -o["learning_rate_power"]
    moved = n + s.g**2
    dmoved = 10 * eps * moved
    before, after = n**q, moved**q
    dpowers = (6 + 12 * q) * eps * (before + after)
    pull = 2 * o["l2_shrinkage"] * np.abs(s.p)
    spread = (after - before) / rate
    z = s.arrays["linears"] + s.g + 2 * o["l2_shrinkage"] * s.p - spread * s.p
    size = np.abs(s.arrays["linears"]) + np.abs(s.g) + pull + np.abs(spread * s.p)
    shift = 2 * o["l2_shrinkage"] + np.abs(spread)
    dz = s.dg + shift * s.dp + dpowers / rate * (np.abs(s.p) + s.dp) + 8 * eps * size
    quadratic = after / rate + 2 * (o["l2"] + o["beta"] / (2 * rate))
    low = np.maximum(quadratic - dpowers / rate - 8 * eps * quadratic, 1e-300)
    top = np.maximum(np.abs(z) - o["l1"], 0)
    error = (top + dz) / low - top / quadratic + 4 * eps * (top + dz) / low
    s.p, s.dp = np.zeros_like(s.p), np.zeros_like(s.p)  # replaced, not moved
    return s.results(top / quadratic, error, accumulators=dmoved, linears=dz)


def blend_bound(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    s = Step(call, eps)
    keep, add = s.options["keep"], s.options["add"]
    error = abs(keep) * s.dp + abs(add) * s.dg + 4 * eps * (np.abs(keep * s.p) + np.abs(add * s.g))
    s.dp = np.zeros_like(s.p)
    return s.results(np.zeros_like(s.g), error + eps * np.abs(s.p))


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


EPSILON = st.sampled_from([1e-7, 1e-3])
RHO = st.sampled_from([0.9, 0.95, 0.0, 0.5])
MOMENTUM = st.sampled_from([0.9, 0.5, 0.0, 1.0])

SPECS = [
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
