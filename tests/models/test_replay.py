"""Replayed steps do what eager steps do, bit for bit, and say so where they cannot."""

from __future__ import annotations

import os
import resource
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import _core

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(70, 9, 9, 2)).astype(np.float32)
ROWS = RNG.normal(size=(70, 6)).astype(np.float32)
CLASSES = RNG.integers(0, 3, 70)
TARGETS = RNG.normal(size=(70, 3)).astype(np.float32)
WORDS = RNG.integers(0, 11, (70, 5))


def dense() -> Any:
    rate = rv.layers.Dropout(0.3)
    regularizer = rv.regularizers.l2(0.01)
    layers = [rv.layers.Dense(8, "tanh", kernel_regularizer=regularizer), rate, rv.layers.Dense(3, "softmax")]
    return rv.Sequential([rv.Input((6,)), *layers]), ROWS, CLASSES, "sparse_categorical_crossentropy", ["accuracy"]


def convolutional() -> Any:
    body = [rv.layers.Conv2D(4, 3, activation="relu"), rv.layers.BatchNormalization(), rv.layers.MaxPooling2D()]
    head = [rv.layers.Flatten(), rv.layers.Dense(3)]
    loss = rv.losses.SparseCategoricalCrossentropy(from_logits=True)
    return rv.Sequential([rv.Input((9, 9, 2)), *body, *head]), IMAGES, CLASSES, loss, ["accuracy"]


def recurrent() -> Any:
    layers = [rv.layers.Embedding(11, 4, mask_zero=True), rv.layers.LSTM(5), rv.layers.Dense(3)]
    return rv.Sequential([rv.Input((5,), dtype="int64"), *layers]), WORDS, TARGETS, "mse", ["mae"]


def two_headed() -> Any:
    x = rv.Input((6,))
    h = rv.layers.Dense(7, "relu")(x)
    outputs = [rv.layers.Dense(3, name="a")(h), rv.layers.Dense(3, "softmax", name="b")(h)]
    return rv.Model(x, outputs), ROWS, [TARGETS, CLASSES], ["mse", "sparse_categorical_crossentropy"], None


def optimizer(name: str) -> Any:
    schedule = rv.optimizers.schedules.ExponentialDecay(0.01, 5, 0.9)
    return rv.optimizers.Adam(schedule, clipnorm=1.0) if name == "scheduled" else name


def trained(build: Any, jit: Any, how: str, **options: Any) -> tuple[Any, dict[str, Any]]:
    rv.utils.set_random_seed(7)
    model, x, y, loss, metrics = build()
    model.compile(optimizer(how), loss, metrics=metrics, jit_compile=jit)
    split = {"validation_data": (x[:20], [v[:20] for v in y] if isinstance(y, list) else y[:20])}
    history = model.fit(x, y, batch_size=16, epochs=4, verbose=0, **split, **options).history
    return model, history


