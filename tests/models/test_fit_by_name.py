"""fit and its kin: metrics by name, Ctrl-C and threads, and everything that is refused."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from tests.models.test_fit import dense_model, toy

# --- metrics and losses by name ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outputs", "labels", "loss", "expected"),
    [
        (4, np.arange(12) % 4, "sparse_categorical_crossentropy", "SparseCategoricalAccuracy"),
        (4, (np.arange(12) % 4)[:, None], "crossentropy", "SparseCategoricalAccuracy"),
        (4, np.eye(4, dtype="float32")[np.arange(12) % 4], "ce", "CategoricalAccuracy"),
        (1, (np.arange(12) % 2)[:, None].astype("float32"), "crossentropy", "BinaryAccuracy"),
        (1, np.arange(12) % 2, "binary_crossentropy", "BinaryAccuracy"),
    ],
)
def test_accuracy_follows_the_labels(outputs: int, labels: Any, loss: str, expected: str) -> None:
    last = "softmax" if outputs > 1 else "sigmoid"
    model = rv.Sequential([rv.Input((3,)), rv.layers.Dense(outputs, activation=last)])
    model.compile("sgd", loss, metrics=["accuracy", "acc"])
    logs = model.train_on_batch(np.ones((12, 3), np.float32), labels, return_dict=True)
    assert list(logs) == ["loss", "accuracy", "acc"]
    assert [type(m).__name__ for m in model.metrics[1:]] == [expected] * 2


def test_loss_and_metrics_as_functions_and_objects() -> None:
    x, _ = toy()

    def cubed(y_true: Any, y_pred: Any) -> Any:
        return rv.ops.mean(rv.ops.abs(y_true - y_pred) ** 3, axis=-1)

    model = rv.Sequential([rv.Input((6,)), rv.layers.Dense(2)])
    model.compile(rv.optimizers.SGD(0.1), cubed, metrics=[cubed, rv.metrics.MeanAbsoluteError(name="error")])
    history = model.fit(x, x[:, :2], epochs=2, batch_size=50, verbose=0)
    assert list(history.history) == ["loss", "cubed", "error"]
    np.testing.assert_allclose(history.history["loss"], history.history["cubed"], rtol=1e-6)


def test_evaluate_and_single_batches_agree() -> None:
    x, y = toy()
    model = dense_model()
    whole = model.evaluate(x, y, batch_size=50, verbose=0)
    assert model.evaluate(x, y, batch_size=7, verbose=0) == pytest.approx(whole, rel=1e-6)
    assert model.test_on_batch(x, y) == pytest.approx(whole, rel=1e-6)
    assert model.train_on_batch(x, y) == pytest.approx(whole, rel=1e-6)
    assert model.evaluate(x, y, verbose=0, return_dict=True).keys() == {"loss", "accuracy"}
    assert model.metrics_names == ["loss", "accuracy"]
    np.testing.assert_array_equal(model.predict(x, verbose=0, batch_size=50), model.predict_on_batch(x))
    assert model.predict(x, verbose=0, batch_size=7).shape == (50, 4)


def test_evaluate_without_metrics_is_one_number() -> None:
    x, y = toy()
    assert isinstance(dense_model(metrics=None).evaluate(x, y, verbose=0), float)


def test_regularizers_count_in_the_loss() -> None:
    x, _ = toy()
    model = rv.Sequential([rv.Input((6,)), rv.layers.Dense(1, kernel_regularizer="l2")])
    model.compile("sgd", "mse", metrics=["mse"])
    logs = model.test_on_batch(x, x[:, :1], return_dict=True)
    penalty = 0.01 * float((model.get_weights()[0].astype(np.float64) ** 2).sum())
    assert logs["loss"] - logs["mse"] == pytest.approx(penalty, rel=1e-4)


def test_nan_is_reported_and_training_goes_on() -> None:
    x, y = toy()
    x[3] = np.nan
    history = dense_model().fit(x, y, epochs=2, verbose=0)
    assert np.isnan(history.history["loss"]).all()


# --- Ctrl-C and threads -----------------------------------------------------------------------------------


@pytest.fixture
def heard_ctrl_c() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, also where the tests run in a shell's background, whose jobs ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard_ctrl_c")
def test_ctrl_c_stops_at_the_next_step_and_leaves_the_model_usable() -> None:
    x, y = toy(4000)
    model = dense_model()
    steps: list[int] = []

    class Interrupter(rv.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            steps.append(batch)

    inner_step = model.train_step

    def step(data: Any) -> Any:
        result = inner_step(data)
        if len(steps) == 5:
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(100):  # the signal is seen here, inside the step, which must end nevertheless
                pass
            steps.append(-1)
        return result

    model.train_step = step
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, batch_size=4, epochs=50, verbose=0, callbacks=Interrupter())
    assert steps == [0, 1, 2, 3, 4, -1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    del model.train_step
    assert np.isfinite(model.fit(x, y, epochs=1, verbose=0).history["loss"][0])
    assert np.isfinite(model.evaluate(x, y, verbose=0)[0])


def test_two_threads_train_two_models() -> None:
    x, y = toy(200)
    models = [dense_model(), dense_model()]
    models[1].set_weights(models[0].get_weights())
    threads = [
        threading.Thread(target=m.fit, args=(x, y), kwargs={"epochs": 5, "verbose": 0, "shuffle": False})
        for m in models
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for a, b in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# --- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x, y: m.fit(x), "labels: y is missing"),
        (
            lambda m, x, y: m.fit(x, y[:-1]),
            "fit: all arrays must have the same number of samples, these have x: 50, y: 49",
        ),
        (lambda m, x, y: m.fit(x, y, epochs=-1), "epochs must be"),
        (lambda m, x, y: m.fit(x, y, verbose=5), "verbose must be"),
        (lambda m, x, y: m.fit(x, y, batch_size=-3), "batch_size"),
        (lambda m, x, y: m.fit(x, y, validation_split=2.0), "validation_split"),
        (lambda m, x, y: m.fit(x[:, :5], y), r"expected shape=\(None, 6\), found shape=\(32, 5\)"),
        (lambda m, x, y: m.fit(x, np.zeros((50, 7), np.float32)), r"sparse_categorical_crossentropy of output 'dense"),
        (lambda m, x, y: m.fit(x, [y, y]), "the model has one output, but there are 2 arrays of labels"),
        (lambda m, x, y: m.fit(iter(()), verbose=0), "the data gave no batches"),
        (lambda m, x, y: m.fit(x, y, validation_data=(x, y), validation_freq="often"), "validation_freq"),
        (lambda m, x, y: m.evaluate(iter(()), verbose=0), "the data gave no batches"),
        (lambda m, x, y: m.predict(np.zeros((0, 6)), verbose=0), "there are no samples"),
        (lambda m, x, y: m.train_on_batch(x, y, np.ones(50), {0: 1.0}), "cannot be given together"),
    ],
)
def test_refusals(call: Any, message: str) -> None:
    x, y = toy()
    model = dense_model()
    with pytest.raises(ValueError, match=message):
        call(model, x, y)


def test_training_without_compile_is_refused() -> None:
    model = rv.Sequential([rv.Input((6,)), rv.layers.Dense(4)])
    x, y = toy()
    for method in ("fit", "evaluate", "train_on_batch", "test_on_batch"):
        with pytest.raises(ValueError, match=rf"{method}: call compile"):
            getattr(model, method)(x, y)
    assert model.predict(x, verbose=0).shape == (50, 4)


def test_compile_refuses() -> None:
    for settings, message in (
        ({"optimizer": "sgdd"}, "sgdd"),
        ({"metrics": "accuracy"}, "metrics must be a list"),
        ({"steps_per_execution": 4}, "steps_per_execution"),
        ({"loss_weights": "all"}, "loss_weights"),
    ):
        with pytest.raises(ValueError, match=message):
            dense_model(**settings)
    x, y = toy()
    for settings, message in (
        ({"loss": "crossentropi"}, "crossentropi"),
        ({"metrics": ["accuracyy"]}, "accuracyy"),
        ({"loss": {"wrong": "mse", "dense": "mse"}}, "wrong"),
        ({"loss": ["mse", "mse"]}, "loss has 2 entries but the model has 1 output"),
    ):
        with pytest.raises(ValueError, match=message):
            dense_model(**settings).fit(x, y, verbose=0)


@pytest.mark.parametrize(
    "name", ["fit_generator", "evaluate_generator", "predict_generator", "predict_classes", "predict_proba"]
)
def test_what_keras_dropped_names_todays_form(name: str) -> None:
    with pytest.raises(AttributeError, match=f"dropped {name}.*write model"):
        getattr(dense_model(), name)
    assert not hasattr(dense_model(), name)


def test_predict_classes_says_argmax() -> None:
    with pytest.raises(AttributeError, match=r"model\.predict\(x\)\.argmax\(-1\)"):
        dense_model().predict_classes(np.zeros((1, 6)))
