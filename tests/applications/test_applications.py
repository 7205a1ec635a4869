"""Arguments, weights from files, and what the trained network sees in photographs."""

from __future__ import annotations

import csv
import doctest
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import applications as apps

SMALL = {"alpha": 0.25, "include_top": False, "input_shape": (128, 128, 3)}  # MobileNet's: 218,544 weights
FILE = "mobilenet_2_5_128_tf_no_top.h5"
PHOTOS = Path(os.environ.get("RANVIER_DATA", "")) / "pretrained" / "photos"
needs_photos = pytest.mark.skipif(
    "RANVIER_DATA" not in os.environ or not (PHOTOS / "labels.csv").is_file(),
    reason="RANVIER_DATA has no pretrained/photos/labels.csv: SqueezeNet's weights and ten photographs",
)


def drawn(model: Any, seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.uniform(0.1, 0.9, w.shape).astype(np.float32) for w in model.weights]


def write_h5(path: Path, model: Any, rename: Any = str, group: str = "", cut: int = 0) -> None:
    """A file as Keras published them; ``cut``: the names of layers in attributes of so many each."""
    h5py = pytest.importorskip("h5py", reason="Keras's weights are .h5 files: pip install h5py")
    with h5py.File(path, "w") as file:
        root = file.create_group(group) if group else file
        names = [rename(layer.name).encode() for layer in model.layers]
        for start in range(0, len(names), cut or len(names)):
            key = f"layer_names{start // cut}" if cut else "layer_names"
            root.attrs[key] = names[start : start + (cut or len(names))]
        for name, layer in zip(names, model.layers, strict=True):
            inner = root.create_group(name)
            weights = [f"{name.decode()}/{w.name}:0" for w in layer.weights]
            inner.attrs["weight_names"] = np.array([w.encode() for w in weights], "S64")
            for weight, variable in zip(weights, layer.weights, strict=True):
                inner.create_dataset(weight, data=variable.numpy())


# --- weights from files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [{}, {"group": "model_weights"}, {"cut": 10}, {"rename": "old_{}".format}])
def test_weights_in_the_order_of_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: Any) -> None:
    model = apps.MobileNet(weights=None, **SMALL)
    model.set_weights(drawn(model))
    (tmp_path / "models").mkdir()
    write_h5(tmp_path / "models" / FILE, model, **layout)
    monkeypatch.setenv("RANVIER_DATA", str(tmp_path))
    loaded = apps.MobileNet(weights="imagenet", **SMALL)
    for mine, right in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, right)
    twin = apps.MobileNet(weights=tmp_path / "models" / FILE, **SMALL)  # by its path
    np.testing.assert_array_equal(twin.get_weights()[3], model.get_weights()[3])


def test_weights_from_a_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = apps.MobileNet(weights=None, **SMALL)
    model.set_weights(drawn(model))
    (tmp_path / "mirror" / "models").mkdir(parents=True)
    write_h5(tmp_path / "mirror" / "models" / FILE, model)
    monkeypatch.delenv("RANVIER_DATA", raising=False)
    monkeypatch.setenv("RANVIER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RANVIER_MIRROR", (tmp_path / "mirror").as_uri())
    loaded = apps.MobileNet(weights="imagenet", **SMALL)
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])
    assert (tmp_path / "home" / "models" / FILE).is_file()
    with pytest.raises(FileNotFoundError, match=r"(?s)vgg16_.*_notop\.h5: it is in none of .* weights=None"):
        apps.VGG16(include_top=False)


def test_wrong_content_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5").write_bytes(b"nothing")
    monkeypatch.setenv("RANVIER_DATA", str(tmp_path))
    with pytest.raises(ValueError, match=r"wrong content: hash .*, expected 6d6bbae143d832006294945121d1f1fc"):
        apps.VGG16(include_top=False)


def branches(names: tuple[str, str], units: int = 3) -> Any:
    x = rv.Input((4,))
    hidden = rv.layers.BatchNormalization(name=names[0])(rv.layers.Dense(5, name="first")(x))
    return rv.Model(x, rv.layers.Dense(units, name=names[1])(hidden))


