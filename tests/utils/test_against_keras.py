"""Helpers against Keras 3: arrays, sequences, images, the progress bar."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import utils
from tests.peers import keras_or_skip

RNG = np.random.default_rng(6)
SEQUENCES = [[1, 2, 3, 4, 5], [6], [], [7, 8]]
VECTORS = [RNG.random((n, 2)).astype("float32") for n in (3, 1, 4)]


@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("truncating", ["pre", "post"])
@pytest.mark.parametrize("maxlen", [None, 1, 3, 7])
def test_pad_sequences(padding: str, truncating: str, maxlen: int | None) -> None:
    keras = keras_or_skip()
    options: dict[str, Any] = {"padding": padding, "truncating": truncating, "maxlen": maxlen}
    for given, more in ((SEQUENCES, {"value": 9}), (VECTORS, {"dtype": "float32"}), ([["a", "b"]], {"dtype": object})):
        ours = utils.pad_sequences(given, **options, **more)
        theirs = keras.utils.pad_sequences(given, **options, **more)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("axis", "order"), [(-1, 2), (0, 2), (1, 1), (-1, 3)])
def test_normalize(axis: int, order: int) -> None:
    keras = keras_or_skip()
    x = RNG.normal(size=(4, 3))
    x[1] = 0
    if axis != 0:  # Keras makes axis 0 of the result the last one
        np.testing.assert_allclose(utils.normalize(x, axis, order), keras.utils.normalize(x, axis, order), rtol=1e-12)
    theirs = keras.ops.convert_to_numpy(keras.ops.normalize(keras.ops.convert_to_tensor(x), axis, order))
    np.testing.assert_allclose(utils.normalize(x, axis, order), theirs, rtol=1e-6)
    np.testing.assert_allclose(utils.normalize(rv.Tensor(x), axis, order).numpy(), theirs, rtol=1e-6)


@pytest.mark.parametrize(("labels", "classes"), [([0, 2, 1], None), ([[0], [3]], 5), ([[0, 1], [2, 2]], 3)])
def test_to_categorical(labels: Any, classes: int | None) -> None:
    keras = keras_or_skip()
    np.testing.assert_array_equal(utils.to_categorical(labels, classes), keras.utils.to_categorical(labels, classes))


@pytest.mark.parametrize("dtype", [None, "int", int, float, bool, np.float16, np.dtype("i8"), "uint8"])
def test_standardize_dtype(dtype: Any) -> None:
    keras = keras_or_skip()
    import torch

    assert utils.standardize_dtype(dtype) == keras.utils.standardize_dtype(dtype)
    assert utils.standardize_dtype(torch.bfloat16) == "bfloat16"


# --- images ---------------------------------------------------------------------------------------------------


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pytest.importorskip("PIL")
    path = tmp_path / "picture.png"
    utils.save_img(path, RNG.integers(0, 256, (10, 14, 3)), scale=False)
    return path


@pytest.mark.parametrize("mode", ["rgb", "rgba", "grayscale"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"target_size": (5, 8), "interpolation": "bilinear"},
        {"target_size": (5, 5), "interpolation": "nearest", "keep_aspect_ratio": True},
        {"target_size": (12, 3), "interpolation": "lanczos", "keep_aspect_ratio": True},
    ],
)
def test_load_img(picture: Path, mode: str, options: dict[str, Any]) -> None:
    keras = keras_or_skip()
    theirs = keras.utils.load_img(picture, color_mode=mode, **options)
    ours = utils.load_img(io.BytesIO(picture.read_bytes()), color_mode=mode, **options)
    assert ours.mode == theirs.mode
    for data_format in ("channels_last", "channels_first"):
        array = utils.img_to_array(ours, data_format)
        np.testing.assert_array_equal(array, keras.utils.img_to_array(theirs, data_format))
        assert array.dtype == np.float32
        again = utils.array_to_img(array, data_format, scale=False)
        assert again.size == ours.size and np.array_equal(np.asarray(again), np.asarray(ours))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("scale", [True, False])
def test_array_to_img(channels: int, scale: bool) -> None:
    keras = keras_or_skip()
    pytest.importorskip("PIL")
    x = RNG.random((6, 5, channels)) * 200
    before = x.copy()
    ours, theirs = utils.array_to_img(x, scale=scale), keras.utils.array_to_img(x, scale=scale)
    assert ours.mode == theirs.mode
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    np.testing.assert_array_equal(x, before)


def test_save_img(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    with pytest.warns(UserWarning, match="no alpha channel"):
        utils.save_img(tmp_path / "a.jpg", RNG.random((4, 4, 4)))
    assert utils.load_img(tmp_path / "a.jpg").size == (4, 4)


# --- datasets -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sequence_stride": 3, "sampling_rate": 2},
        {"start_index": 4, "end_index": 21, "sampling_rate": 3},
        {"shuffle": True, "seed": 5, "sequence_stride": 2},
        {"batch_size": None},
    ],
)
def test_timeseries(options: dict[str, Any]) -> None:
    """Against the definition: window i begins at i * stride and its target is that of the beginning."""
    data, targets = RNG.normal(size=(30, 2)), np.arange(30) * 10
    found = utils.timeseries_dataset_from_array(data, targets, 4, **{"batch_size": 5, **options})
    start, end = options.get("start_index", 0), options.get("end_index", 30)
    rate, stride = options.get("sampling_rate", 1), options.get("sequence_stride", 1)
    starts = np.arange(0, end - start - 3 * rate, stride)
    if options.get("shuffle"):
        np.random.RandomState(5).shuffle(starts)
    x = np.stack([data[start + s : start + s + 4 * rate : rate] for s in starts])
    if options.get("batch_size", 5) is None:
        assert len(found) == len(starts)
        np.testing.assert_array_equal(np.stack([w for w, _ in found]), x)
    else:
        np.testing.assert_array_equal(np.concatenate([w for w, _ in found]), x)
        np.testing.assert_array_equal(np.concatenate([t for _, t in found]), targets[start:][starts])
    only = utils.timeseries_dataset_from_array(data, None, 4)[0]
    assert only.shape == (27, 4, 2)


def test_a_model_fits_a_time_series() -> None:
    data = np.sin(np.arange(60) / 5).astype("float32")
    windows = utils.timeseries_dataset_from_array(data[:-5], data[5:], 5, batch_size=8)
    model = rv.Sequential([rv.Input((5,)), rv.layers.Dense(1)])
    model.compile("adam", "mse")
    assert len(model.fit(windows, epochs=2, verbose=0).history["loss"]) == 2


@pytest.mark.parametrize(
    ("sizes", "expected"), [((0.6, None), (6, 4)), ((3, None), (3, 7)), ((None, 0.25), (8, 2)), ((2, 0.3), (2, 3))]
)
def test_split_dataset(sizes: tuple[Any, Any], expected: tuple[int, int]) -> None:
    x, y = np.arange(20).reshape(10, 2), np.arange(10)
    left, right = utils.split_dataset({"x": x, "y": y}, *sizes)
    assert (len(left["x"]), len(right["y"])) == expected
    np.testing.assert_array_equal(left["y"], y[: expected[0]])
    np.testing.assert_array_equal(right["y"], y[-expected[1] :])
    first, again = (utils.split_dataset([x, y], 0.5, shuffle=True, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first[0][1], again[0][1])
    assert sorted([*first[0][1], *first[1][1]]) == list(range(10)) and first[0][1].tolist() != list(range(5))
    np.testing.assert_array_equal(first[0][0][:, 0], first[0][1] * 2)


class Numbers(utils.PyDataset):
    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Any:
        return np.full((2, 1), index, "float32"), np.full((2, 1), index, "float32")


def test_py_dataset() -> None:
    assert utils.Sequence is utils.PyDataset is rv.models.PyDataset
    data = Numbers(workers=3, use_multiprocessing=True, max_queue_size=4)
    assert (data.workers, data.use_multiprocessing, data.max_queue_size, data.num_batches) == (3, True, 4, 3)
    assert [x[0, 0] for x, _ in data] == [0, 1, 2]
    with pytest.raises(NotImplementedError, match="must give batches"):
        utils.PyDataset()[0]


# --- progress -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"stateful_metrics": ["loss"]}, {"stateless_metrics": ["acc"]}])
def test_progbar_tells_what_keras_tells(options: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    keras = keras_or_skip()

    def lines(kind: Any, target: int | None) -> list[str]:
        bar = kind(target, interval=0, **options)
        for step, loss in ((1, 0.5), (3, 0.25), (10, 0.1)):
            bar.update(step, [("loss", loss), ("acc", 1e-5)])
        text = re.sub(r"\x1b\[\d+m|\x08|\r|━|╺", "", capsys.readouterr().out)
        text = re.sub(r" +\d+s [ 0-9]*[mu]?s/step", "", text)  # times
        return [line.strip() for line in re.split(r"\n|(?<=-0[0-9])\s{2,}|(?=\s\d/10|10/10)", text) if line.strip()]

    for target in (10, None):
        ours, theirs = lines(utils.Progbar, target), lines(keras.utils.Progbar, target)
        assert ours[-1].split(" - ")[1:] == theirs[-1].split(" - ")[1:]


def test_progbar_of_two_kinds_of_metrics() -> None:
    with pytest.raises(ValueError, match="not both"):
        utils.Progbar(3, stateful_metrics=["a"], stateless_metrics=["b"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: utils.pad_sequences([1, 2]), "element 0 is 1, not a sequence"),
        (lambda: utils.pad_sequences(SEQUENCES, padding="left"), "padding must be 'pre' or 'post', not 'left'"),
        (
            lambda: utils.pad_sequences([*VECTORS, np.ones((2, 3))], dtype="float32"),
            "elements of sequence 3 have shape",
        ),
        (lambda: utils.pad_sequences([["a"]], value="b"), "for texts use dtype=object"),
        (lambda: utils.standardize_dtype("float33"), "'float33' is no dtype; known are bool"),
        (lambda: utils.array_to_img(np.zeros((2, 2))), "expected one image"),
        (lambda: utils.array_to_img(np.zeros((2, 2, 2))), "expected 1, 3 or 4 channels, got 2"),
        (lambda: utils.img_to_array(np.zeros(3)), "two or three axes"),
        (lambda: utils.img_to_array(np.zeros((3, 3)), "channels"), "data_format must be 'channels_last' or"),
        (lambda: utils.load_img("x.png", "bgr"), "color_mode must be"),
        (lambda: utils.split_dataset(np.arange(4)), "give left_size or right_size"),
        (lambda: utils.split_dataset(np.arange(4), 4), "must be an integer from 1 to 3 or a float"),
        (lambda: utils.split_dataset((np.arange(4), np.arange(5)), 2), "expected arrays of one length"),
        (lambda: utils.split_dataset(np.arange(4), 3, 3), "4 samples cannot be split into 3 and 3"),
        (lambda: utils.timeseries_dataset_from_array(np.arange(5), None, 2, sampling_rate=0), "sampling_rate must be"),
        (lambda: utils.timeseries_dataset_from_array(np.arange(5), None, 2, end_index=9), "end_index must be from 1"),
        (lambda: utils.timeseries_dataset_from_array(np.arange(5), None, 2, start_index=3, end_index=2), "higher than"),
    ],
)
def test_errors(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
