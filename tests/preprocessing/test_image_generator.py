"""ImageDataGenerator and its iterators, beside Keras's own: same parameters and seeds, same images."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from tests.peers import keras_or_skip

pytest.importorskip("PIL")
image = rv.preprocessing.image
RNG = np.random.default_rng(0)
PHOTOS = RNG.uniform(0, 255, (7, 12, 9, 3)).astype(np.float32)
LABELS = np.arange(7) % 2
SCALE = 255 * 16 * np.finfo(np.float32).eps  # of one image's arithmetic


def theirs() -> Any:
    keras_or_skip()
    pytest.importorskip("scipy")
    from keras.src.legacy.preprocessing import image as legacy

    return legacy


@pytest.mark.parametrize("fill_mode", ["nearest", "constant", "reflect", "wrap", "mirror"])
@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize("shape", [(12, 9, 3), (1, 6, 1), (8, 8, 4)])
def test_affine_transform_is_keras(fill_mode: str, order: int, shape: tuple[int, ...]) -> None:
    legacy = theirs()
    x = RNG.uniform(0, 255, shape)
    how = {"row_axis": 0, "col_axis": 1, "channel_axis": 2, "fill_mode": fill_mode, "cval": 7.0, "order": order}
    for each in (
        {"theta": 33.0},
        {"tx": 2.5, "ty": -1.25},
        {"tx": 30, "ty": -100},
        {"shear": 20.0},
        {"zx": 0.7, "zy": 1.4},
        {"theta": -75.0, "tx": 1, "ty": 2.2, "shear": -8.0, "zx": 1.1, "zy": 0.6},
    ):
        if order == 3 and shape[0] == 1 and fill_mode == "mirror":
            continue  # SciPy's spline of one sample is NaN or not by its version
        if order == 0 and fill_mode == "mirror" and each.get("tx") == 2.5:
            continue  # SciPy breaks a tie half a pixel beyond the end the other way
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = legacy.apply_affine_transform(x, **each, **how)
        np.testing.assert_allclose(image.apply_affine_transform(x, **each, **how), expected, rtol=0, atol=1e-9)


def test_affine_transform_of_other_layouts_and_dtypes() -> None:
    legacy = theirs()
    x = RNG.integers(0, 256, (3, 8, 10)).astype(np.uint8)
    for options in ({}, {"row_axis": 2, "col_axis": 1}):
        ours = image.apply_affine_transform(x, theta=20.0, tx=0.5, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = legacy.apply_affine_transform(x, theta=20.0, tx=0.5, **options)
        assert ours.dtype == expected.dtype
        np.testing.assert_array_equal(ours, expected)
    with pytest.raises(ValueError, match="must be 0, 1 and 2"):
        image.apply_affine_transform(x, theta=1.0, row_axis=1, col_axis=1)
    with pytest.raises(ValueError, match="three axes"):
        image.apply_affine_transform(x[0], theta=1.0)


def test_colour_shifts_are_keras() -> None:
    legacy = theirs()
    for x in (PHOTOS[0], PHOTOS[0] - 100, PHOTOS[0] * 3, RNG.uniform(0, 255, (5, 4, 4)), np.zeros((3, 3, 1))):
        np.testing.assert_allclose(
            image.apply_channel_shift(x, 12.5, 2), legacy.apply_channel_shift(x, 12.5, 2), rtol=1e-6
        )
        for brightness in (0.0, 0.4, 1.0, 2.7):
            for scale in (True, False):
                ours = image.apply_brightness_shift(x, brightness, scale)
                np.testing.assert_allclose(ours, legacy.apply_brightness_shift(x, brightness, scale), atol=1e-3)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"horizontal_flip": True, "vertical_flip": True},
    {"rotation_range": 40, "width_shift_range": 0.2, "height_shift_range": 0.2, "shear_range": 0.2, "zoom_range": 0.2},
    {"width_shift_range": 3, "height_shift_range": [-2, 0, 1], "fill_mode": "constant", "cval": 9.0},
    {"zoom_range": [0.5, 1.5], "fill_mode": "reflect", "horizontal_flip": True, "rotation_range": 15},
    {"channel_shift_range": 50.0, "brightness_range": (0.3, 1.8), "rotation_range": 10, "rescale": 1 / 255},
    {"rescale": 1 / 255, "shear_range": 30.0, "fill_mode": "wrap", "vertical_flip": True},
    {"samplewise_center": True, "samplewise_std_normalization": True},
    {"preprocessing_function": lambda x: x[:, ::-1] * 2.0, "rescale": 0.1, "zoom_range": 0.1},
    {"interpolation_order": 0, "rotation_range": 25, "dtype": "float64"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(o) or "none")
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_flow_is_keras(options: dict[str, Any], data_format: str) -> None:
    """Two epochs of the same seed: order, parameters and pixels."""
    legacy = theirs()
    if data_format == "channels_first" and "brightness_range" in options:
        pytest.skip("Keras takes the width for channels")
    x = PHOTOS if data_format == "channels_last" else PHOTOS.transpose(0, 3, 1, 2)
    flows = [
        module.ImageDataGenerator(data_format=data_format, **options).flow(x, LABELS, batch_size=3, seed=5)
        for module in (image, legacy)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(6):
            (a, b), (c, d) = (next(flow) for flow in flows)
            assert a.dtype == c.dtype
            np.testing.assert_allclose(a, c, rtol=1e-5, atol=SCALE)
            np.testing.assert_array_equal(b, d)


def test_indexed_batches_are_keras() -> None:
    legacy = theirs()
    options = {"rotation_range": 30, "horizontal_flip": True}
    flows = [
        module.ImageDataGenerator(**options).flow(PHOTOS, LABELS, batch_size=3, seed=5, sample_weight=LABELS + 1.0)
        for module in (image, legacy)
    ]
    assert len(flows[0]) == len(flows[1]) == 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for index in (2, 0, 1):
            for ours, expected in zip(*(flow[index] for flow in flows), strict=True):
                np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=SCALE)
    with pytest.raises(ValueError, match="no batch 3"):
        flows[0][3]


@pytest.mark.parametrize(
    "options",
    [
        {"featurewise_center": True},
        {"featurewise_center": True, "featurewise_std_normalization": True, "rescale": 1 / 255},
        {"featurewise_center": True, "zca_whitening": True, "zca_epsilon": 1e-3},
    ],
)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_fit_is_keras(options: dict[str, Any], data_format: str) -> None:
    legacy = theirs()
    x = PHOTOS[:, :4, :4].astype(np.float64)
    x = x if data_format == "channels_last" else x.transpose(0, 3, 1, 2)
    ours, expected = (
        m.ImageDataGenerator(dtype="float64", data_format=data_format, **options) for m in (image, legacy)
    )
    for generator in (ours, expected):
        generator.fit(x)
    whole = next(ours.flow(x, batch_size=7, shuffle=False))
    np.testing.assert_allclose(whole, next(expected.flow(x, batch_size=7, shuffle=False)), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(ours.standardize(x[0].copy()), expected.standardize(x[0].copy()), rtol=1e-6, atol=1e-7)
    augmenting = [module.ImageDataGenerator(rotation_range=20, **options) for module in (image, legacy)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for generator in augmenting:
            generator.fit(x.astype(np.float32), augment=True, rounds=2, seed=3)
    np.testing.assert_allclose(augmenting[0].mean, augmenting[1].mean, rtol=1e-5)


def test_single_images_are_keras() -> None:
    legacy = theirs()
    options = {"rotation_range": 30, "zoom_range": 0.3, "brightness_range": (0.5, 1.5), "horizontal_flip": True}
    ours, expected = image.ImageDataGenerator(**options), legacy.ImageDataGenerator(**options)
    assert ours.get_random_transform(PHOTOS[0].shape, seed=4) == expected.get_random_transform(PHOTOS[0].shape, seed=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        right = expected.random_transform(PHOTOS[0], seed=4)
    # Brightness counts in whole numbers: where interpolation rounds to the other side of one, it shows.
    assert np.abs(ours.random_transform(PHOTOS[0], seed=4) - right).max() <= 2
    assert (ours.random_transform(PHOTOS[0], seed=4) == right).mean() > 0.99
    np.testing.assert_array_equal(ours.apply_transform(PHOTOS[0], {"flip_horizontal": True}), PHOTOS[0][:, ::-1])


def test_options_that_imply_others_and_bad_ones() -> None:
    with pytest.warns(UserWarning, match="featurewise_center"):
        assert image.ImageDataGenerator(featurewise_std_normalization=True).featurewise_center
    with pytest.warns(UserWarning, match="samplewise_center"):
        assert image.ImageDataGenerator(samplewise_std_normalization=True).samplewise_center
    with pytest.warns(UserWarning, match="takes the place"):
        both = image.ImageDataGenerator(featurewise_center=True, zca_whitening=True, featurewise_std_normalization=True)
    assert not both.featurewise_std_normalization
    with pytest.warns(UserWarning, match="before fit"):
        image.ImageDataGenerator(featurewise_center=True).standardize(PHOTOS[0].copy())
    for bad, match in (
        ({"zoom_range": [1, 2, 3]}, "zoom_range"),
        ({"brightness_range": 0.5}, "brightness_range"),
        ({"validation_split": 1.5}, "validation_split"),
        ({"data_format": "first"}, "data_format"),
        ({"fill_mode": "edge"}, "fill_mode"),
    ):
        with pytest.raises(ValueError, match=match):
            image.ImageDataGenerator(**bad)
    generator = image.ImageDataGenerator(validation_split=0.3)
    with pytest.raises(ValueError, match="rank 4"):
        generator.flow(PHOTOS[0])
    with pytest.raises(ValueError, match="7 images but y has 3"):
        generator.flow(PHOTOS, LABELS[:3])
    with pytest.raises(ValueError, match="different classes"):
        generator.flow(PHOTOS, np.arange(7), subset="training")
    with pytest.raises(ValueError, match="'training' or 'validation'"):
        generator.flow(PHOTOS, subset="test")


def test_subsets_and_more_inputs() -> None:
    generator = image.ImageDataGenerator(validation_split=0.3)
    assert len(generator.flow(PHOTOS, subset="validation", batch_size=1)) == 2
    assert len(generator.flow(PHOTOS, subset="training", batch_size=1)) == 5
    (photos, more), y = next(generator.flow((PHOTOS, LABELS * 2), LABELS, batch_size=4, shuffle=False))
    np.testing.assert_array_equal(photos, PHOTOS[:4])
    np.testing.assert_array_equal(more, LABELS[:4] * 2)
    np.testing.assert_array_equal(y, LABELS[:4])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of pictures of several sizes, formats and modes, one class with a folder inside."""
    from PIL import Image

    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(1)
    for kind, count in (("ants", 5), ("bees", 4), ("cows", 3)):
        for i in range(count):
            inside = root / kind / ("more" if i == 1 else "")
            inside.mkdir(parents=True, exist_ok=True)
            values = rng.integers(0, 256, (20 + 7 * i, 31 - 2 * i, 3)).astype(np.uint8)
            img = Image.fromarray(values)
            img = img.convert("L") if i == 2 else img.convert("RGBA") if i == 3 else img
            img.save(inside / f"{i}.{'jpg' if i < 2 else 'png'}")
        (root / kind / "notes.txt").write_text("no picture")
    return root


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"color_mode": "grayscale", "class_mode": "sparse", "target_size": (16, 24)},
        {"color_mode": "rgba", "class_mode": "input", "interpolation": "bilinear", "target_size": (20, 10)},
        {"class_mode": "binary", "classes": ["bees", "ants"], "keep_aspect_ratio": True, "target_size": (18, 18)},
        {"class_mode": None, "subset": "validation", "target_size": (8, 8)},
        {"subset": "training", "shuffle": False, "target_size": (8, 8)},
    ],
)
def test_folders_are_keras(folder: Path, options: dict[str, Any]) -> None:
    legacy = theirs()
    options = {"target_size": (32, 32), "batch_size": 4, "seed": 3, **options}
    augment = {"rotation_range": 20, "horizontal_flip": True, "rescale": 1 / 255, "validation_split": 0.4}
    flows = [m.ImageDataGenerator(**augment).flow_from_directory(str(folder), **options) for m in (image, legacy)]
    assert flows[0].filenames == flows[1].filenames
    assert flows[0].class_indices == flows[1].class_indices
    np.testing.assert_array_equal(flows[0].classes, flows[1].classes)
    assert (flows[0].samples, flows[0].image_shape) == (flows[1].samples, flows[1].image_shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(3):
            ours, expected = (next(flow) for flow in flows)
            ours, expected = (each if isinstance(each, tuple) else (each,) for each in (ours, expected))
            for a, b in zip(ours, expected, strict=True):
                assert a.dtype == b.dtype
                np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_threads_change_nothing(folder: Path) -> None:
    def batches(threads: int) -> list[np.ndarray]:
        rv.set_num_threads(threads)
        generator = image.ImageDataGenerator(rotation_range=40, zoom_range=0.2, brightness_range=(0.5, 1.5))
        flow = generator.flow_from_directory(folder, target_size=(40, 40), batch_size=5, seed=9)
        return [next(flow)[0] for _ in range(4)]

    for one, two in zip(batches(1), batches(2), strict=True):
        np.testing.assert_array_equal(one, two)


def test_global_seed_repeats_unseeded_flows() -> None:
    def batch() -> np.ndarray:
        rv.utils.set_random_seed(12)
        return next(image.ImageDataGenerator(rotation_range=40).flow(PHOTOS))

    np.testing.assert_array_equal(batch(), batch())


def test_tables(folder: Path) -> None:
    files = [f"ants/{i}.{'jpg' if i < 1 else 'png'}" for i in (0, 2, 3)] + ["bees/0.jpg", "bees/nothing.jpg"]
    table = {"filename": files, "class": ["a", "a", "b", "b", "b"], "weight": [1.0, 2.0, 3.0, 4.0, 5.0]}
    generator = image.ImageDataGenerator()
    options = {"directory": folder, "target_size": (8, 8), "shuffle": False}
    with pytest.warns(UserWarning, match="1 file names"):
        flow = generator.flow_from_dataframe(table, weight_col="weight", **options)
    x, y, w = next(flow)
    assert x.shape == (4, 8, 8, 3)
    np.testing.assert_array_equal(y, [[1, 0], [1, 0], [0, 1], [0, 1]])
    np.testing.assert_array_equal(w, [1, 2, 3, 4])
    table = {name: values[:4] for name, values in table.items()}
    _, y = next(generator.flow_from_dataframe(table, class_mode="binary", **options))
    np.testing.assert_array_equal(y, [0, 0, 1, 1])
    _, y = next(generator.flow_from_dataframe(table, class_mode="raw", y_col="weight", **options))
    np.testing.assert_array_equal(y, [1, 2, 3, 4])
    _, y = next(generator.flow_from_dataframe(table, class_mode="multi_output", y_col=["weight", "class"], **options))
    np.testing.assert_array_equal(y[0], [1, 2, 3, 4])
    table["class"] = [["a", "b"], "a", ["c"], "b"]
    _, y = next(generator.flow_from_dataframe(table, classes=["a", "b"], **options))
    np.testing.assert_array_equal(y, [[1, 1], [1, 0], [0, 1]])
    with pytest.raises(TypeError, match="needs strings"):
        generator.flow_from_dataframe(table, class_mode="sparse", **options)
    with pytest.raises(TypeError, match="list of columns"):
        generator.flow_from_dataframe(table, class_mode="multi_output", **options)
    with pytest.raises(TypeError, match="file names"):
        generator.flow_from_dataframe({**table, "filename": [1, 2, 3, 4]}, **options)


def test_pictures_are_saved(folder: Path, tmp_path: Path) -> None:
    flow = image.ImageDataGenerator().flow_from_directory(
        folder, target_size=(8, 8), save_to_dir=tmp_path, save_prefix="seen", save_format="jpeg", batch_size=3
    )
    next(flow)
    assert len(list(tmp_path.glob("seen_*.jpeg"))) == 3


def test_fit_takes_a_generator(folder: Path) -> None:
    flow = image.ImageDataGenerator(rescale=1 / 255, horizontal_flip=True).flow_from_directory(
        folder, target_size=(12, 12), batch_size=4, seed=0
    )
    model = rv.Sequential([rv.layers.Flatten(), rv.layers.Dense(3, activation="softmax")])
    model.compile(optimizer="adam", loss="categorical_crossentropy")
    history = model.fit(flow, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_large_photos_shrink_while_they_are_decoded(tmp_path: Path) -> None:
    """A smooth photo, averaged while shrinking: the same to a shade whether or not the decoder begins the work."""
    from PIL import Image

    y, x = np.mgrid[0:600, 0:800]
    values = np.stack([127 + 100 * np.sin(x / 40), 127 + 100 * np.cos(y / 30), (x + y) / 6], axis=2).astype(np.uint8)
    (tmp_path / "a").mkdir()
    Image.fromarray(values).save(tmp_path / "a" / "waves.jpg", quality=95)
    flow = image.ImageDataGenerator().flow_from_directory(tmp_path, (75, 100), interpolation="bilinear", batch_size=1)
    whole = rv.utils.load_img(tmp_path / "a" / "waves.jpg", target_size=(75, 100), interpolation="bilinear")
    assert np.abs(next(flow)[0][0] - np.asarray(whole, np.float32)).max() <= 3
