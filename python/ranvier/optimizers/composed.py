"""Optimizers that are composed of ops: Adafactor, Muon (means over rows, products) and ScheduleFreeAdamW."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ranvier import _core, ops
from ranvier.optimizers.optimizer import LearningRate, Optimizer, check_fraction, shared
from ranvier.tensor import Tensor, wrap
from ranvier.variable import Variable


class Adafactor(Optimizer):
    """Adam with a second moment kept as means over rows and over columns. Source: Keras; Shazeer and Stern 2018.

    >>> import ranvier as rv
    >>> w = rv.Variable([[1.0, 2.0], [3.0, 4.0]])
    >>> rv.optimizers.Adafactor(0.5).apply([rv.Tensor([[1.0, 1.0], [1.0, 1.0]])], [w])
    >>> w.numpy().round(4)
    array([[-0.3693,  0.6307],
           [ 1.6307,  2.6307]], dtype=float32)
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
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
        self.beta_2_decay = beta_2_decay
        self.epsilon_1 = epsilon_1
        self.epsilon_2 = epsilon_2
        self.clip_threshold = clip_threshold
        self.relative_step = relative_step

    def build(self, variables: Iterable[Tensor]) -> None:
        if self.built:
            return
        super().build(variables)
        self._r: list[Variable] = []
        self._c: list[Variable] = []
        self._v: list[Variable] = []
        for variable in self._trainable_variables:
            shape, name = tuple(variable.shape), str(getattr(variable, "name", "variable"))
            factored = len(shape) >= 2  # of the last two dimensions; else a placeholder
            for means, kept in ((self._r, shape[:-1]), (self._c, shape[:-2] + shape[-1:])):
                means.append(self.add_variable(kept if factored else (), dtype=variable.dtype, name=name))
            self._v.append(self.add_variable_from_reference(variable, "velocity"))

    def update_step(self, gradient: Tensor, variable: Any, learning_rate: Tensor) -> None:
        """g / sqrt(V) of root mean square at most ``clip_threshold``, times the step's size and the variable's."""
        index, dtype = self._get_variable_index(variable), variable.dtype
        r, c, v = self._r[index], self._c[index], self._v[index]
        weights = variable.detach()
        step = wrap(self.update_count).to(variable.device).astype(dtype)
        rho = ops.minimum(learning_rate, 1 / ops.sqrt(step))
        alpha = ops.maximum(_rms(weights), self.epsilon_2) * rho
        decay = 1 - ops.power(step, self.beta_2_decay)
        squares = gradient * gradient + self.epsilon_1
        if weights.ndim >= 2:
            self.assign(r, decay * r.detach() + (1 - decay) * ops.mean(squares, axis=-1))
            self.assign(c, decay * c.detach() + (1 - decay) * ops.mean(squares, axis=-2))
            rows = r.detach() / ops.mean(r.detach(), axis=-1, keepdims=True)
            self.assign(v, ops.expand_dims(rows, -1) * ops.expand_dims(c.detach(), -2))
        else:
            self.assign(v, decay * v.detach() + (1 - decay) * squares)
        update = gradient / ops.sqrt(v.detach())
        self.assign_sub(variable, alpha * update / ops.maximum(_rms(update) / self.clip_threshold, 1.0))

    def get_config(self) -> dict[str, Any]:
        own = ("beta_2_decay", "epsilon_1", "epsilon_2", "clip_threshold", "relative_step")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


def _rms(x: Tensor) -> Tensor:
    return ops.sqrt(ops.mean(x * x))