def test_weights_by_name(tmp_path: Path) -> None:
    model = branches(("norm", "last"))
    model.set_weights(drawn(model))
    write_h5(tmp_path / "w.h5", model)
    other = branches(("another", "last"))
    before = other.get_weights()
    other.load_weights(tmp_path / "w.h5", by_name=True)
    after, right = other.get_weights(), model.get_weights()
    for i in (0, 1, 6, 7):
        np.testing.assert_array_equal(after[i], right[i])
    for i in (2, 3, 4, 5):
        np.testing.assert_array_equal(after[i], before[i])


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    model = branches(("norm", "last"))
    path = tmp_path / "w.h5"
    write_h5(path, model)
    other = branches(("norm", "last"), units=2)
    before = other.get_weights()
    with pytest.raises(ValueError, match=r"w\.h5' does not fit: layer 'last' has weights of shapes \[\(5, 2\)"):
        other.load_weights(path)
    with pytest.warns(UserWarning, match="layer 'last' has weights"):
        other.load_weights(path, skip_mismatch=True)
    np.testing.assert_array_equal(other.get_weights()[-1], before[-1])
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])
    with pytest.raises(ValueError, match="has 1 layers with weights, the file 3"):
        rv.Sequential([rv.Input((4,)), rv.layers.Dense(2)]).load_weights(path)
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(ValueError, match=r"w\.h5' cannot be read"):
        other.load_weights(path)
    with pytest.raises(FileNotFoundError):
        other.load_weights(tmp_path / "none.h5")
    with pytest.raises(ValueError, match=r"by_name is for Keras's \.h5 files"):
        other.load_weights(tmp_path / "none.rv", by_name=True)


def test_a_file_that_keras_wrote(tmp_path: Path) -> None:
    from tests.peers import keras_or_skip

    keras = keras_or_skip()
    pytest.importorskip("h5py")

    def make(k: Any) -> Any:
        la = k.layers
        inner = k.Sequential([k.Input((6, 6, 4)), la.BatchNormalization(), la.SeparableConv2D(3, 3)])
        layers = [la.Conv2D(4, 3), la.Dropout(0.5), inner, la.Flatten(), la.Dense(2)]
        return k.Sequential([k.Input((8, 8, 2)), *layers])

    theirs, ours = make(keras), make(rv)
    theirs.set_weights(drawn(ours))
    theirs.save(tmp_path / "m.h5")
    ours.load_weights(tmp_path / "m.h5")
    for mine, right in zip(ours.get_weights(), drawn(ours), strict=True):
        np.testing.assert_array_equal(mine, right)
    theirs.save_weights(tmp_path / "m.weights.h5")
    ours.set_weights([0 * w for w in ours.get_weights()])
    with pytest.raises(ValueError, match="has no layer_names"):
        ours.load_weights(tmp_path / "m.weights.h5", by_name=True)
    ours.load_weights(tmp_path / "m.weights.h5")
    for mine, right in zip(ours.get_weights(), drawn(ours), strict=True):
        np.testing.assert_array_equal(mine, right)


# --- arguments ---------------------------------------------------------------------------------------------