@pytest.mark.parametrize("how", ["sgd", "adam", "rmsprop", "scheduled"])
@pytest.mark.parametrize("build", [dense, convolutional, recurrent, two_headed], ids=lambda f: f.__name__)
def test_replay_trains_as_eager_does(build: Any, how: str) -> None:
    eager, eager_history = trained(build, False, how)
    replayed, replayed_history = trained(build, "auto", how)
    info = replayed.replay_info()
    assert [k for k, v in info.items() if k.startswith("train") and v.startswith("replayed")], info
    assert [k for k, v in info.items() if k.startswith("test") and v.startswith("replayed")], info
    assert replayed_history == eager_history
    for ours, theirs in zip(replayed.variables, eager.variables, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    assert int(replayed.optimizer.iterations) == int(eager.optimizer.iterations) == 20
    _, x, *_ = build()
    for _ in range(2):
        ours, theirs = replayed.predict(x, batch_size=16, verbose=0), eager.predict(x, batch_size=16, verbose=0)
        for a, b in zip(ours, theirs, strict=True) if isinstance(ours, list) else [(ours, theirs)]:
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "make",
    [
        *(getattr(rv.optimizers, n) for n in ("Nadam", "Adamax", "Lamb", "Lion", "Ftrl", "Adafactor", "Muon")),
        lambda: rv.optimizers.Adam(gradient_accumulation_steps=3, clipnorm=0.5),
        lambda: rv.optimizers.SGD(use_ema=True, ema_overwrite_frequency=4, weight_decay=0.1, loss_scale_factor=4.0),
        lambda: rv.optimizers.Muon(gradient_accumulation_steps=2, use_ema=True),
        lambda: rv.optimizers.ScheduleFreeAdamW(warmup_steps=5),
        lambda: rv.optimizers.LossScaleOptimizer(rv.optimizers.SGD(momentum=0.9), dynamic_growth_steps=3),
        lambda: rv.optimizers.MultiOptimizer(
            rv.optimizers.OptimizerMap(
                rv.optimizers.Adam(gradient_accumulation_steps=3), {".*bias": rv.optimizers.SGD(use_ema=True)}
            )
        ),
    ],
    ids=lambda f: f.__name__,
)
def test_every_optimizer_replays_as_it_steps(make: Any) -> None:
    """Steps that do different things (accumulate, update, overwrite) are recorded apart."""
    kernels = []
    for jit in (False, "auto"):
        rv.utils.set_random_seed(7)
        model, x, y, loss, _ = dense()
        model.compile(make(), loss, jit_compile=jit)
        model.fit(x[:64], y[:64], batch_size=8, epochs=3, verbose=0)
        kernels.append([v.numpy().copy() for v in model.variables + model.optimizer.variables])
    info = model.replay_info()
    steady = [text for step, text in info.items() if "starts means" not in step]
    assert steady and all(text.startswith("replayed") for text in steady), info
    for eager, replayed in zip(*kernels, strict=True):
        np.testing.assert_array_equal(eager, replayed)


def test_loss_scaling_decides_anew_in_each_replayed_step() -> None:
    """A batch with an infinity halves the scale and leaves the rest as it was; the others train."""
    kernels = []
    for jit in (False, "auto"):
        rv.utils.set_random_seed(7)
        model, x, y, loss, _ = dense()
        x = x[:64].copy()
        x[40, 0] = np.inf
        optimizer = rv.optimizers.LossScaleOptimizer(rv.optimizers.Adam(0.01), 2.0**10, dynamic_growth_steps=3)
        model.compile(optimizer, loss, jit_compile=jit)
        model.fit(x, y[:64], batch_size=8, epochs=3, shuffle=False, verbose=0)
        kernels.append([v.numpy().copy() for v in model.variables + optimizer.variables])
        assert int(optimizer.iterations) == 21  # of 24: one batch in eight was left out
        assert float(optimizer.dynamic_scale) == 2.0 ** (10 + 5 - 3)
    assert any("replayed" in text for text in model.replay_info().values())
    for eager, replayed in zip(*kernels, strict=True):
        assert np.isfinite(replayed).all()
        np.testing.assert_array_equal(eager, replayed)


def test_sample_weights_and_order() -> None:
    weights = RNG.uniform(size=70).astype(np.float32)
    for options in ({"sample_weight": weights}, {"shuffle": False}, {"shuffle": "batch"}):
        eager, first = trained(dense, False, "adam", **options)
        replayed, second = trained(dense, "auto", "adam", **options)
        assert first == second
        np.testing.assert_array_equal(replayed.layers[0].kernel.numpy(), eager.layers[0].kernel.numpy())


def test_steps_taken_one_by_one() -> None:
    results = []
    for jit in (False, "auto"):
        rv.utils.set_random_seed(3)
        model, x, y, loss, metrics = dense()
        model.compile("adam", loss, metrics=metrics, jit_compile=jit)
        results.append([model.train_on_batch(x[i : i + 10], y[i : i + 10]) for i in range(0, 70, 10)])
    assert results[0] == results[1]
    assert any("replayed" in text for text in model.replay_info().values())


def test_a_changed_learning_rate_reaches_the_replayed_step() -> None:
    kernels = []
    for jit in (False, "auto"):
        rv.utils.set_random_seed(3)
        model, x, y, loss, _ = dense()
        model.compile(rv.optimizers.SGD(0.1), loss, jit_compile=jit)
        for step in range(6):
            if step == 4:
                model.optimizer.learning_rate = 0.001
            model.train_on_batch(x, y)
        kernels.append(model.layers[0].kernel.numpy().copy())
    np.testing.assert_array_equal(*kernels)


