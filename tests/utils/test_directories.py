"""Data sets of a folder's images and texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as rv

Image = pytest.importorskip("PIL.Image")
images_of, texts_of = rv.utils.image_dataset_from_directory, rv.utils.text_dataset_from_directory


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("classes")
    rng = np.random.default_rng(1)
    for kind in ("ants", "bees"):
        (root / kind).mkdir()
        for i in range(5):
            values = rng.integers(0, 256, (10 + i, 14, 3)).astype(np.uint8)
            Image.fromarray(values).save(root / kind / f"{i}.png")
            (root / kind / f"{i}.txt").write_text(f"{kind} number {i}", encoding="utf-8")
    return root


@pytest.mark.parametrize(("interpolation", "theirs"), [("bilinear", "bilinear"), ("nearest", "nearest-exact")])
@pytest.mark.parametrize("size", [(10, 14), (23, 9), (5, 40)])
def test_images_are_resized_as_pytorch_does_it(folder: Path, interpolation: str, theirs: str, size: Any) -> None:
    torch = pytest.importorskip("torch")
    data = images_of(folder, image_size=size, interpolation=interpolation, shuffle=False, batch_size=4, verbose=False)
    x, y = data[0]
    assert (len(data), data.class_names, x.dtype) == (3, ["ants", "bees"], np.float32)
    np.testing.assert_array_equal(y, [0, 0, 0, 0])
    for image, path in zip(x, data.file_paths, strict=False):
        whole = torch.from_numpy(np.asarray(Image.open(path), np.float32)).permute(2, 0, 1)[None]
        expected = torch.nn.functional.interpolate(whole, size, mode=theirs)[0].permute(1, 2, 0)
        np.testing.assert_allclose(image, expected.numpy(), rtol=1e-5, atol=1e-3)


def test_labels_and_subsets(folder: Path) -> None:
    options: dict[str, Any] = {"image_size": (8, 8), "batch_size": 10, "verbose": False, "shuffle": False}
    assert images_of(folder, label_mode="categorical", **options)[0][1].tolist() == [[1, 0]] * 5 + [[0, 1]] * 5
    assert images_of(folder, label_mode="binary", **options)[0][1].shape == (10, 1)
    assert images_of(folder, label_mode=None, color_mode="grayscale", **options)[0].shape == (10, 8, 8, 1)
    assert images_of(folder, data_format="channels_first", **options)[0][0].shape == (10, 3, 8, 8)
    _, y = images_of(folder, class_names=["bees", "ants"], **options)[0]
    assert y.tolist() == [0] * 5 + [1] * 5
    options["shuffle"] = True
    train, validate = images_of(folder, seed=3, validation_split=0.3, subset="both", **options)
    assert (len(train.file_paths), len(validate.file_paths)) == (7, 3)
    assert not set(train.file_paths) & set(validate.file_paths)
    again = images_of(folder, seed=3, validation_split=0.3, subset="validation", **options)
    assert again.file_paths == validate.file_paths


def test_aspect_ratios(folder: Path) -> None:
    options: dict[str, Any] = {"image_size": (12, 12), "verbose": False, "shuffle": False}
    assert images_of(folder, crop_to_aspect_ratio=True, **options)[0][0].shape == (10, 12, 12, 3)
    padded = images_of(folder, pad_to_aspect_ratio=True, **options)[0][0]
    assert padded[0, 0].max() == 0 < padded[0, 6].max()


def test_texts(folder: Path) -> None:
    data = texts_of(folder, shuffle=False, max_length=6, verbose=False)
    x, y = data[0]
    assert x.tolist() == ["ants n"] * 5 + ["bees n"] * 5
    assert y.tolist() == [0] * 5 + [1] * 5


def test_bad_choices(folder: Path, tmp_path: Path) -> None:
    for options, match in (
        ({"label_mode": "onehot"}, "label_mode"),
        ({"interpolation": "cubic"}, "Unknown interpolation"),
        ({"color_mode": "cmyk"}, "color_mode"),
        ({"subset": "training"}, "go together"),
        ({"subset": "training", "validation_split": 0.2}, "give a seed"),
        ({"class_names": ["ants"]}, "ants, bees"),
        ({"labels": [0, 1]}, "2 labels for 10 files"),
        ({"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True}, "exclude"),
    ):
        with pytest.raises(ValueError, match=match):
            images_of(folder, **options)
    with pytest.raises(ValueError, match="no files"):
        images_of(tmp_path)
    with pytest.raises(FileNotFoundError, match="not a folder"):
        texts_of(tmp_path / "nothing")
