"""How far rounding may take each optimizer step: an error for each intermediate, in the order of the kernel."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.opspec import Call, smallest


class Step:
    """A call's arrays and options, with the gradient as the kernel uses it and the decayed parameter."""

    def __init__(self, call: Call, eps: float) -> None:
        self.eps = eps
        options = dict(call.options)
        self.cut, self.rate = options.pop("cut"), options["learning_rate"]
        self.options = options
        self.arrays = {k: np.asarray(v, np.float64) for k, v in call.arrays.items() if v is not None}
        self.g = self._clipped(self.arrays["gradients"] * options.get("gradient_scale", 1.0))
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
