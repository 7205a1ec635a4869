"""Adam's kin and Ftrl: Keras 3's arguments, defaults and formulas."""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier.optimizers.optimizer import LearningRate, Optimizer, check_fraction, shared
from ranvier.tensor import Tensor
from ranvier.variable import Variable

Slots = dict[str, list[Variable]]


class _Kin(Optimizer):
    """What Nadam, Adamax and Lamb share: two slots, two betas and epsilon, and an op that takes them."""

    op: Any = None

    is_one_op = True

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
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
        self.beta_1 = check_fraction(type(self).__name__, "beta_1", beta_1)
        self.beta_2 = check_fraction(type(self).__name__, "beta_2", beta_2)
        self.epsilon = epsilon

    def step(self, parameters: list[Tensor], gradients: list[Tensor], slots: Slots, **common: Any) -> None:
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        first, second = (slots[name] for name in self.slot_groups[0])
        type(self).op(parameters, gradients, first, second, iteration=self.update_count, **own, **common)

    def get_config(self) -> dict[str, Any]:
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return {**super().get_config(), **own}


class Nadam(_Kin):
    """Adam with Nesterov's momentum; see ``ops.nadam_step``. Source: Keras; Dozat 2016.

    Unlike Keras's, its state holds no product of the momentum's weights: that follows from the number of steps.

    >>> import ranvier as rv
    >>> w = rv.Variable([0.0])
    >>> rv.optimizers.Nadam(0.1).apply([rv.Tensor([1.0])], [w])
    >>> round(w.numpy().item(), 4)
    -0.1063
    """

    slot_groups = (("momentum", "velocity"),)
    op = staticmethod(ops.nadam_step)


class Adamax(_Kin):
    """Adam by the largest gradient; see ``ops.adamax_step``. Source: Keras; Kingma and Ba 2015.

    >>> import ranvier as rv
    >>> w = rv.Variable([0.0])
    >>> rv.optimizers.Adamax(0.1).apply([rv.Tensor([2.0])], [w])
    >>> round(w.numpy().item(), 4)
    -0.1
    """

    slot_groups = (("momentum", "norm"),)
    op = staticmethod(ops.adamax_step)


class Lamb(_Kin):
    """Adam with steps as long as each variable; see ``ops.lamb_step``. Source: Keras; You et al. 2020.

    >>> import ranvier as rv
    >>> w = rv.Variable([3.0])
    >>> rv.optimizers.Lamb(0.1).apply([rv.Tensor([1.0])], [w])
    >>> round(w.numpy().item(), 4)
    2.7
    """

    slot_groups = (("momentum", "velocity"),)
    op = staticmethod(ops.lamb_step)


class Lion(Optimizer):
    """The sign of the momentum; see ``ops.lion_step``. Source: Keras; Chen et al. 2023.

    >>> import ranvier as rv
    >>> w = rv.Variable([0.0])
    >>> rv.optimizers.Lion(0.1).apply([rv.Tensor([7.0])], [w])
    >>> round(w.numpy().item(), 4)
    -0.1
    """

    is_one_op = True
    slot_groups = (("momentum",),)

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
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
        if beta_1 == 0:
            raise ValueError("Lion: beta_1 must be above 0 and at most 1, got 0: no momentum would be left")
        self.beta_1 = check_fraction("Lion", "beta_1", beta_1)
        self.beta_2 = check_fraction("Lion", "beta_2", beta_2)

    def step(self, parameters: list[Tensor], gradients: list[Tensor], slots: Slots, **common: Any) -> None:
        ops.lion_step(parameters, gradients, slots["momentum"], beta_1=self.beta_1, beta_2=self.beta_2, **common)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2}


class Ftrl(Optimizer):
    """Follow the regularized leader; see ``ops.ftrl_step``. Source: Keras; McMahan et al. 2013.

    >>> import ranvier as rv
    >>> w = rv.Variable([0.0])
    >>> rv.optimizers.Ftrl(0.1, l1_regularization_strength=0.5).apply([rv.Tensor([2.0])], [w])
    >>> round(w.numpy().item(), 4)
    -0.0741
    """

    is_one_op = True
    slot_groups = (("accumulator", "linear"),)

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
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
        if learning_rate_power > 0:
            raise ValueError(f"Ftrl: learning_rate_power must be negative or 0, got {learning_rate_power}")
        strengths = {
            "initial_accumulator_value": initial_accumulator_value,
            "l1_regularization_strength": l1_regularization_strength,
            "l2_regularization_strength": l2_regularization_strength,
            "l2_shrinkage_regularization_strength": l2_shrinkage_regularization_strength,
        }
        for option, value in strengths.items():
            if value < 0:
                raise ValueError(f"Ftrl: {option} must be 0 or more, got {value}")
        self.learning_rate_power = learning_rate_power
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.beta = beta

    def initial_value(self, slot: str) -> float:
        return self.initial_accumulator_value if slot == "accumulator" else 0.0

    def step(self, parameters: list[Tensor], gradients: list[Tensor], slots: Slots, **common: Any) -> None:
        ops.ftrl_step(
            parameters,
            gradients,
            slots["accumulator"],
            slots["linear"],
            learning_rate_power=self.learning_rate_power,
            l1=self.l1_regularization_strength,
            l2=self.l2_regularization_strength,
            l2_shrinkage=self.l2_shrinkage_regularization_strength,
            beta=self.beta,
            **common,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "learning_rate_power": self.learning_rate_power,
            "initial_accumulator_value": self.initial_accumulator_value,
            "l1_regularization_strength": self.l1_regularization_strength,
            "l2_regularization_strength": self.l2_regularization_strength,
            "l2_shrinkage_regularization_strength": self.l2_shrinkage_regularization_strength,
            "beta": self.beta,
        }
