"""The course's optimizers, schedules and stop tests: the worked example's figures, and what the variants promise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier.classic import callbacks, optimizers, schedules


def walk(optimizer: Any, gradients: Any, start: float = 0.0) -> list[float]:
    """The places of one parameter, by its gradients."""
    w = rv.Variable(np.full(1, start), dtype="float64")
    places = []
    for gradient in gradients:
        optimizer.apply([rv.Tensor([float(gradient)], dtype="float64")], [w])
        places.append(float(w.numpy()[0]))
    return places


W19 = [
    (optimizers.GradientDescent(0.1), -0.3),
    (optimizers.Momentum(0.1), -0.561),
    (optimizers.AdaGrad(0.1), -0.228446),
    (optimizers.AdaGrad(0.1, epsilon=0), -0.228446),
    (optimizers.AdaGrad(0.1, mean=True), -0.228446),
    (optimizers.AdaGrad(0.1, mean=True, falling=False), -0.3),
    (optimizers.RMSProp(0.1), -0.737738),
    (optimizers.RMSProp(0.1, epsilon=1e-7, inside=False), -0.737738),
    (optimizers.RMSProp(0.1, first="gradient"), -0.3),
    (optimizers.AdaDelta(), -0.013569),
    (optimizers.Adam(0.1), -0.3),
    (optimizers.Adam(0.1, power=False), -0.390924),
    (optimizers.Adam(0.1, power=False, in_place=True), -0.140727),
]


@pytest.mark.parametrize(("optimizer", "expected"), W19, ids=[f"{type(o).__name__}{i}" for i, (o, _) in enumerate(W19)])
def test_worked_example(optimizer: Any, expected: float) -> None:
    assert walk(optimizer, [1, 1, 1])[-1] == pytest.approx(expected, abs=1e-6)


GRADIENTS = np.random.default_rng(1).normal(size=20)


@pytest.mark.parametrize(
    ("ours", "keras"),
    [
        (optimizers.Momentum(0.1), rv.optimizers.SGD(0.1, momentum=0.9)),
        (optimizers.AdaGrad(0.1, epsilon=1e-7), rv.optimizers.Adagrad(0.1, initial_accumulator_value=0.0)),
        (optimizers.AdaDelta(1.0, epsilon=1e-7), rv.optimizers.Adadelta(1.0)),
        (optimizers.RMSProp(0.1, epsilon=1e-7), rv.optimizers.RMSprop(0.1)),
        (optimizers.AdaGrad(0.1, 0.0, mean=True), rv.optimizers.Adagrad(0.1, 0.0, 0.0)),
    ],
    ids=lambda o: type(o).__name__,
)
def test_where_the_course_and_keras_agree(ours: Any, keras: Any) -> None:
    np.testing.assert_allclose(walk(ours, GRADIENTS), walk(keras, GRADIENTS), rtol=1e-10, atol=1e-12)


def test_adam_of_the_paper_has_its_epsilon_beside_the_corrected_root() -> None:
    m = s = x = 0.0
    expected = []
    for t, g in enumerate(GRADIENTS, start=1):
        m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g * g
        x -= 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(s / (1 - 0.999**t)) + 1e-2)
        expected.append(x)
    np.testing.assert_allclose(walk(optimizers.Adam(0.1, epsilon=1e-2), GRADIENTS), expected, rtol=1e-10)


def test_amsgrad_remembers_the_largest() -> None:
    m = s = top = x = 0.0
    expected = []
    for g in GRADIENTS:
        m, s = 0.9 * m + 0.1 * g, 0.5 * s + 0.5 * g * g
        top = max(top, s)
        x -= 0.1 * m / (np.sqrt(top) + 1e-8)
        expected.append(x)
    np.testing.assert_allclose(walk(optimizers.AMSGrad(0.1, beta_2=0.5), GRADIENTS), expected, rtol=1e-10)


def test_adadelta_by_the_parameters() -> None:
    """From 0 both start alike; afterwards u follows theta."""
    first, second = walk(optimizers.AdaDelta(of="parameters"), [1, 1], start=2.0)
    step = np.sqrt(1e-6) / np.sqrt(0.05 + 1e-6)
    assert first == pytest.approx(2 - step)
    u = 0.05 * first**2
    assert second == pytest.approx(first - np.sqrt(u + 1e-6) / np.sqrt(0.95 * 0.05 + 0.05 + 1e-6))


def test_nesterov_looks_ahead_and_the_misprint_behind() -> None:
    """F21 on x^2: with the right sign it converges, with the printed one it does not."""
    ends = {}
    for sign in (-1, 1):
        x = rv.Variable(np.ones(1), dtype="float64")
        optimizer = optimizers.Nesterov(0.3, sign=sign)
        for _ in range(60):
            optimizer.step_on(lambda x=x: (x * x).sum(), [x])
        ends[sign] = abs(float(x.numpy()[0]))
    assert ends[-1] < 1e-3 and ends[1] > 100
    m, theta = 0.0, 1.0
    x = rv.Variable(np.ones(1), dtype="float64")
    optimizer = optimizers.Nesterov(0.1)
    for _ in range(5):
        m = 0.9 * m + 0.1 * 2 * (theta - 0.9 * m)
        theta -= m
        optimizer.step_on(lambda: (x * x).sum(), [x])
    assert float(x.numpy()[0]) == pytest.approx(theta, rel=1e-12)


def test_they_train_replay_and_are_saved(tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 4)).astype("float32")
    y = x @ np.array([[1.0], [-2.0], [0.5], [0.0]], "float32")
    weights = []
    for jit in (False, "auto"):
        rv.utils.set_random_seed(3)
        model = rv.Sequential([rv.layers.Input((4,)), rv.layers.Dense(1)])
        model.compile(optimizers.Adam(schedules.PowerScheduling(0.3, 100)), "mse", jit_compile=jit)
        losses = model.fit(x, y, epochs=15, batch_size=16, verbose=0).history["loss"]
        assert losses[-1] < 0.05 * losses[0]
        weights.append(model.layers[0].kernel.numpy().copy())
    np.testing.assert_array_equal(*weights)
    assert any(text.startswith("replayed") for text in model.replay_info().values())
    model.save(tmp_path / "m.rv")
    again = rv.saving.load_model(tmp_path / "m.rv")
    assert type(again.optimizer) is optimizers.Adam and int(again.optimizer.iterations) == 60
    assert type(again.optimizer._learning_rate) is schedules.PowerScheduling


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: optimizers.Nesterov(sign=0), "sign must be -1"),
        (lambda: optimizers.RMSProp(first="one"), 'first must be "zero" or "gradient"'),
        (lambda: optimizers.AdaDelta(of="x"), 'of must be "updates" or "parameters"'),
        (lambda: optimizers.Adam(in_place=True), "give power=False with in_place=True"),
        (lambda: optimizers.Momentum(beta=2), "Momentum: beta must be a number between 0 and 1, got 2"),
        (lambda: schedules.PowerScheduling(0.1, 0), "PowerScheduling: steps must be positive, got 0"),
        (lambda: callbacks.PerformanceScheduling((), 1, factor=2), "factor must be between 0 and 1"),
    ],
)
def test_refusals(make: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        make()


def line_model(rate: float) -> tuple[Any, np.ndarray, np.ndarray]:
    x = np.linspace(-1, 1, 32, dtype="float32")[:, None]
    model = rv.Sequential([rv.layers.Input((1,)), rv.layers.Dense(1, kernel_initializer="ones")])
    model.compile(rv.optimizers.SGD(rate), "mse")
    return model, x, 3 * x


def test_performance_scheduling_divides_where_nothing_improves() -> None:
    model, x, y = line_model(4.0)  # diverges
    watch = callbacks.PerformanceScheduling((x, y), every=2, factor=0.5)
    history = model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[watch]).history
    assert float(model.optimizer.learning_rate) == 4.0 * 0.5**3
    assert np.isfinite(history["loss"]).all()


def test_the_metrics_of_the_epoch_are_not_disturbed() -> None:
    losses = []
    for rules in ([], [callbacks.PerformanceScheduling((np.ones((3, 1)), np.ones((3, 1))), every=1, factor=0.999999)]):
        model, x, y = line_model(0.0)
        losses.append(model.fit(x, y, batch_size=8, shuffle=False, verbose=0, callbacks=rules).history["loss"])
    assert losses[0] == losses[1]


def test_stop_tests() -> None:
    model, x, y = line_model(0.5)
    assert len(model.fit(x, y, epochs=500, verbose=0, callbacks=[callbacks.StopOnSmallSteps(1e-3)]).epoch) < 100
    model, x, y = line_model(0.5)
    history = model.fit(x, y, epochs=500, verbose=0, callbacks=[callbacks.StopWhenBelow(0.05)]).history["loss"]
    assert history[-1] < 0.05 <= history[-2]
    with pytest.raises(ValueError, match="no 'val_loss' to watch; there are loss"):
        model.fit(x, y, verbose=0, callbacks=[callbacks.StopWhenBelow(0.1, "val_loss")])
