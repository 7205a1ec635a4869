"""Training in 16 bits: close to float32, steps with overflow left out, the decision made again by each replay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import layers


@pytest.fixture(autouse=True)
def _policy() -> Iterator[None]:
    yield
    rv.config.clear_session()


def convnet() -> Any:
    """The course's S21, made small."""
    return rv.Sequential(
        [
            rv.Input((12, 12, 1)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
            layers.Dense(3, activation="softmax"),
        ]
    )


def lstm() -> Any:
    return rv.Sequential([rv.Input((10, 4)), layers.LSTM(8, return_sequences=True), layers.LSTM(8), layers.Dense(3)])


RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(64, 12, 12, 1)).astype("float32")
SEQUENCES = RNG.normal(size=(64, 10, 4)).astype("float32")
TASKS: dict[str, Any] = {
    "convnet": (convnet, IMAGES, (IMAGES.mean((1, 2, 3)) > 0).astype("int64"), "sparse_categorical_crossentropy"),
    "lstm": (lstm, SEQUENCES, SEQUENCES.sum(1)[:, :3], "mse"),
}


def trained(task: str, policy: str, device: str = "cpu", **how: Any) -> tuple[Any, list[float]]:
    make, x, y, loss = TASKS[task]
    rv.config.clear_session()
    rv.utils.set_random_seed(1)
    rv.mixed_precision.set_global_policy(policy)
    count, epochs = (64, 6) if device == "cpu" else (16, 4)
    with rv.device(device):
        model = make()
        model.compile(rv.optimizers.Adam(0.01), loss, metrics=["mae"] if loss == "mse" else ["accuracy"], **how)
        history = model.fit(x[:count], y[:count], epochs=epochs, batch_size=16, verbose=0, shuffle=False)
    return model, history.history["loss"]


@pytest.mark.parametrize("task", TASKS)
def test_losses_are_close_to_those_of_float32(task: str) -> None:
    """As close as 11 and 8 bits of mantissa leave them over 24 steps, where one step's rounding moves the next."""
    _, wanted = trained(task, "float32")
    for policy, tolerance in (("mixed_float16", 0.05), ("mixed_bfloat16", 0.25)):
        model, losses = trained(task, policy)
        np.testing.assert_allclose(losses, wanted, rtol=tolerance)
        assert losses[-1] < 0.75 * losses[0]
        assert {v.dtype for v in model.variables} == {"float32"}
        assert model.predict(TASKS[task][1][:2], verbose=0).dtype == ("float16" if "b" not in policy else "float32")


@pytest.mark.parametrize("device", ["cpu", "sim"])
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("task", TASKS)
def test_replayed_steps_are_eager_ones(task: str, policy: str, device: str) -> None:
    replayed, losses = trained(task, policy, device)
    eager, same = trained(task, policy, device, run_eagerly=True)
    assert losses == same
    assert any("replayed" in text for text in replayed.replay_info().values())
    for a, b in zip(replayed.variables, eager.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("task", TASKS)
def test_the_devices_agree(task: str) -> None:
    for policy in ("mixed_float16", "mixed_bfloat16"):
        _, on_sim = trained(task, policy, "sim")
        _, wanted = trained(task, policy, "reference")
        np.testing.assert_allclose(on_sim, wanted, rtol=0.01)


OPTIMIZERS: dict[str, Any] = {
    "sgd": lambda: rv.optimizers.SGD(0.01, momentum=0.9),
    "adam": lambda: rv.optimizers.Adam(0.01),
    "nadam clipped": lambda: rv.optimizers.Nadam(0.01, global_clipnorm=1.0),
    "lamb clipped": lambda: rv.optimizers.Lamb(0.01, clipnorm=1.0, weight_decay=0.1),
    "adamax": lambda: rv.optimizers.Adamax(0.01),
    "means": lambda: rv.optimizers.Adam(0.01, use_ema=True),
    "many ops": lambda: rv.optimizers.Adafactor(0.01),
}


@pytest.mark.parametrize("device", ["cpu", "sim", "reference"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_overflow_leaves_the_step_out(name: str, device: str) -> None:
    """The scale is halved, nothing else moves; after ``dynamic_growth_steps`` good steps it doubles. So do replays."""
    rv.utils.set_random_seed(2)
    rv.mixed_precision.set_global_policy("mixed_float16")
    x, y = np.ones((4, 3), np.float32), np.ones((4, 2), np.float32)
    scales, counts = [], []
    with rv.device(device):
        model = rv.Sequential([rv.Input((3,)), layers.Dense(2)])
        optimizer = rv.optimizers.LossScaleOptimizer(OPTIMIZERS[name](), initial_scale=64.0, dynamic_growth_steps=3)
        model.compile(optimizer, "mse")
        for step in range(12):
            overflows = step in (0, 4, 5, 9)
            if step:
                before = [v.numpy().copy() for v in (*model.variables, *optimizer.inner_optimizer.variables)]
            model.train_on_batch(x * (1e6 if overflows else 1.0), y)  # 1e6 is infinite in float16
            after = [v.numpy() for v in (*model.variables, *optimizer.inner_optimizer.variables)]
            if step:
                alike = all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
                assert alike == overflows, step
            scales.append(optimizer.dynamic_scale.item())
            counts.append(int(optimizer.iterations))
    assert scales == [32, 32, 32, 64, 32, 16, 16, 16, 32, 16, 16, 16]
    assert counts == [0, 1, 2, 3, 3, 3, 4, 5, 6, 6, 7, 8]
    if device != "reference":
        assert any("replayed" in text for text in model.replay_info().values()), model.replay_info()


def test_the_scale_is_saved_and_restored(tmp_path: Path) -> None:
    rv.mixed_precision.set_global_policy("mixed_float16")
    x, y = np.ones((4, 3), np.float32), np.ones((4, 2), np.float32)
    model = rv.Sequential([rv.Input((3,)), layers.Dense(2)])
    model.compile("adam", "mse")
    for _ in range(3):
        model.train_on_batch(x, y)
    model.train_on_batch(x * 1e6, y)
    model.save(tmp_path / "model.rv")
    rv.config.clear_session()
    again = rv.saving.load_model(tmp_path / "model.rv")
    assert again.dtype_policy.name == "mixed_float16"
    assert [layer.dtype_policy.name for layer in again.layers] == ["mixed_float16"]
    assert type(again.optimizer).__name__ == "LossScaleOptimizer"
    assert again.optimizer.dynamic_scale.item() == 2.0**14
    assert int(again.optimizer.iterations) == 3
    for one in (model, again):
        one.train_on_batch(x, y)
    for a, b in zip(
        model.variables + model.optimizer.variables, again.variables + again.optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_gradients_too_small_for_float16_are_saved_by_the_scale() -> None:
    """A gradient of 1e-8 is 0 in float16 (its smallest number is 6e-8), 2**15 times it is not."""
    moved = {}
    for scaled in (True, False):
        rv.config.clear_session()
        rv.mixed_precision.set_global_policy("mixed_float16")
        model = rv.Sequential([rv.Input((1,)), layers.Dense(1, kernel_initializer="zeros", use_bias=False)])
        model.compile(rv.optimizers.SGD(1e6), lambda y, p: (p - y) * 1e-8, auto_scale_loss=scaled)
        model.train_on_batch(np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32))
        moved[scaled] = model.layers[0].kernel.item()
    assert moved[True] == pytest.approx(-0.01, rel=1e-3)
    assert moved[False] == 0
