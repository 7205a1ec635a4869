"""SGD, Adagrad, Adadelta, RMSprop, Adam and AdamW: Keras 3's arguments, defaults and formulas."""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier.optimizers.optimizer import LearningRate, Optimizer, check_fraction, shared
from ranvier.tensor import Tensor
from ranvier.variable import Variable

Slots = dict[str, list[Variable]]


class SGD(Optimizer):
    """Gradient descent, with ``momentum`` and ``nesterov``; see ``ops.sgd_step``. Source: Keras; curriculum F20, F21.

    >>> import ranvier as rv
    >>> w, g = rv.Variable([0.0]), rv.Tensor([1.0])
    >>> optimizer = rv.optimizers.SGD(0.1, momentum=0.9)
    >>> for _ in range(3):
    ...     optimizer.apply([g], [w])
    >>> round(w.numpy().item(), 4)
    -0.561
    """

    is_one_op = True
    slot_groups = (("momentum",),)

    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **shared(locals()))
        self.momentum = check_fraction("SGD", "momentum", momentum)
        self.nesterov = nesterov

    def _used_groups(self) -> tuple[tuple[str, ...], ...]:
        return self.slot_groups if self.momentum else ()

    def step(self, parameters: list[Tensor], gradients: list[Tensor], slots: Slots, **common: Any) -> None:
        ops.sgd_step(
            parameters, gradients, slots.get("momentum"), momentum=self.momentum, nesterov=self.nesterov, **common
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}


class Adagrad(Optimizer):
    """AdaGrad; see ``ops.adagrad_step``. Source: Keras; curriculum F22.

    >>> import ranvier as rv
    >>> w = rv.Variable([0.0])
    >>> rv.optimizers.Adagrad(0.1).apply([rv.Tensor([1.0])], [w])
    >>> round(w.numpy().item(), 4)
    -0.0953
    """

    is_one_op = True
    slot_groups = (("accumulator",),)

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **shared(locals()))
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def initial_value(self, slot: str) -> float:
        return self.initial_accumulator_value

    def step(self, parameters: list[Tensor], gradients: list[Tensor], slots: Slots, **common: Any) -> None:
        ops.adagrad_step(parameters, gradients, slots["accumulator"], epsilon=self.epsilon, **common)

    def get_config(self) -> dict[str, Any]:
        own = {"initial_accumulator_value": self.initial_accumulator_value, "epsilon": self.epsilon}
        return {**super().get_config(), **own}


class Adadelta(Optimizer):
    """AdaDelta; see ``ops.adadelta_step``. Source: Keras; curriculum F24.

    >>> import ranvier as rv
    >>> w = rv.Variable([0.0])
    >>> rv.optimizers.Adadelta(1.0).apply([rv.Tensor([1.0])], [w])
    >>> round(w.numpy().item(), 6)
    -0.001414
    """

    is_one_op = True
    slot_groups = (("accumulated_grad", "accumulated_delta_var"),)

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **shared(locals()))
        self.rho = check_fraction("Adadelta", "rho", rho)
        self.epsilon = epsilon

    def step(self, parameters: list[Tensor], gradients: list[Tensor], slots: Slots, **common: Any) -> None:
        squares, deltas = slots["accumulated_grad"], slots["accumulated_delta_var"]
        ops.adadelta_step(parameters, gradients, squares, deltas, rho=self.rho, epsilon=self.epsilon, **common)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rho": self.rho, "epsilon": self.epsilon}


class RMSprop(Optimizer):
    """RMSprop, with ``momentum`` and ``centered``; see ``ops.rmsprop_step``. Source: Keras; curriculum F23.

    >>> import ranvier as rv
    >>> w = rv.Variable([0.0])
    >>> rv.optimizers.RMSprop(0.1).apply([rv.Tensor([1.0])], [w])
    >>> round(w.numpy().item(), 4)
    -0.3162
    """

    is_one_op = True
    slot_groups = (("velocity",), ("momentum",), ("average_gradient",))

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **shared(locals()))
        self.rho = check_fraction("RMSprop", "rho", rho)
        self.momentum = check_fraction("RMSprop", "momentum", momentum)
        self.epsilon = epsilon
        self.centered = centered

    def _used_groups(self) -> tuple[tuple[str, ...], ...]:
        velocity, momentum, average = self.slot_groups
        return (velocity, *((momentum,) if self.momentum else ()), *((average,) if self.centered else ()))

    def step(self, parameters: list[Tensor], gradients: list[Tensor], slots: Slots, **common: Any) -> None:
        ops.rmsprop_step(
            parameters,
            gradients,
            slots["velocity"],
            slots.get("momentum"),
            slots.get("average_gradient"),
            rho=self.rho,
            momentum=self.momentum,
            epsilon=self.epsilon,
            **common,
        )

    def get_config(self) -> dict[str, Any]:
        own = {"rho": self.rho, "momentum": self.momentum, "epsilon": self.epsilon, "centered": self.centered}
        return {**super().get_config(), **own}


class Adam(Optimizer):
    """Adam, with ``amsgrad``; see ``ops.adam_step``. Source: Keras; Kingma and Ba 2015; curriculum F25, F26.

    >>> import ranvier as rv
    >>> w = rv.Variable([0.0])
    >>> rv.optimizers.Adam(0.1).apply([rv.Tensor([1.0])], [w])
    >>> round(w.numpy().item(), 4)
    -0.1
    """

    is_one_op = True
    slot_groups = (("momentum", "velocity"), ("velocity_hat",))

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **shared(locals()))
        self.beta_1 = check_fraction(type(self).__name__, "beta_1", beta_1)
        self.beta_2 = check_fraction(type(self).__name__, "beta_2", beta_2)
        self.epsilon = epsilon
        self.amsgrad = amsgrad

    def _used_groups(self) -> tuple[tuple[str, ...], ...]:
        return self.slot_groups if self.amsgrad else self.slot_groups[:1]

    def step(self, parameters: list[Tensor], gradients: list[Tensor], slots: Slots, **common: Any) -> None:
        ops.adam_step(
            parameters,
            gradients,
            slots["momentum"],
            slots["velocity"],
            slots.get("velocity_hat"),
            iteration=self.update_count,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            **common,
        )

    def get_config(self) -> dict[str, Any]:
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon, "amsgrad": self.amsgrad}
        return {**super().get_config(), **own}


class AdamW(Adam):
    """Adam with decoupled weight decay. Source: Keras; Loshchilov and Hutter 2019.

    >>> import ranvier as rv
    >>> w = rv.Variable([1.0])
    >>> rv.optimizers.AdamW(0.1, weight_decay=0.5).apply([rv.Tensor([1.0])], [w])
    >>> round(w.numpy().item(), 4)
    0.85
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if weight_decay is None:
            raise ValueError("AdamW: weight_decay must be a number, got None")
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, **shared(locals()))