SIZE_MESSAGE = "Input size must be at least {0}x{0}; Received: input_shape="


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("VGG16", {"weights": "imagenets"}, "`weights` argument should be either `None`"),
        ("VGG19", {"classes": 10}, "`classes` should be 1000.  Received classes=10"),
        ("ResNet50", {"input_shape": (200, 200, 3)}, r"`input_shape` should be \(224, 224, 3\)"),
        ("ResNet50", {"weights": None, "input_shape": (31, 64, 3)}, SIZE_MESSAGE.format(32)),
        ("InceptionV3", {"weights": None, "input_shape": (74, 99, 3)}, SIZE_MESSAGE.format(75)),
        ("Xception", {"weights": None, "input_shape": (70, 99, 3)}, SIZE_MESSAGE.format(71)),
        ("DenseNet121", {"weights": None, "input_shape": (64, 64)}, "must be a tuple of three integers"),
        ("DenseNet121", {"include_top": False, "input_shape": (64, 64, 1)}, "The input must have 3 channels"),
        ("VGG16", {"weights": None, "input_shape": (None, None, 3)}, "you should specify a static `input_shape`"),
        ("MobileNet", {"alpha": 0.3}, "alpha can be one of"),
        ("MobileNet", {"depth_multiplier": 2}, "depth multiplier must be 1"),
        ("MobileNetV2", {"alpha": 0.3}, "alpha must be one of"),
        ("NASNetMobile", {"input_shape": (None, None, 3), "include_top": False}, "must be static"),
        ("VGG16", {"weights": __file__, "classifier_activation": "tanh"}, "Only `None` and `softmax` activations"),
        ("VGG16", {"weights": None, "input_tensor": np.zeros((1, 224, 224, 3))}, "input_tensor must be symbolic"),
        ("LeNet5", {"weights": "imagenet"}, "no weights trained on ImageNet"),
    ],
)
def test_wrong_arguments(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(apps, name)(**arguments)


def test_unusual_channels_warn() -> None:
    with pytest.warns(UserWarning, match="usually expects 1 or 3 input channels"):
        apps.MobileNet(weights=None, alpha=0.25, include_top=False, input_shape=(32, 32, 5))


def test_input_tensor_and_what_comes_before_it() -> None:
    images = rv.Input((64, 64, 3), dtype="uint8")
    prepared = rv.layers.Lambda(apps.mobilenet.preprocess_input, output_shape=(64, 64, 3))(images)
    model = apps.MobileNet(weights=None, alpha=0.25, input_tensor=prepared, include_top=False, pooling="avg")
    assert model.inputs[0] is images and model.layers[1].name.startswith("lambda")
    x = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    bare = apps.MobileNet(weights=None, alpha=0.25, include_top=False, input_shape=(64, 64, 3), pooling="avg")
    bare.set_weights(model.get_weights())
    expected = bare(apps.mobilenet.preprocess_input(x)).numpy()
    np.testing.assert_allclose(model(x).numpy(), expected, rtol=1e-4, atol=1e-6)


def test_frozen_vgg16_under_a_classifier() -> None:
    """The course's count: 16,812,353 weights; 30 trainable tensors, 4 once the base is frozen."""
    base = apps.VGG16(include_top=False, weights=None, input_shape=(150, 150, 3))
    dense = rv.layers.Dense
    model = rv.Sequential([base, rv.layers.Flatten(), dense(256, activation="relu"), dense(1, activation="sigmoid")])
    assert model.count_params() == 16_812_353 and len(model.trainable_weights) == 30
    base.trainable = False
    assert len(model.trainable_weights) == 4
    base.trainable = True
    for layer in base.layers[: [la.name for la in base.layers].index("block5_conv1")]:
        layer.trainable = False
    assert len(model.trainable_weights) == 10


def test_configurations_make_networks_anew() -> None:
    for model in (apps.MobileNet(weights=None, alpha=0.25), apps.InceptionResNetV2(include_top=False, weights=None)):
        twin = rv.models.model_from_json(model.to_json())
        assert [w.shape for w in twin.weights] == [w.shape for w in model.weights]


def test_lenet5_learns() -> None:
    rv.utils.set_random_seed(0)
    model = apps.LeNet5(input_shape=(28, 28, 1), classes=2)
    x = np.random.default_rng(0).standard_normal((64, 28, 28, 1)).astype(np.float32)
    y = (x[:, 9:19, 9:19].mean((1, 2, 3)) > 0).astype(np.int32)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    assert model.fit(x, y, epochs=12, verbose=0).history["accuracy"][-1] > 0.95
    assert apps.LeNet5(include_top=False, pooling="avg").output_shape == (None, 120)


@pytest.mark.parametrize("name", [n for n in dir(apps) if n[0].isupper()])
def test_examples_run(name: str) -> None:
    """Those of the docstrings, which doctest does not find behind a decorator."""
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    examples = doctest.DocTestParser().get_doctest(getattr(apps, name).__doc__, {}, name, None, None)
    assert runner.run(examples).failed == 0


# --- ImageNet ----------------------------------------------------------------------------------------------


def photograph(name: str) -> np.ndarray:
    """The middle 224x224 of a photograph whose short side is 256."""
    image = rv.utils.img_to_array(rv.utils.load_img(PHOTOS / name))
    top, left = (image.shape[0] - 224) // 2, (image.shape[1] - 224) // 2
    return image[top : top + 224, left : left + 224]


@needs_photos
def test_squeezenet_knows_the_photographs() -> None:
    pytest.importorskip("PIL", reason="photographs are read by Pillow")
    with open(PHOTOS / "labels.csv") as file:
        rows = list(csv.DictReader(file))
    images = np.stack([photograph(row["file"]) for row in rows])
    model = apps.SqueezeNet()
    scores = model.predict(apps.squeezenet.preprocess_input(images), verbose=0)
    best = apps.squeezenet.decode_predictions(scores, top=3)
    right = [found[0][0] == row["wnid"] for found, row in zip(best, rows, strict=True)]
    assert sum(right) >= 9, best
    for found, row in zip(best, rows, strict=True):  # as the file's own network says
        assert found[0][1] == row["squeezenet1.1_top1"]
        assert abs(found[0][2] - float(row["top1_prob"])) < 2e-3


def test_decode_predictions_wants_a_thousand_classes() -> None:
    with pytest.raises(ValueError, match=r"2D array of shape \(samples, 1000\)\). Received .* \(1, 10\)"):
        apps.vgg16.decode_predictions(np.zeros((1, 10)))


@needs_photos
def test_decode_predictions() -> None:
    scores = np.zeros((2, 1000), np.float32)
    scores[0, [388, 1, 0]] = 0.5, 0.3, 0.1
    scores[1, 999] = 1
    found = apps.vgg16.decode_predictions(rv.Tensor(scores), top=2)
    assert [(name, score) for _, name, score in found[0]] == [("giant_panda", 0.5), ("goldfish", np.float32(0.3))]
    assert found[0][0][0] == "n02510455" and len(found[1]) == 2 and found[1][0][1] == "toilet_tissue"