def test_frozen_layers_and_changed_options_are_recorded_anew() -> None:
    kernels = []
    for jit in (False, "auto"):
        rv.utils.set_random_seed(3)
        model, x, y, loss, _ = dense()
        model.compile("sgd", loss, jit_compile=jit)
        for step in range(12):
            if step == 5:
                model.layers[1].rate = 0.9
            if step == 8:
                model.set_weights([w * 0.5 for w in model.get_weights()])
            model.train_on_batch(x, y)
        kernels.append(model.layers[0].kernel.numpy().copy())
    np.testing.assert_array_equal(*kernels)


def test_wrong_labels_are_refused_in_a_replayed_step_too() -> None:
    model, x, y, loss, _ = dense()
    model.compile("sgd", loss)
    for _ in range(4):
        model.train_on_batch(x, y)
    assert any("replayed" in text for text in model.replay_info().values())
    with pytest.raises(ValueError, match="label 9 at position 1 is out of range for 3 classes"):
        model.train_on_batch(x, np.where(np.arange(70) == 1, 9, y))
    model.train_on_batch(x, y)


class Doubling(rv.layers.Layer):
    def call(self, x: Any) -> Any:
        return x * 2.0


def test_code_of_the_users_own_runs_each_time_unless_asked() -> None:
    for jit, expected in (("auto", "Doubling"), (True, "replayed")):
        model = rv.Sequential([rv.Input((6,)), Doubling(), rv.layers.Dense(3)])
        model.compile("sgd", "mse", jit_compile=jit)
        for _ in range(3):
            model.train_on_batch(ROWS, TARGETS)
        assert any(expected in text for text in model.replay_info().values()), model.replay_info()


class Peeking(rv.layers.Layer):
    def call(self, x: Any) -> Any:
        return x * float(x.numpy().max())


def test_what_cannot_be_recorded_runs_eagerly_and_says_why() -> None:
    results = []
    for jit in (False, True):
        rv.utils.set_random_seed(3)
        model = rv.Sequential([rv.Input((6,)), Peeking(), rv.layers.Dense(3)])
        model.compile("sgd", "mse", jit_compile=jit)
        results.append([model.train_on_batch(ROWS * i, TARGETS) for i in range(1, 5)])
    assert results[0] == results[1]
    assert "values are read on the host" in next(iter(model.replay_info().values()))
    peeking = rv.metrics.MeanSquaredError()
    peeking.replayable = False  # what a metric says whose update_state counts on the host
    model.compile("sgd", "mse", metrics=[peeking], jit_compile=True)
    for _ in range(3):
        model.train_on_batch(ROWS, np.abs(TARGETS).clip(0, 1).round())
    assert "counts on the host" in model.replay_info()["all steps"]
    model.compile("sgd", "mse", jit_compile=False)
    assert "jit_compile=False" in model.replay_info()["all steps"]


def test_an_array_written_in_place_raises_its_version_when_replayed() -> None:
    counter, recording = _core.Array.zeros((), "int64"), _core._Recording()
    target, source = _core.Array.zeros((2,)), _core.Array.zeros((2,))
    recording.begin()
    target.copy_from(source)
    _core._increment(counter)
    recording.end()
    before = target.version
    recording.replay([], [])
    assert (target.version, counter.item()) == (before + 1, 2)
    with pytest.raises(ValueError, match="made already"):
        recording.begin()


def test_a_steady_replayed_loop_takes_no_memory_from_the_system() -> None:
    model, x, y, loss, metrics = convolutional()
    model.compile("adam", loss, metrics=metrics)
    for _ in range(3):
        model.train_on_batch(x, y)
    before = rv.memory_stats()["system_allocations"]
    for _ in range(20):
        model.train_on_batch(x, y)
    assert rv.memory_stats()["system_allocations"] == before


@pytest.mark.skipif("libasan" in os.environ.get("LD_PRELOAD", ""), reason="AddressSanitizer keeps what is freed")
def test_a_steady_loop_faults_in_no_page() -> None:
    model, x, y, loss, metrics = convolutional()
    model.compile("rmsprop", loss, metrics=metrics)
    for _ in range(20):  # recorded, and every cache warm
        model.train_on_batch(x, y)
    least = 10**9
    for _ in range(5):  # other threads of this process fault too: the quietest stretch counts
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(20):
            model.train_on_batch(x, y)
        least = min(least, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    assert least < 20, f"{least} page faults in 20 steps"