class Muon(Optimizer):
    """The momentum of each matrix made orthogonal by Newton-Schulz steps; AdamW for other variables.

    AdamW steps, besides what is not a matrix, variables with "embedding" in their path (``exclude_embeddings``) and
    those whose path has a match of one of ``exclude_layers``: name the output layer there. Source: Keras; Jordan 2024;
    Liu et al. 2025 (``rms_rate``).

    >>> import ranvier as rv
    >>> w = rv.Variable([[1.0, 0.0], [0.0, 1.0]])
    >>> rv.optimizers.Muon(0.1, weight_decay=0.0).apply([rv.Tensor([[2.0, 0.0], [0.0, 2.0]])], [w])
    >>> w.numpy().round(2)
    array([[0.97, 0.  ],
           [0.  , 0.97]], dtype=float32)
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004,
        epsilon: float = 1e-7,
        weight_decay: float | None = 0.004,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        exclude_layers: Sequence[str] | None = None,
        exclude_embeddings: bool = True,
        muon_a: float = 3.4445,
        muon_b: float = -4.7750,
        muon_c: float = 2.0315,
        adam_lr_ratio: float = 1,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float | None = 0.2,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **shared(locals()))
        self.adam_beta_1 = check_fraction("Muon", "adam_beta_1", adam_beta_1)
        self.adam_beta_2 = check_fraction("Muon", "adam_beta_2", adam_beta_2)
        self.adam_weight_decay = adam_weight_decay
        self.epsilon = epsilon
        self.exclude_layers = list(exclude_layers or [])
        self.exclude_embeddings = exclude_embeddings
        self.muon_a = muon_a
        self.muon_b = muon_b
        self.muon_c = muon_c
        self.adam_lr_ratio = adam_lr_ratio
        self.momentum = check_fraction("Muon", "momentum", momentum)
        self.ns_steps = ns_steps
        self.nesterov = nesterov
        self.rms_rate = rms_rate
        self._adam_rate = _core.Array.zeros((), "float64")

    def _should_use_adamw(self, variable: Tensor) -> bool:
        path = str(getattr(variable, "path", ""))
        if variable.ndim != 2 or (self.exclude_embeddings and "embedding" in path.lower()):
            return True
        return any(re.search(pattern, path) for pattern in self.exclude_layers)

    def build(self, variables: Iterable[Tensor]) -> None:
        if self.built:
            return
        super().build(variables)
        self.momentums: list[Variable] = []
        self.adam_velocities: list[Variable | None] = []
        for variable in self._trainable_variables:
            self.momentums.append(self.add_variable_from_reference(variable, "momentum"))
            by_adam = self._should_use_adamw(variable)
            velocity = self.add_variable_from_reference(variable, "velocity") if by_adam else None
            self.adam_velocities.append(velocity)

    def prepare(self) -> None:
        super().prepare()
        self._adam_rate.numpy()[...] = float(self.learning_rate) * self.adam_lr_ratio

    def _decays(self, parameters: list[Tensor]) -> list[float]:
        decays = [self.adam_weight_decay if self._should_use_adamw(v) else self.weight_decay for v in parameters]
        return [0.0 if self._is_spared(v) else d or 0.0 for v, d in zip(parameters, decays, strict=True)]

    def update_step(self, gradient: Tensor, variable: Any, learning_rate: Tensor) -> None:
        index = self._get_variable_index(variable)
        momentum, velocity = self.momentums[index], self.adam_velocities[index]
        if velocity is not None:
            ops.adam_step(
                [variable],
                [gradient],
                [momentum],
                [velocity],
                learning_rate=self._adam_rate,
                iteration=self.update_count,
                beta_1=self.adam_beta_1,
                beta_2=self.adam_beta_2,
                epsilon=self.epsilon,
            )
            return
        ops.blend_step([momentum], [gradient], keep=self.momentum, add=1)
        way = gradient + self.momentum * momentum.detach() if self.nesterov else momentum.detach()
        scale = 1.0 if self.rms_rate is None else float(np.sqrt(max(variable.shape))) * self.rms_rate
        self.assign_sub(variable, learning_rate * scale * self._orthogonal(way))

    def _orthogonal(self, x: Tensor) -> Tensor:
        """About U V^T of x = U S V^T: the quintic a x + b x^3 + c x^5 on the singular values, several times."""
        tall = x.shape[0] > x.shape[1]
        x = ops.transpose(x) if tall else x
        x = x / (ops.sqrt(ops.sum(x * x)) + 1e-7)
        for _ in range(self.ns_steps):
            square = ops.matmul(x, ops.transpose(x))
            x = self.muon_a * x + ops.matmul(self.muon_b * square + self.muon_c * ops.matmul(square, square), x)
        return ops.transpose(x) if tall else x

    def get_config(self) -> dict[str, Any]:
        own = (
            "adam_beta_1", "adam_beta_2", "epsilon", "exclude_layers", "muon_a", "muon_b", "muon_c", "adam_lr_ratio",
            "momentum", "ns_steps", "nesterov", "exclude_embeddings", "adam_weight_decay", "rms_rate",
        )  # fmt: skip
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


class ScheduleFreeAdamW(Optimizer):
    """AdamW that needs no schedule: it steps one sequence, averages it, and trains at a point between the two.

    z (the state "momentum") moves by Adam's step without its first moment; x is the mean of all z; the variables are
    y = (1 - beta_1) z + beta_1 x, where gradients are taken. The rate rises linearly over ``warmup_steps``. Source:
    Keras; Defazio et al. 2024.

    >>> import ranvier as rv
    >>> w = rv.Variable([1.0])
    >>> optimizer = rv.optimizers.ScheduleFreeAdamW(0.5)
    >>> optimizer.apply([rv.Tensor([3.0])], [w])
    >>> w.numpy().round(4)
    array([0.5], dtype=float32)
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.0025,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        warmup_steps: int = 0,
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
        self.beta_1 = check_fraction("ScheduleFreeAdamW", "beta_1", beta_1)
        if not beta_1:
            raise ValueError("ScheduleFreeAdamW: beta_1 must be above 0: x follows from the variables divided by it")
        self.beta_2 = check_fraction("ScheduleFreeAdamW", "beta_2", beta_2)
        self.epsilon = epsilon
        self.warmup_steps = warmup_steps

    def build(self, variables: Iterable[Tensor]) -> None:
        if self.built:
            return
        super().build(variables)
        parameters = self._trainable_variables
        self._momentums, self._velocities = self.add_optimizer_variables(parameters, ["momentum", "velocity"])
        for momentum, variable in zip(self._momentums, parameters, strict=True):
            momentum.assign(variable.detach())

    def update_step(self, gradient: Tensor, variable: Any, learning_rate: Tensor) -> None:
        """Steps z, and moves the variable to where y now is."""
        index, b = self._get_variable_index(variable), self.beta_1
        z, squares = self._momentums[index], self._velocities[index]
        step = wrap(self.update_count).to(variable.device).astype(variable.dtype)
        if self.warmup_steps > 0:
            learning_rate = learning_rate * ops.minimum(step / self.warmup_steps, 1.0)
        x = (variable.detach() - (1 - b) * z.detach()) / b
        self.assign_add(squares, (gradient * gradient - squares.detach()) * (1 - self.beta_2))
        spread = squares.detach() / (1 - ops.power(self.beta_2, step))
        self.assign_sub(z, learning_rate * gradient / (ops.sqrt(spread) + self.epsilon))
        x = (1 - 1 / step) * x + z.detach() / step
        self.assign(variable, (1 - b) * z.detach() + b * x)

    def get_config(self) -> dict[str, Any]:
        own = ("beta_1", "beta_2", "epsilon", "warmup_steps")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
