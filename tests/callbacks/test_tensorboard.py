"""The TensorBoard callback, read with TensorBoard's own reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as rv

pytest.importorskip("tensorboard", reason="pip install tensorboard")
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def trained(folder: Path, **options: Any) -> Any:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 6, 6, 2)).astype("float32"), rng.integers(0, 3, 64)
    layers = [rv.layers.Conv2D(4, 3), rv.layers.Flatten(), rv.layers.Dense(3, activation="softmax")]
    model = rv.Sequential([rv.Input((6, 6, 2)), *layers])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    board = rv.callbacks.TensorBoard(folder, **options)
    history = model.fit(x, y, batch_size=16, epochs=3, validation_split=0.25, callbacks=[board], verbose=0)
    return model, history


def read(folder: Path) -> Any:
    reader = EventAccumulator(str(folder), size_guidance={"histograms": 0, "images": 0, "scalars": 0, "tensors": 0})
    return reader.Reload()


def test_curves_of_training_and_validation(tmp_path: Path) -> None:
    _, history = trained(tmp_path, write_steps_per_second=True)
    for part, prefix in (("train", ""), ("validation", "val_")):
        events = read(tmp_path / part)
        for name in ("loss", "accuracy"):
            scalars = events.Scalars(f"epoch_{name}")
            assert [s.step for s in scalars] == [0, 1, 2]
            np.testing.assert_allclose([s.value for s in scalars], history.history[prefix + name], rtol=1e-6)
    train = read(tmp_path / "train")
    np.testing.assert_allclose([s.value for s in train.Scalars("epoch_learning_rate")], 0.01, rtol=1e-6)
    assert all(s.value > 0 for s in train.Scalars("epoch_steps_per_second"))
    assert b"conv2d" in train.Tensors("model")[0].tensor_proto.string_val[0]


def test_steps_histograms_and_pictures(tmp_path: Path) -> None:
    model, _ = trained(tmp_path, update_freq=2, histogram_freq=2, write_images=True, write_graph=False)
    events = read(tmp_path / "train")
    assert [s.step for s in events.Scalars("batch_loss")] == [2, 4, 6, 8]  # 3 steps an epoch
    tags = events.Tags()
    assert len(tags["histograms"]) == len(model.weights)
    assert len(tags["images"]) == 2  # the kernels
    assert "model" not in tags["tensors"]
    kernel = model.layers[0].kernel
    last = events.Histograms(f"{kernel.path}/histogram")[-1]
    assert (last.step, last.histogram_value.num) == (2, kernel.numpy().size)
    np.testing.assert_allclose(last.histogram_value.sum, kernel.numpy().sum(), rtol=1e-5)
    picture = events.Images(f"{kernel.path}/image")[0]
    assert picture.encoded_image_string[1:4] == b"PNG"


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"profile_batch": 2}, "profile_batch must be 0"),
        ({"embeddings_freq": 1}, "the projector"),
        ({"update_freq": 0}, "update_freq must be 'epoch', 'batch' or a number of steps, got 0"),
    ],
)
def test_refusals(options: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        rv.callbacks.TensorBoard(**options)
