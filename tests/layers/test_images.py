"""Layers that change images: Keras's numbers for Keras's transformation, and the laws of what is drawn."""

from __future__ import annotations

import inspect
import json
import os
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier.layers.augmentation.sampling import beta, gamma
from tests.layers.cases_images import CASES, DRAWN_INSIDE, PLAIN, SIZED, ImageCase

os.environ.setdefault("KERAS_BACKEND", "torch")
torch = pytest.importorskip("torch", reason="Keras needs a backend to compare with: pip install torch")
keras = pytest.importorskip("keras", reason="comparison with Keras 3: pip install keras")

IMAGES = np.random.default_rng(0).uniform(0, 255, (4, 12, 15, 3)).astype(np.float32)
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
in_layouts = pytest.mark.parametrize(
    ("case", "layout"), [pytest.param(c, f, id=f"{c.name},{f}") for c in CASES for f in c.layouts]
)


def images(layout: str) -> np.ndarray:
    return IMAGES if layout == "channels_last" else np.ascontiguousarray(np.moveaxis(IMAGES, -1, 1))


def make(case: ImageCase, layers: Any = rv.layers, **more: Any) -> Any:
    return getattr(layers, case.layer)(**case.arguments, **more)


def ours_of(value: Any) -> Any:
    """Keras's transformation with our tensors."""
    if isinstance(value, dict):
        return {key: ours_of(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(ours_of(item) for item in value)
    return rv.Tensor(value.detach().numpy()) if isinstance(value, torch.Tensor) else value


@in_layouts
def test_the_same_transformation_gives_kerass_numbers(case: ImageCase, layout: str) -> None:
    if case.layer in DRAWN_INSIDE:
        pytest.skip("Keras draws where it transforms")
    theirs, ours = make(case, keras.layers, data_format=layout), make(case, data_format=layout)
    keras.utils.set_random_seed(1)
    x = images(layout)
    drawn = theirs.get_random_transformation(torch.tensor(x))
    if case.layer == "RandAugment":  # Keras computes all, and its brightness adds in place, chosen or not
        expected = torch.tensor(x)
        for i in drawn["layer_idxes"].tolist():
            name = theirs._AUGMENT_LAYERS[i]
            expected = getattr(theirs, name).transform_images(expected.clone(), drawn["transforms"][name])
    else:
        expected = theirs.transform_images(torch.tensor(x), drawn)
    found = ours.transform_images(rv.Tensor(x), ours_of(drawn)).numpy()
    # Weights of float32 places, on values up to 255; a place between two pixels may fall to either.
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=0, atol=2e-2)


@every_case
def test_arguments_and_configuration(case: ImageCase) -> None:
    skipped = {"self", "kwargs", "name", "args"}
    both = [inspect.signature(getattr(k.layers, case.layer).__init__).parameters for k in (rv, keras)]
    ours, theirs = ([(n, p.default) for n, p in found.items() if n not in skipped] for found in both)
    assert ours == theirs
    layer = make(case)
    twin = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
    assert twin.get_config() == layer.get_config()
    from_keras = make(case, keras.layers)
    type(layer).from_config(json.loads(json.dumps(from_keras.get_config())))


@in_layouts
def test_seeds_repeat_and_inference_passes_through(case: ImageCase, layout: str) -> None:
    x = images(layout)
    seeded = {} if case.layer in (*PLAIN, "Equalization") else {"seed": 7}
    first, again, reference = (make(case, data_format=layout, **seeded) for _ in range(3))
    y = first(x).numpy()
    assert y.shape == first.compute_output_shape(x.shape)
    np.testing.assert_array_equal(again(x).numpy(), y)
    with rv.device("reference"):
        np.testing.assert_allclose(reference(rv.Tensor(x)).numpy(), y, atol=2e-3)
    one = first(x[0]).numpy()
    assert one.shape == y.shape[1:]
    assert np.isfinite(y).all()
    if case.layer not in (*PLAIN, *SIZED):
        np.testing.assert_array_equal(first(x, training=False).numpy(), x)


@pytest.mark.parametrize("layer", ["RandomFlip", "RandomRotation", "RandomZoom", "RandomContrast", "CutMix", "MixUp"])
def test_steps_that_are_replayed_draw_anew(layer: str) -> None:
    """In a model, recorded or not, each batch is changed in another way, the same as without recording."""
    arguments = {"RandomFlip": (), "CutMix": (), "MixUp": (), "RandomZoom": (0.3,)}.get(layer, (0.2,))

    def losses(replayed: bool) -> list[float]:
        rv.utils.set_random_seed(5)
        model = rv.Sequential(
            [rv.Input((12, 15, 3)), getattr(rv.layers, layer)(*arguments), rv.layers.Flatten(), rv.layers.Dense(1)]
        )
        model.compile("sgd", "mse", jit_compile="auto" if replayed else False)
        model.optimizer.learning_rate = 0.0
        history = model.fit(IMAGES / 255, np.zeros((4, 1)), epochs=6, batch_size=4, shuffle=False, verbose=0)
        if replayed:
            assert any("replayed" in text for text in model.replay_info().values()), model.replay_info()
        return list(history.history["loss"])

    eager = losses(False)
    assert len(set(eager)) > 1
    assert losses(True) == eager


def test_labels_and_masks_go_with_the_images() -> None:
    labels = np.eye(4, dtype=np.float32)
    masks = (IMAGES[..., :1] > 128).astype(np.float32)
    data = {"images": IMAGES, "labels": labels, "segmentation_masks": masks}
    flipped = rv.layers.RandomFlip("horizontal", seed=2)(dict(data))
    np.testing.assert_array_equal(
        (flipped["images"].numpy()[..., :1] > 128).astype(np.float32), flipped["segmentation_masks"].numpy()
    )
    np.testing.assert_array_equal(flipped["labels"].numpy(), labels)
    turned = rv.layers.RandomRotation(0.1, seed=2)(dict(data))["segmentation_masks"].numpy()
    assert set(np.unique(turned)) <= {0.0, 1.0}
    for layer in (rv.layers.CutMix(seed=3), rv.layers.MixUp(2.0, seed=3)):
        mixed = layer(dict(data))
        np.testing.assert_allclose(mixed["labels"].numpy().sum(-1), 1, rtol=1e-6)
        assert (mixed["labels"].numpy() != labels).any()
    with pytest.raises(ValueError, match="bounding boxes are not supported"):
        rv.layers.RandomFlip()({**data, "bounding_boxes": masks})


def test_cut_mix_weighs_labels_by_area() -> None:
    bright = np.zeros((2, 40, 40, 1), np.float32)
    bright[1] = 1
    for seed in range(20):
        mixed = rv.layers.CutMix(seed=seed)({"images": bright, "labels": np.eye(2, dtype=np.float32)})
        area = mixed["images"].numpy().mean(axis=(1, 2, 3))
        np.testing.assert_allclose(mixed["labels"].numpy()[:, 1], area, atol=0.06)  # rectangles begin between pixels


@pytest.mark.parametrize("alpha", [0.2, 1.0, 2.5])
def test_beta_and_gamma_have_their_moments(alpha: float) -> None:
    count = 40_000
    drawn = beta(rv.random.Generator(1), (count,), alpha, "float64").numpy()
    deviation = np.sqrt(1 / (4 * (2 * alpha + 1)))
    assert abs(drawn.mean() - 0.5) < 5 * deviation / np.sqrt(count)
    assert abs(drawn.std() / deviation - 1) < 0.02
    drawn = gamma(rv.random.Generator(2), (count,), alpha, "float64").numpy()
    assert abs(drawn.mean() / alpha - 1) < 5 / np.sqrt(count * alpha)
    assert abs(drawn.var() / alpha - 1) < 5 * np.sqrt((2 + 6 / alpha) / count)


def test_color_jitter_is_its_parts() -> None:
    layer = rv.layers.RandomColorJitter(brightness_factor=0.3, saturation_factor=(0.4, 0.6), seed=1)
    drawn = layer.get_random_transformation(rv.Tensor(IMAGES))
    brighter = rv.layers.RandomBrightness(0.3).transform_images(IMAGES, drawn[0])
    expected = rv.layers.RandomSaturation((0.4, 0.6)).transform_images(brighter, drawn[1]).numpy()
    np.testing.assert_array_equal(layer.transform_images(rv.Tensor(IMAGES), drawn).numpy(), expected)


def test_pipeline_as_in_keras() -> None:
    def build(k: Any) -> Any:
        return k.layers.Pipeline([k.layers.Resizing(6, 8), k.layers.Rescaling(1 / 255), k.layers.RandomInvert(0.0)])

    ours, theirs = build(rv), build(keras)
    np.testing.assert_allclose(ours(IMAGES).numpy(), theirs(IMAGES).detach().numpy(), atol=1e-6)
    twin = rv.layers.Pipeline.from_config(json.loads(json.dumps(ours.get_config())))
    np.testing.assert_array_equal(twin(IMAGES).numpy(), ours(IMAGES).numpy())


@pytest.mark.parametrize(
    ("make_layer", "message"),
    [
        (lambda: rv.layers.RandomRotation(3.0), r"factor must be a number, or two of them, in \[-1, 1\], got 3.0"),
        (lambda: rv.layers.RandomFlip("horizontl"), "Did you mean 'horizontal'"),
        (lambda: rv.layers.RandomZoom(0.1, fill_mode="mirrored"), "Unknown fill_mode"),
        (lambda: rv.layers.RandomBrightness(0.1, value_range=255), "value_range must be two numbers"),
        (lambda: rv.layers.RandomGaussianBlur(kernel_size=4), "one or two odd numbers, got 4"),
        (lambda: rv.layers.MixUp(alpha=0), "alpha must be positive"),
        (lambda: rv.layers.Resizing(0, 5), "height"),
        (lambda: rv.layers.RandomFlip()(np.ones((3, 3))), r"rank 3 \(one\) or 4"),
        (lambda: rv.layers.AdaptiveMaxPooling2D((2, 2, 2)), "must be 2 positive whole numbers"),
    ],
)
def test_messages(make_layer: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_layer()
