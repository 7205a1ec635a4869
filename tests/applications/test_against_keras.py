"""The networks are Keras's, layer by layer; with the same weights they answer the same."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from tests.applications import listing
from tests.peers import keras_or_skip

RECORD = json.loads(listing.RECORD.read_text())
QUICK = ("MobileNet", "VGG16")


def build(name: str, include_top: bool, **more: Any) -> Any:
    rv.utils.clear_session()
    return getattr(rv.applications, name)(**{**listing.arguments(name, include_top), **more})


@pytest.mark.parametrize("key", RECORD)
def test_layers_are_those_that_keras_has(key: str) -> None:
    """Names, classes, shapes, connections and order of all layers, as recorded by ``tests.applications.listing``."""
    name, include_top = key.split(", include_top=")
    assert listing.summary(build(name, include_top == "True")) == RECORD[key]


def test_all_networks_are_recorded() -> None:
    assert {key.split(",")[0] for key in RECORD} == set(listing.NETWORKS)
    own = {"SqueezeNet", "LeNet5"}
    assert {n for n in dir(rv.applications) if n[0].isupper()} == {*listing.NETWORKS, *own}


@pytest.mark.parametrize("name", QUICK)
def test_listing_of_keras_now(name: str) -> None:
    keras_or_skip()
    ours, theirs = build(name, True), listing.in_keras(name, True)
    assert listing.listing(ours) == listing.listing(theirs)
    assert [w.path.split("/")[-1] for w in ours.weights] == [w.path.split("/")[-1] for w in theirs.weights]
    assert listing.summary(theirs) == RECORD[f"{name}, include_top=True"]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("MobileNet", {"alpha": 0.25, "input_shape": (32, 32, 3)}),
        ("MobileNetV2", {"alpha": 0.35, "input_shape": (33, 40, 3)}),
        ("VGG16", {"pooling": "max", "include_top": False}),
        ("Xception", {"input_shape": (71, 71, 3), "classifier_activation": None}),
    ],
)
def test_same_weights_same_answers(name: str, settings: dict[str, Any]) -> None:
    keras = keras_or_skip()
    given = {"weights": None, "classes": 5, **settings}
    ours, theirs = getattr(rv.applications, name)(**given), getattr(keras.applications, name)(**given)
    random = np.random.default_rng(0)
    weights = [w + 0.02 * random.standard_normal(w.shape).astype(w.dtype) for w in ours.get_weights()]
    ours.set_weights(weights), theirs.set_weights(weights)
    x = random.standard_normal((2, *(n or 32 for n in ours.input_shape[1:]))).astype(np.float32)
    expected = theirs(x).detach().numpy()
    scale = np.abs(expected).max()
    np.testing.assert_allclose(ours(x).numpy() / scale, expected / scale, atol=1e-5)


@pytest.mark.parametrize("shape", [(5, 4, 3), (2, 5, 4, 3)])
@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
@pytest.mark.parametrize("data_format", [None, "channels_first"])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_preprocess_input(shape: Any, mode: str, data_format: str | None, dtype: str) -> None:
    keras = keras_or_skip()
    if data_format:
        shape = (*shape[:-3], 3, *shape[-3:-1])
    x = np.random.default_rng(0).integers(0, 256, shape).astype(dtype)
    before = x.copy()
    expected = keras.applications.imagenet_utils.preprocess_input(x.copy(), data_format, mode)
    found = rv.applications.imagenet_utils.preprocess_input(x, data_format, mode)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=2e-5)
    np.testing.assert_array_equal(x, before)
    as_tensor = rv.applications.imagenet_utils.preprocess_input(rv.Tensor(x), data_format, mode)
    np.testing.assert_allclose(as_tensor.numpy(), expected, rtol=1e-6, atol=2e-5)


MODULES = (
    "vgg16", "vgg19", "resnet", "resnet50", "resnet_v2", "mobilenet", "mobilenet_v2", "densenet", "inception_v3",
    "xception", "nasnet", "inception_resnet_v2",
)  # fmt: skip


@pytest.mark.parametrize("module", MODULES)
def test_each_module_prepares_as_keras_does(module: str) -> None:
    keras = keras_or_skip()
    theirs, ours = getattr(keras.applications, module), getattr(rv.applications, module)
    x = np.linspace(0, 255, 24, dtype=np.float32).reshape(2, 4, 3)
    np.testing.assert_allclose(ours.preprocess_input(x), theirs.preprocess_input(x.copy()), rtol=1e-6, atol=2e-5)
    mine = {n for n in dir(theirs) if not n.startswith("_") and callable(getattr(theirs, n))}
    assert mine <= set(ours.__all__)
