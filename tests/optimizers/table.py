"""The optimizers that tests go through, and where variables stand after steps of each."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

import ranvier as rv

OPTIMIZERS = [
    ("SGD", {"learning_rate": 0.1}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}),
    ("Adagrad", {"learning_rate": 0.1}),
    ("Adadelta", {"learning_rate": 1.0}),
    ("RMSprop", {"learning_rate": 0.01}),
    ("RMSprop", {"learning_rate": 0.01, "momentum": 0.5, "centered": True}),
    ("Adam", {"learning_rate": 0.01}),
    ("Adam", {"learning_rate": 0.01, "amsgrad": True, "epsilon": 1e-3}),
    ("AdamW", {"learning_rate": 0.01, "weight_decay": 0.1}),
    ("Nadam", {"learning_rate": 0.01}),
    ("Nadam", {"learning_rate": 0.1, "beta_1": 0.5, "epsilon": 1e-3}),
    ("Adamax", {"learning_rate": 0.01}),
    ("Lamb", {"learning_rate": 0.01}),
    ("Lion", {"learning_rate": 0.01}),
    ("Ftrl", {"learning_rate": 0.1}),
    (
        "Ftrl",
        {
            "learning_rate": 0.1,
            "learning_rate_power": -0.3,
            "l1_regularization_strength": 0.1,
            "l2_regularization_strength": 0.1,
            "l2_shrinkage_regularization_strength": 0.01,
            "beta": 0.2,
        },
    ),
    ("Adafactor", {"learning_rate": 0.1}),
    ("Adafactor", {"learning_rate": 0.5, "relative_step": False, "clip_threshold": 0.5}),
    ("Muon", {"learning_rate": 0.01}),
    ("Muon", {"learning_rate": 0.01, "nesterov": False, "rms_rate": None, "adam_lr_ratio": 0.5}),
    ("ScheduleFreeAdamW", {"learning_rate": 0.01}),
    ("ScheduleFreeAdamW", {"learning_rate": 0.1, "beta_1": 0.7, "epsilon": 1e-3, "warmup_steps": 5}),
]
LIMITS = [{}, {"clipnorm": 0.5}, {"clipvalue": 0.3}, {"global_clipnorm": 0.7, "weight_decay": 0.01}]
STEPS = 20

every_optimizer = pytest.mark.parametrize(("name", "options"), OPTIMIZERS, ids=lambda v: str(v))


def keras_torch() -> Any:
    """Keras 3 on PyTorch, or a skip that says what is missing."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras", reason="compares with Keras 3, which is not installed")


def trajectory(module: Any, make: Any, name: str, options: dict[str, Any], tensor: Any = rv.Tensor) -> np.ndarray:
    """Where three variables stand after each of 20 steps of gradients that do not depend on them, in float64."""
    rng = np.random.default_rng(3)
    names = ("kernel", "bias", "embeddings")
    variables = [
        make(rng.normal(size=s), dtype="float64", name=n) for s, n in zip(((5, 3), (7,), (2, 3)), names, strict=True)
    ]
    options = dict(options)
    if isinstance(rate := options.get("learning_rate"), tuple):
        options["learning_rate"] = getattr(module.schedules, rate[0])(*rate[1:])
    spared = options.pop("spared", None)
    optimizer = getattr(module, name)(**options)
    if spared:
        optimizer.exclude_from_weight_decay(var_names=[spared])
    places = []
    for _ in range(STEPS):
        gradients = [rng.normal(size=tuple(v.shape)) for v in variables]
        optimizer.apply_gradients(zip([tensor(g) for g in gradients], variables, strict=True))
        places.append(np.concatenate([to_numpy(v).ravel() for v in variables]))
    optimizer.finalize_variable_values(variables)
    places.append(np.concatenate([to_numpy(v).ravel() for v in variables]))
    return np.array(places)


def to_numpy(variable: Any) -> np.ndarray:
    value = variable.numpy() if isinstance(variable, rv.Tensor) else variable.value.detach().numpy()
    return np.array(value)
