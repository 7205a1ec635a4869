"""The course's optimizers (curriculum F20 to F26, W19), each with its formula as printed.

They differ from ``rv.optimizers`` in where epsilon stands, in starting values and in corrections. Two of them are wrong
and say so: they are here to be run and seen failing. All are written with ops, one per line of the formula; for speed
take ``rv.optimizers``. The worked example after each: a constant gradient of 1, three steps of 0.1 from 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ranvier import autograd, ops
from ranvier.autograd import no_grad
from ranvier.optimizers.optimizer import LearningRate, Optimizer, check_fraction
from ranvier.saving.registry import register_serializable
from ranvier.tensor import Tensor, wrap
from ranvier.variable import Variable

__all__ = ["AMSGrad", "AdaDelta", "AdaGrad", "Adam", "GradientDescent", "Momentum", "Nesterov", "RMSProp"]


class _Classic(Optimizer):
    """The learning rate and options by name; state by the names of ``slot_groups``."""

    def __init__(self, learning_rate: LearningRate, options: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)
        for name, value in options.items():
            if name.startswith(("beta", "rho")):
                check_fraction(type(self).__name__, name, value)
            setattr(self, name, value)
        self._options = tuple(options)

    def state(self, name: str, variable: Variable) -> Variable:
        """The state called ``name`` of a variable."""
        return self._slots[name][self._get_variable_index(variable)]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **{name: getattr(self, name) for name in self._options}}

    def _count(self, dtype: str) -> Tensor:
        """t, the number of this step, from 1."""
        return wrap(self.update_count).astype(dtype)


def _root(s: Tensor, epsilon: float, inside: bool) -> Tensor:
    return ops.sqrt(s + epsilon) if inside else ops.sqrt(s) + epsilon


@register_serializable("classic")
class GradientDescent(_Classic):
    """theta <- theta - lr g (F17). Worked example: -0.3.

    >>> import ranvier as rv
    >>> w = rv.Variable([0.0])
    >>> rv.classic.optimizers.GradientDescent(0.1).apply([rv.Tensor([1.0])], [w])
    >>> round(w.numpy().item(), 4)
    -0.1
    """

    def __init__(self, learning_rate: LearningRate = 0.01, **kwargs: Any) -> None:
        super().__init__(learning_rate, {}, **kwargs)

    def update_step(self, gradient: Tensor, variable: Any, learning_rate: Tensor) -> None:
        self.assign_sub(variable, learning_rate * gradient)


@register_serializable("classic")
class Momentum(_Classic):
    """m <- beta m + lr g; theta <- theta - m (F20). The other printed form, v = -m, is the same.

    With a constant gradient the step tends to lr g / (1 - beta), ten times lr g at 0.9. Worked example: -0.561.

    >>> import ranvier as rv
    >>> rv.classic.optimizers.Momentum(0.1).beta
    0.9
    """

    slot_groups = (("momentum",),)

    def __init__(self, learning_rate: LearningRate = 0.01, beta: float = 0.9, **kwargs: Any) -> None:
        super().__init__(learning_rate, {"beta": beta}, **kwargs)

    beta: float

    def update_step(self, gradient: Tensor, variable: Any, learning_rate: Tensor) -> None:
        m = self.state("momentum", variable)
        self.assign(m, self.beta * m.detach() + learning_rate * gradient)
        self.assign_sub(variable, m.detach())


@register_serializable("classic")
class Nesterov(Momentum):
    """Momentum with the gradient of the place ahead (F21): m <- beta m + lr grad(theta - beta m); theta <- theta - m.

    ``step_on(function, variables)`` evaluates the gradient there; ``apply`` takes one that was. ``sign=+1`` is the
    formula as one book prints it, grad(theta + beta m): it looks behind and diverges on x^2 where this one converges.
    Keras's Nesterov (``rv.optimizers.SGD(nesterov=True)``) moves the place ahead itself. Worked example: -0.561.

    >>> import ranvier as rv
    >>> x = rv.Variable([1.0])
    >>> optimizer = rv.classic.optimizers.Nesterov(0.1)
    >>> optimizer.step_on(lambda: (x * x).sum(), [x])
    1.0
    >>> round(x.numpy().item(), 4)
    0.8
    """

    def __init__(self, learning_rate: LearningRate = 0.01, beta: float = 0.9, sign: int = -1, **kwargs: Any) -> None:
        if sign not in (-1, 1):
            raise ValueError(f"Nesterov: sign must be -1 (ahead) or 1 (as misprinted), got {sign!r}")
        super().__init__(learning_rate, beta, **kwargs)
        self.sign = sign
        self._options += ("sign",)

    def step_on(self, function: Callable[[], Tensor], variables: Sequence[Variable]) -> float:
        """One step on a function of the variables; gives its value at the place ahead, where the gradient is taken."""
        self.build(variables)
        places = [wrap(variable.array.copy()) for variable in variables]
        with no_grad():
            for variable in variables:
                variable.assign_add(self.sign * self.beta * self.state("momentum", variable).detach())
        value = function()
        gradients = autograd.grad(value, list(variables), allow_unused=True)
        for variable, place in zip(variables, places, strict=True):
            variable.assign(place)
        self.apply(gradients, variables)
        return float(value)


@register_serializable("classic")
class AdaGrad(_Classic):
    """s <- s + g^2; theta <- theta - lr g / sqrt(s + epsilon) (F22).

    ``inside=False`` puts epsilon outside the root. ``mean=True`` is the form with sigma = sqrt(mean of g^2) and a
    learning rate that falls as lr / sqrt(t): the same steps, but for epsilon; with ``falling=False`` it does not fall
    (-0.3). Epsilon 0 is the form without. Worked example: -0.228446.

    >>> import ranvier as rv
    >>> rv.classic.optimizers.AdaGrad(0.1).epsilon
    1e-10
    """

    slot_groups = (("squares",),)
    epsilon: float
    inside: bool
    mean: bool
    falling: bool

    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        epsilon: float = 1e-10,
        inside: bool = True,
        mean: bool = False,
        falling: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate, {"epsilon": epsilon, "inside": inside, "mean": mean, "falling": falling}, **kwargs
        )

    def update_step(self, gradient: Tensor, variable: Any, learning_rate: Tensor) -> None:
        s = self.state("squares", variable)
        self.assign_add(s, gradient * gradient)
        if not self.mean:
            self.assign_sub(variable, learning_rate * gradient / _root(s.detach(), self.epsilon, self.inside))
            return
        t = self._count(variable.dtype)
        rate = learning_rate / ops.sqrt(t) if self.falling else learning_rate
        self.assign_sub(variable, rate * gradient / _root(s.detach() / t, self.epsilon, self.inside))


@register_serializable("classic")
class RMSProp(_Classic):
    """s <- beta s + (1 - beta) g^2; theta <- theta - lr g / sqrt(s + epsilon) (F23).

    ``inside=False`` puts epsilon outside the root, as Keras 2 did. ``first="gradient"`` starts with sqrt(s) = |g| of
    the first step instead of 0: worked example -0.3 instead of -0.737738.

    >>> import ranvier as rv
    >>> rv.classic.optimizers.RMSProp(first="gradient").first
    'gradient'
    """

    slot_groups = (("squares",),)
    beta: float
    epsilon: float
    inside: bool
    first: str

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta: float = 0.9,
        epsilon: float = 1e-10,
        inside: bool = True,
        first: str = "zero",
        **kwargs: Any,
    ) -> None:
        if first not in ("zero", "gradient"):
            raise ValueError(f'RMSProp: first must be "zero" or "gradient", got {first!r}')
        super().__init__(learning_rate, {"beta": beta, "epsilon": epsilon, "inside": inside, "first": first}, **kwargs)

    def update_step(self, gradient: Tensor, variable: Any, learning_rate: Tensor) -> None:
        s = self.state("squares", variable)
        squares = self.beta * s.detach() + (1 - self.beta) * gradient * gradient
        if self.first == "gradient":  # at t = 1 all of g^2, without a look at the host
            start = ops.maximum(2.0 - self._count(variable.dtype), 0.0)
            squares = squares + start * self.beta * gradient * gradient
        self.assign(s, squares)
        self.assign_sub(variable, learning_rate * gradient / _root(s.detach(), self.epsilon, self.inside))


@register_serializable("classic")
class AdaDelta(_Classic):
    """theta <- theta + dx with dx = -sqrt(u + epsilon) / sqrt(s + epsilon) g (F24); s, u: running means of g^2, dx^2.

    ``of="parameters"`` takes u from theta^2 instead of dx^2, as one book prints it. Worked example: -0.013569.

    >>> import ranvier as rv
    >>> rv.classic.optimizers.AdaDelta().rho
    0.95
    """

    slot_groups = (("squares", "deltas"),)
    rho: float
    epsilon: float
    of: str

    def __init__(
        self,
        learning_rate: LearningRate = 1.0,
        rho: float = 0.95,
        epsilon: float = 1e-6,
        of: str = "updates",
        **kwargs: Any,
    ) -> None:
        if of not in ("updates", "parameters"):
            raise ValueError(f'AdaDelta: of must be "updates" or "parameters", got {of!r}')
        super().__init__(learning_rate, {"rho": rho, "epsilon": epsilon, "of": of}, **kwargs)

    def update_step(self, gradient: Tensor, variable: Any, learning_rate: Tensor) -> None:
        s, u = self.state("squares", variable), self.state("deltas", variable)
        self.assign(s, self.rho * s.detach() + (1 - self.rho) * gradient * gradient)
        root = _root(u.detach(), self.epsilon, True) / _root(s.detach(), self.epsilon, True)
        step = learning_rate * root * gradient
        self.assign_sub(variable, step)
        moved = variable.detach() if self.of == "parameters" else step
        self.assign(u, self.rho * u.detach() + (1 - self.rho) * moved * moved)


@register_serializable("classic")
class Adam(_Classic):
    """m, s: running means of g, g^2; theta <- theta - lr m' / (sqrt(s') + epsilon) (F25).

    m' = m / (1 - beta_1^t), s' = s / (1 - beta_2^t), the paper's (worked example -0.3). ``power=False`` leaves out the
    power t (-0.390924); ``in_place=True`` besides puts m' and s' in the place of m and s, epsilon inside the root, as
    one book prints it (-0.140727): its steps shrink away.

    >>> import ranvier as rv
    >>> rv.classic.optimizers.Adam().epsilon
    1e-08
    """

    slot_groups = (("momentum", "squares"),)
    beta_1: float
    beta_2: float
    epsilon: float
    power: bool
    in_place: bool

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        power: bool = True,
        in_place: bool = False,
        **kwargs: Any,
    ) -> None:
        if power and in_place:
            raise ValueError("Adam: the form in place has no power: give power=False with in_place=True")
        options = {
            "beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon, "power": power, "in_place": in_place,
        }  # fmt: skip
        super().__init__(learning_rate, options, **kwargs)

    def update_step(self, gradient: Tensor, variable: Any, learning_rate: Tensor) -> None:
        m, s = self.state("momentum", variable), self.state("squares", variable)
        t = self._count(variable.dtype) if self.power else 1.0
        self.assign(m, self.beta_1 * m.detach() + (1 - self.beta_1) * gradient)
        self.assign(s, self.beta_2 * s.detach() + (1 - self.beta_2) * gradient * gradient)
        m_hat = m.detach() / (1 - _raised(self.beta_1, t))
        s_hat = s.detach() / (1 - _raised(self.beta_2, t))
        if self.in_place:
            self.assign(m, m_hat)
            self.assign(s, s_hat)
        self.assign_sub(variable, learning_rate * m_hat / _root(s_hat, self.epsilon, self.in_place))


def _raised(beta: float, t: Any) -> Any:
    return ops.power(beta, t) if isinstance(t, Tensor) else beta**t


@register_serializable("classic")
class AMSGrad(_Classic):
    """Adam's m, s without corrections; top <- max(top, s); theta <- theta - lr m / sqrt(top) (F26; Reddi et al. 2018).

    ``epsilon`` is added to the root. Keras's (``rv.optimizers.Adam(amsgrad=True)``) corrects for the start, too.

    >>> import ranvier as rv
    >>> w = rv.Variable([0.0])
    >>> rv.classic.optimizers.AMSGrad(0.1).apply([rv.Tensor([1.0])], [w])
    >>> round(w.numpy().item(), 4)  # 0.1 * 0.1 / sqrt(0.001)
    -0.3162
    """

    slot_groups = (("momentum", "squares", "largest"),)
    beta_1: float
    beta_2: float
    epsilon: float

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}, **kwargs)

    def update_step(self, gradient: Tensor, variable: Any, learning_rate: Tensor) -> None:
        m, s, top = (self.state(name, variable) for name in self.slot_groups[0])
        self.assign(m, self.beta_1 * m.detach() + (1 - self.beta_1) * gradient)
        self.assign(s, self.beta_2 * s.detach() + (1 - self.beta_2) * gradient * gradient)
        self.assign(top, ops.maximum(top.detach(), s.detach()))
        self.assign_sub(variable, learning_rate * m.detach() / _root(top.detach(), self.epsilon, False))
