"""Optimizer steps over one large tensor, over many small ones, and over S11's weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import ranvier as rv
from ranvier.bench import OpBench, dtype, torch


def prepare_with(slots: int, ours: Callable[..., None], reference: Callable[..., None], theirs: str | None) -> Any:
    """``prepare`` for a step with that many state tensors per parameter."""

    def prepare(tensors: int, size: int) -> dict[str, Any]:
        """One step of ``tensors`` parameters of ``size`` elements each."""
        rng = np.random.default_rng(0)
        parameters, gradients = ([rng.normal(size=size).astype(dtype()) for _ in range(tensors)] for _ in range(2))
        state = [[np.zeros(size, dtype()) for _ in range(tensors)] for _ in range(slots)]
        our_lists = [[rv.Tensor(x) for x in arrays] for arrays in (parameters, gradients, *state)]
        contenders: dict[str, Any] = {
            "ranvier": lambda: ours(*our_lists),
            "numpy": lambda: reference(parameters, gradients, *state),
        }
        if torch is not None and theirs is not None:
            weights = [torch.nn.Parameter(torch.from_numpy(p.copy())) for p in parameters]
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.grad = torch.from_numpy(gradient)
            options = {"fused": True} if theirs in ("Adam", "SGD") else {"foreach": True}
            extra = {"momentum": 0.9} if theirs == "SGD" else {}
            contenders["torch"] = getattr(torch.optim, theirs)(weights, lr=1e-3, **options, **extra).step
        return contenders

    return prepare


def prepare_loss_scale(tensors: int, size: int) -> dict[str, Any]:
    """Whether all gradients are finite: one read."""
    values = np.random.default_rng(0).normal(size=(tensors, size)).astype("float32")
    numbers: tuple[Any, ...] = (np.float32(1024), np.int64(0), np.int64(0), np.float64(0))
    gradients, state = [rv.Tensor(v) for v in values], [rv.Tensor(v) for v in numbers]
    arrays, theirs = list(values), [np.array(v) for v in numbers]
    return {
        "ranvier": lambda: rv.ops.loss_scale_step(gradients, *state, growth_steps=2**60),
        "numpy": lambda: rv.reference.loss_scale_step(arrays, *theirs, growth_steps=2**60),
    }


def _call(module: Any, name: str, more: dict[str, Any], *lists: Any) -> None:
    getattr(module, name)(*lists, learning_rate=1e-3, **more)


SHAPES = ({"tensors": 1, "size": 10_000_000}, {"tensors": 200, "size": 1000}, {"tensors": 4, "size": 101_760})

BENCHES = [
    OpBench(
        name="adam_step",
        shapes=SHAPES,
        prepare=prepare_with(
            2,
            lambda *lists: rv.ops.adam_step(*lists, learning_rate=1e-3, iteration=5),
            lambda *lists: rv.reference.adam_step(*lists, learning_rate=1e-3, iteration=5),
            "Adam",
        ),
        flops=lambda tensors, size: 14 * tensors * size,
        bytes=lambda tensors, size: 7 * 4 * tensors * size,
    ),
    OpBench(
        name="rmsprop_step",
        shapes=SHAPES,
        prepare=prepare_with(
            1,
            lambda *lists: rv.ops.rmsprop_step(*lists, learning_rate=1e-3),
            lambda *lists: rv.reference.rmsprop_step(*lists, learning_rate=1e-3),
            "RMSprop",
        ),
        flops=lambda tensors, size: 8 * tensors * size,
        bytes=lambda tensors, size: 5 * 4 * tensors * size,
    ),
    OpBench(
        name="sgd_step with momentum",
        shapes=SHAPES,
        prepare=prepare_with(
            1,
            lambda *lists: rv.ops.sgd_step(*lists, learning_rate=1e-3, momentum=0.9),
            lambda *lists: rv.reference.sgd_step(*lists, learning_rate=1e-3, momentum=0.9),
            "SGD",
        ),
        flops=lambda tensors, size: 4 * tensors * size,
        bytes=lambda tensors, size: 5 * 4 * tensors * size,
    ),
    OpBench(
        name="adagrad_step",
        shapes=SHAPES,
        prepare=prepare_with(
            1,
            lambda *lists: rv.ops.adagrad_step(*lists, learning_rate=1e-3),
            lambda *lists: rv.reference.adagrad_step(*lists, learning_rate=1e-3),
            "Adagrad",
        ),
        flops=lambda tensors, size: 6 * tensors * size,
        bytes=lambda tensors, size: 5 * 4 * tensors * size,
    ),
    OpBench(
        name="adadelta_step",
        shapes=SHAPES,
        prepare=prepare_with(
            2,
            lambda *lists: rv.ops.adadelta_step(*lists, learning_rate=1e-3),
            lambda *lists: rv.reference.adadelta_step(*lists, learning_rate=1e-3),
            "Adadelta",
        ),
        flops=lambda tensors, size: 14 * tensors * size,
        bytes=lambda tensors, size: 7 * 4 * tensors * size,
    ),
    OpBench(
        name="loss_scale_step",
        shapes=SHAPES,
        prepare=prepare_loss_scale,
        flops=lambda tensors, size: 2 * tensors * size,
        bytes=lambda tensors, size: 4 * tensors * size,
    ),
    *(
        OpBench(
            name=name,
            shapes=SHAPES,
            prepare=prepare_with(
                slots,
                partial(_call, rv.ops, name, more),
                partial(_call, rv.reference, name, more),
                theirs,
            ),
            flops=lambda tensors, size, flops=flops: flops * tensors * size,
            bytes=lambda tensors, size, slots=slots: (3 + 2 * slots) * 4 * tensors * size,
        )
        for name, slots, more, theirs, flops in (
            ("nadam_step", 2, {"iteration": 5}, "NAdam", 16),
            ("adamax_step", 2, {"iteration": 5}, "Adamax", 9),
            ("lamb_step", 2, {"iteration": 5}, None, 30),  # and reads p, m, s once more, for the ratio of norms
            ("lion_step", 1, {}, None, 9),
            ("ftrl_step", 2, {}, None, 18),
            ("blend_step", 0, {"keep": 0.99, "add": 0.01}, None, 3),
        )
    ),
]
