"""compile, fit, evaluate, predict: figures against Keras and against a loop by hand, and every kind of data."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from tests.peers import keras_or_skip


def toy(samples: int = 50, classes: int = 4, dtype: str = "float32") -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, 6)).astype(dtype)
    return x, (x[:, :classes] * 2 + rng.normal(size=(samples, classes))).argmax(-1).astype(np.int32)


def dense_model(dtype: str = "float32", **options: Any) -> Any:
    model = rv.Sequential(
        [
            rv.Input((6,), dtype=dtype),
            rv.layers.Dense(8, activation="tanh", dtype=dtype),
            rv.layers.Dense(4, activation="softmax", dtype=dtype),
        ],
        dtype=dtype,
    )
    settings = {"optimizer": "sgd", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"], **options}
    model.compile(**settings)
    return model


def image_model(dtype: str = "float64", dropout: float = 0.25) -> Any:
    layers = rv.layers
    model = rv.Sequential(
        [
            rv.Input((8, 8, 2), dtype=dtype),
            layers.Conv2D(4, 3, padding="same", dtype=dtype),
            layers.BatchNormalization(dtype=dtype),
            layers.Activation("relu", dtype=dtype),
            layers.MaxPooling2D(2, dtype=dtype),
            layers.Dropout(dropout, dtype=dtype),
            layers.Flatten(dtype=dtype),
            layers.Dense(3, activation="softmax", dtype=dtype),
        ],
        dtype=dtype,
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def images(samples: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.normal(size=(samples, 8, 8, 2)), rng.integers(0, 3, samples)


# --- figures ----------------------------------------------------------------------------------------------


def test_fit_is_a_loop_of_steps() -> None:
    """The weights and the loss reported are those of the loop that a reader would write."""
    x, y = toy()
    model, by_hand = dense_model(), dense_model()
    by_hand.set_weights(model.get_weights())
    history = model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
    sgd, loss = rv.optimizers.get("sgd"), rv.losses.SparseCategoricalCrossentropy()
    for epoch in range(2):
        total = right = 0.0
        for start in range(0, 50, 16):
            bx, by = rv.Tensor(x[start : start + 16]), rv.Tensor(y[start : start + 16])
            predicted = by_hand(bx, training=True)
            value = loss(by, predicted)
            total += value.item() * len(bx)
            right += (predicted.numpy().argmax(-1) == by.numpy()).sum()
            variables = by_hand.trainable_variables
            sgd.apply(rv.grad(value, variables), variables)
        assert history.history["loss"][epoch] == pytest.approx(total / 50, rel=1e-6)
        assert history.history["accuracy"][epoch] == pytest.approx(right / 50, rel=1e-6)
    for ours, theirs in zip(model.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


OPTIMIZERS = ["sgd", "rmsprop", "adam", "adamw", "adagrad", "adadelta"]


@pytest.fixture
def double() -> Iterator[None]:
    """float64 throughout: layers and metrics."""
    rv.config.set_floatx("float64")
    yield
    rv.config.set_floatx("float32")


def regularized_model(package: Any) -> Any:
    return package.Sequential(
        [
            package.Input((6,)),
            package.layers.Dense(8, activation="tanh", kernel_regularizer="l2"),
            package.layers.Dense(4, activation="softmax"),
        ]
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.usefixtures("double")
def test_trajectory_as_keras(optimizer: str) -> None:
    keras = keras_or_skip()
    x, y = toy(dtype="float64")
    settings = {"metrics": ["accuracy"], "weighted_metrics": ["accuracy"]}
    options = {"batch_size": 16, "epochs": 3, "shuffle": False, "verbose": 0, "validation_split": 0.2}
    options["sample_weight"] = np.random.default_rng(2).random(50)
    rng = np.random.default_rng(4)
    start = [rng.normal(size=shape) / 3 for shape in ((6, 8), (8,), (8, 4), (4,))]
    results = []
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    try:
        for package in (keras, rv):
            model = regularized_model(package)
            model.compile(optimizer, "sparse_categorical_crossentropy", **settings)
            model.set_weights(start)
            history = model.fit(x, y, **options).history
            scores = model.evaluate(x, y, verbose=0, return_dict=True)
            results.append((history, scores, model.predict(x, verbose=0), model.get_weights()))
    finally:
        keras.config.set_floatx(before)
    expected, expected_scores, expected_predictions, expected_weights = results[0]
    history, scores, predictions, weights = results[1]
    assert sorted(history) == sorted(expected)  # Keras sorts them; here the loss comes first
    for name, values in expected.items():  # Keras sums and reports metrics in float32
        np.testing.assert_allclose(history[name], values, rtol=1e-6, err_msg=name)
        np.testing.assert_allclose(scores.get(name, 0), expected_scores.get(name, 0), rtol=1e-6, err_msg=name)
    # Keras on PyTorch computes float64 models in part in float32: the test below shows on whose side the digits are.
    np.testing.assert_allclose(predictions, expected_predictions, rtol=1e-5)
    for ours, theirs in zip(weights, expected_weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


@pytest.mark.usefixtures("double")
def test_a_step_in_float64_is_that_of_numpy() -> None:
    x, y = toy(16, dtype="float64")
    model = rv.Sequential([rv.Input((6,)), rv.layers.Dense(8, activation="tanh"), rv.layers.Dense(4, "softmax")])
    model.compile(rv.optimizers.SGD(0.25), "sparse_categorical_crossentropy")
    kernel1, bias1, kernel2, bias2 = model.get_weights()
    h = np.tanh(x @ kernel1 + bias1)
    e = np.exp(h @ kernel2 + bias2)
    p = e / e.sum(1, keepdims=True)
    dz = (p - np.eye(4)[y]) / 16
    dh = dz @ kernel2.T * (1 - h * h)
    expected = [kernel1 - x.T @ dh / 4, bias1 - dh.sum(0) / 4, kernel2 - h.T @ dz / 4, bias2 - dz.sum(0) / 4]
    assert model.train_on_batch(x, y) == pytest.approx(-np.log(p[np.arange(16), y]).mean(), rel=1e-14)
    for ours, theirs in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=64 * np.finfo(np.float64).eps)


def two_outputs(package: Any) -> Any:
    x = package.Input((6,))
    h = package.layers.Dense(5, activation="tanh")(x)
    return package.Model(x, [package.layers.Dense(4, activation="softmax", name="kind")(h),
                             package.layers.Dense(1, name="size")(h)])  # fmt: skip


@pytest.mark.parametrize("form", ["lists", "dicts"])
def test_several_outputs_as_keras(form: str) -> None:
    keras = keras_or_skip()
    x, y = toy()
    size = np.random.default_rng(3).normal(size=(50, 1)).astype(np.float32)
    if form == "lists":
        settings = {"loss": ["sparse_categorical_crossentropy", "mse"], "loss_weights": [0.5, 2.0]}
        settings |= {"metrics": [["accuracy"], ["mae", "mse"]]}
        labels: Any = [y, size]
    else:
        settings = {"loss": {"kind": "sparse_categorical_crossentropy", "size": "mse"}}
        settings |= {"loss_weights": {"kind": 0.5, "size": 2.0}, "metrics": {"size": ["mae"]}}
        labels = {"size": size, "kind": y}
    keras.utils.set_random_seed(1)
    theirs, ours = two_outputs(keras), two_outputs(rv)
    ours.set_weights(theirs.get_weights())
    theirs.compile("sgd", **settings)
    ours.compile("sgd", **settings)
    options = {"batch_size": 16, "epochs": 2, "shuffle": False, "verbose": 0}
    expected = theirs.fit(x, labels, **options).history
    history = ours.fit(x, labels, **options).history
    assert sorted(history) == sorted(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(ours.evaluate(x, labels, verbose=0), theirs.evaluate(x, labels, verbose=0), rtol=1e-5)
    for a, b in zip(ours.predict(x, verbose=0), theirs.predict(x, verbose=0), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("make", [dense_model, image_model], ids=["dense", "conv, batch norm, dropout"])
def test_cpu_and_reference_agree_after_twenty_steps(make: Any) -> None:
    x, y = toy(40, dtype="float64") if make is dense_model else images()
    weights = []
    start = make(dtype="float64").get_weights()
    for device in ("cpu", "reference"):
        with rv.device(device):
            rv.utils.set_random_seed(5)
            model = make(dtype="float64")
            model.set_weights(start)
            model.fit(x, y, batch_size=8, epochs=4, verbose=0)  # 20 steps
            assert {v.device for v in model.variables} == {device}
            weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def test_the_same_seed_gives_the_same_bits_on_one_and_two_threads() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((600, 12, 12, 2)).astype(np.float32), rng.integers(0, 3, 600)

    def train(threads: int) -> list[bytes]:
        rv.set_num_threads(threads)
        rv.utils.set_random_seed(11)
        layers = rv.layers
        model = rv.Sequential(
            [
                rv.Input((12, 12, 2)),
                layers.Conv2D(16, 3, activation="relu"),
                layers.BatchNormalization(),
                layers.MaxPooling2D(2),
                layers.Dropout(0.3),
                layers.Flatten(),
                layers.Dense(128, activation="relu"),
                layers.Dense(3, activation="softmax"),
            ]
        )
        model.compile("rmsprop", "sparse_categorical_crossentropy")
        model.fit(x, y, batch_size=64, verbose=0)
        return [w.tobytes() for w in model.get_weights()]

    first = train(1)
    assert train(2) == first and train(1) == first and train(2) == first


# --- what fit does with its arguments ---------------------------------------------------------------------


def test_losses_fall_and_history_tells() -> None:
    x, y = toy(200)
    model = dense_model(optimizer="adam")
    history = model.fit(x, y, epochs=8, validation_data=(x, y), verbose=0)
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert history.epoch == list(range(8))
    assert history.params == {"verbose": 0, "epochs": 8, "steps": 7}
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert model.history is history
    assert all(type(v) is float for values in history.history.values() for v in values)


@pytest.mark.parametrize("kind", ["generator", "endless", "sequence", "tensors", "dict"])
def test_every_kind_of_data_trains_alike(kind: str) -> None:
    x, y = toy(48)
    steps = [(x[i : i + 16], y[i : i + 16]) for i in range(0, 48, 16)]

    def endless() -> Iterator[Any]:
        while True:
            yield from steps

    class Dataset(rv.models.PyDataset):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> Any:
            return steps[index]

    class Once:
        def __iter__(self) -> Iterator[Any]:
            return iter(steps)

    model, expected = dense_model(), dense_model()
    expected.set_weights(model.get_weights())
    want = expected.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
    given: dict[str, Any] = {
        "generator": {"x": Once()},
        "endless": {"x": endless(), "steps_per_epoch": 3},
        "sequence": {"x": Dataset()},
        "tensors": {"x": rv.Tensor(x), "y": rv.Tensor(y), "batch_size": 16},
        "dict": {"x": x, "y": y, "batch_size": 16, "validation_data": Dataset()},
    }
    got = model.fit(**given[kind], epochs=2, shuffle=False, verbose=0)
    assert got.history["loss"] == want.history["loss"]
    for a, b in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_generator_that_ends_ends_the_training_with_a_warning() -> None:
    x, y = toy(32)
    model = dense_model()
    generator = ((x[i : i + 16], y[i : i + 16]) for i in (0, 16))
    with pytest.warns(UserWarning, match="ran out after 0 of 2"):
        history = model.fit(generator, epochs=3, steps_per_epoch=2, verbose=0)
    assert history.epoch == [0]


def test_class_weights_are_sample_weights() -> None:
    x, y = toy()
    a, b = dense_model(), dense_model()
    b.set_weights(a.get_weights())
    a.fit(x, y, class_weight={0: 3.0, 2: 0.0}, shuffle=False, verbose=0)
    b.fit(x, y, sample_weight=np.array([3.0, 1.0, 0.0, 1.0])[y], shuffle=False, verbose=0)
    for u, v in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(u, v)


def test_validation_frequency_and_initial_epoch() -> None:
    x, y = toy()
    model = dense_model()
    history = model.fit(x, y, epochs=6, initial_epoch=2, validation_data=(x, y), validation_freq=2, verbose=0)
    assert history.epoch == [2, 3, 4, 5]
    assert (len(history.history["loss"]), len(history.history["val_loss"])) == (4, 2)
    history = model.fit(x, y, epochs=4, validation_data=(x, y), validation_freq=[1, 4], verbose=0)
    assert len(history.history["val_loss"]) == 2


def test_a_model_without_input_shape_is_built_from_the_data() -> None:
    x, y = toy()
    model = rv.Sequential([rv.layers.Dense(4, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, verbose=0)
    assert model.predict(x, verbose=0).shape == (50, 4)


def test_a_subclass_with_its_own_step() -> None:
    class Doubled(rv.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = rv.layers.Dense(1)
            self.tracker = rv.metrics.Mean(name="twice")

        def call(self, x: Any) -> Any:
            return self.dense(x)

        @property
        def metrics(self) -> list[Any]:
            return [self.tracker]

        def train_step(self, data: Any) -> dict[str, Any]:
            x, y, _ = rv.models.unpack_x_y_sample_weight(data)
            loss = rv.ops.mean(rv.ops.square(y - self(x, training=True)))
            self.optimizer.apply(rv.grad(loss, self.trainable_variables), self.trainable_variables)
            self.tracker.update_state(loss * 2)
            return {"twice": self.tracker.result()}

    x, _ = toy()
    model = Doubled()
    model.compile("sgd")
    history = model.fit(x, x[:, :1], epochs=3, verbose=0)
    assert list(history.history) == ["twice"]
    assert history.history["twice"][-1] < history.history["twice"][0]


def test_frozen_layers_stay() -> None:
    x, y = toy()
    model = dense_model(optimizer="adam")
    model.layers[0].trainable = False
    before = model.get_weights()
    model.fit(x, y, verbose=0)
    after = model.get_weights()
    np.testing.assert_array_equal(before[0], after[0])
    assert (before[2] != after[2]).any()


def test_layers_frozen_and_thawed_between_steps() -> None:
    x, y = toy(40)
    model = dense_model()
    kernels: list[Any] = []

    def between(batch: int, logs: Any) -> None:
        kernels.append(model.layers[0].kernel.numpy().copy())
        model.layers[0].trainable = batch != 1

    model.fit(x, y, batch_size=10, verbose=0, callbacks=[rv.callbacks.LambdaCallback(on_train_batch_end=between)])
    moved = [bool((a != b).any()) for a, b in itertools.pairwise(kernels)]
    assert moved == [True, False, True]


def test_a_trainable_variable_that_is_not_used_does_no_harm() -> None:
    class Idle(rv.Model):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = rv.layers.Dense(4, activation="softmax"), rv.layers.Dense(4)

        def call(self, x: Any) -> Any:
            return self.used(x)

    x, y = toy()
    model = Idle()
    model.idle.build((None, 6))
    model.compile("adam", "sparse_categorical_crossentropy")
    before = model.idle.get_weights()[0].copy()
    model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(model.idle.get_weights()[0], before)
