"""Saved models: what comes back, what goes on as before, and what every kind of damage says."""

from __future__ import annotations

import json
import os
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ranvier as rv
from ranvier.saving import file
from tests.models.test_fit import dense_model, image_model, images, toy
from tests.saving import fixture


def same_weights(a: Any, b: Any) -> None:
    for u, v in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(u, v)


# --- what comes back --------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop", "adamw", "adagrad", "adadelta"])
def test_training_goes_on_as_if_nothing_had_been_saved(tmp_path: Path, optimizer: str) -> None:
    x, y = toy(64)
    model = dense_model(optimizer=optimizer)
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "m.rv")
    loaded = rv.models.load_model(tmp_path / "m.rv")
    results = []
    for each in (model, loaded):
        rv.utils.set_random_seed(4)
        results.append(each.fit(x, y, epochs=3, validation_data=(x, y), verbose=0).history)
    assert results[0] == results[1]
    same_weights(model, loaded)
    assert loaded.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)


def test_convolutions_statistics_and_dropout_go_on_too(tmp_path: Path) -> None:
    x, y = images()
    model = image_model("float64")
    model.fit(x, y, epochs=1, verbose=0)
    model.save(tmp_path / "m.rv")
    loaded = rv.saving.load_model(tmp_path / "m.rv")
    np.testing.assert_array_equal(model.predict(x, verbose=0), loaded.predict(x, verbose=0))
    for each in (model, loaded):
        rv.utils.set_random_seed(4)
        each.fit(x, y, epochs=2, verbose=0)
    same_weights(model, loaded)


def test_a_changed_learning_rate_is_saved(tmp_path: Path) -> None:
    x, y = toy()
    model = dense_model()
    model.optimizer.learning_rate = 0.25
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m.rv")
    assert float(rv.models.load_model(tmp_path / "m.rv").optimizer.learning_rate) == 0.25


def test_objects_in_compile_come_back(tmp_path: Path) -> None:
    x, y = toy()
    settings = {
        "optimizer": rv.optimizers.Adam(0.003, beta_1=0.8, clipnorm=1.0),
        "loss": rv.losses.SparseCategoricalCrossentropy(from_logits=False),
        "metrics": [rv.metrics.SparseTopKCategoricalAccuracy(k=2, name="top2"), "accuracy"],
    }
    model = dense_model(**settings)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m.rv")
    loaded = rv.models.load_model(tmp_path / "m.rv")
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    assert loaded.evaluate(x, y, verbose=0, return_dict=True) == model.evaluate(x, y, verbose=0, return_dict=True)


def test_without_compile(tmp_path: Path) -> None:
    x, y = toy()
    model = dense_model()
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m.rv")
    loaded = rv.models.load_model(tmp_path / "m.rv", compile=False)
    assert not loaded.compiled
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_functional_model_with_shared_layers(tmp_path: Path) -> None:
    a, b = rv.Input((3,), name="a"), rv.Input((3,), name="b")
    shared = rv.layers.Dense(4, activation="tanh")
    model = rv.Model([a, b], rv.layers.Concatenate()([shared(a), shared(b)]))
    model.save(tmp_path / "m.rv")
    loaded = rv.models.load_model(tmp_path / "m.rv")
    x = [np.random.default_rng(i).normal(size=(5, 3)).astype(np.float32) for i in range(2)]
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


@rv.saving.register_serializable("tests")
class Twice(rv.Model):
    def __init__(self, units: int) -> None:
        super().__init__()
        self.units = units
        self.first, self.second = rv.layers.Dense(units, activation="relu"), rv.layers.Dense(1)

    def call(self, x: Any) -> Any:
        return self.second(self.first(x))

    def get_config(self) -> dict[str, Any]:
        return {"units": self.units}


def test_a_registered_subclass(tmp_path: Path) -> None:
    x, _ = toy()
    model = Twice(3)
    model.compile("adam", "mse")
    model.fit(x, x[:, :1], verbose=0)
    model.save(tmp_path / "m.rv")
    loaded = rv.models.load_model(tmp_path / "m.rv")
    same_weights(model, loaded)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_a_class_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    class Unknown(rv.layers.Dense):
        pass

    model = rv.Sequential([rv.Input((3,)), Unknown(2)])
    model.save(tmp_path / "m.rv")
    with pytest.raises(ValueError, match=r"m\.rv': its model cannot be made: .*Unknown"):
        rv.models.load_model(tmp_path / "m.rv")
    same_weights(rv.models.load_model(tmp_path / "m.rv", custom_objects={"Unknown": Unknown}), model)


def test_weights_alone(tmp_path: Path) -> None:
    model, other = dense_model(), dense_model()
    model.save_weights(tmp_path / "w.rv")
    other.load_weights(tmp_path / "w.rv")
    same_weights(model, other)
    model.save(tmp_path / "m.rv")  # a whole model holds weights too
    third = dense_model()
    third.load_weights(str(tmp_path / "m.rv"))
    same_weights(model, third)
    with pytest.raises(ValueError, match="holds weights and no model; use load_weights"):
        rv.models.load_model(tmp_path / "w.rv")


def test_weights_that_do_not_fit_change_nothing(tmp_path: Path) -> None:
    model = dense_model()
    model.save_weights(tmp_path / "w.rv")
    other = rv.Sequential([rv.Input((6,)), rv.layers.Dense(8), rv.layers.Dense(5)])
    before = other.get_weights()
    with pytest.raises(ValueError, match=r"w\.rv' does not fit: .*kernel.* shape \(8, 5\), the file has .*\(8, 4\)"):
        other.load_weights(tmp_path / "w.rv")
    for a, b in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        other.load_weights(tmp_path / "w.rv", skip_mismatch=True)
    assert len(caught) == 2
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])
    small = rv.Sequential([rv.Input((6,)), rv.layers.Dense(8)])
    with pytest.raises(ValueError, match="has 2 variables, the file 4"):
        small.load_weights(tmp_path / "w.rv")


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "int32", "int64", "uint8", "bool"])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_every_dtype_keeps_its_bits(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    values = rv.Tensor(np.linspace(-3, 3, int(np.prod(shape))).reshape(shape))
    tensor = rv.ops.cast(values, dtype)
    file.write(str(tmp_path / "t.rv"), {"t": tensor}, {"kind": "weights"})
    _, tensors = file.read(str(tmp_path / "t.rv"))
    assert (tensors["t"].dtype, tensors["t"].shape) == (dtype, shape)
    np.testing.assert_array_equal(tensors["t"].numpy(), tensor.numpy())


def test_safetensors_reads_our_files(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    model = dense_model()
    model.save(tmp_path / "m.rv")
    tensors = load_file(tmp_path / "m.rv")
    names = sorted(n for n in tensors if n.startswith("weights/"))
    for name, expected in zip(names, model.get_weights(), strict=True):
        np.testing.assert_array_equal(tensors[name], expected)


# --- how it is written ------------------------------------------------------------------------------------


def test_a_failed_save_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.rv"
    dense_model().save(path)
    old = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        dense_model().save(path)
    assert path.read_bytes() == old and [p.name for p in tmp_path.iterdir()] == ["m.rv"]


def test_paths(tmp_path: Path) -> None:
    model = dense_model()
    for name in ("m.h5", "m.hdf5"):
        with pytest.raises(ValueError, match=r"must end in \.rv, or \.keras for Keras"):
            model.save(tmp_path / name)
        with pytest.raises(ValueError, match=r"must end in \.rv, or \.keras for Keras"):
            rv.models.load_model(tmp_path / name)
    with pytest.raises(ValueError, match=r"must end in \.rv"):
        model.save(tmp_path / "m")
    with pytest.raises(FileNotFoundError):
        rv.models.load_model(tmp_path / "none.rv")
    model.save(tmp_path / "m.rv")
    with pytest.raises(FileExistsError, match="overwrite=False"):
        model.save(tmp_path / "m.rv", overwrite=False)
    with pytest.raises(FileNotFoundError):
        model.save(tmp_path / "nowhere" / "m.rv")


def test_a_model_without_weights_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no weights yet"):
        rv.Sequential([rv.layers.Dense(3)]).save(tmp_path / "m.rv")


# --- damage -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    x, y = toy(8)
    model = dense_model(optimizer="adam")
    model.fit(x, y, verbose=0)
    path = tmp_path_factory.mktemp("saved") / "m.rv"
    model.save(path)
    return path.read_bytes()


def load(folder: Any, data: bytes) -> Any:
    path = folder / "damaged.rv"
    path.write_bytes(data)
    return rv.models.load_model(path)


@given(data=st.data())
def test_no_flipped_byte_goes_unnoticed(saved: bytes, data: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("flip")
    damaged = bytearray(saved)
    header = 8 + struct.unpack("<Q", saved[:8])[0]
    for _ in range(data.draw(st.integers(1, 4))):
        first, last = data.draw(st.sampled_from([(header, len(saved)), (0, header)]))
        damaged[data.draw(st.integers(first, last - 1))] ^= data.draw(st.integers(1, 255))
    if damaged == saved:
        return
    try:
        load(folder, bytes(damaged))
    except ValueError as error:
        assert "damaged.rv" in str(error)
    else:  # only blanks that pad the header may differ without harm
        assert damaged[header:] == saved[header:]
        assert json.loads(damaged[8:header]) == json.loads(saved[8:header])


@given(length=st.integers(0, 20_000))
def test_truncation_is_noticed(saved: bytes, length: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    length = min(length, len(saved) - 1)
    with pytest.raises(ValueError, match=r"damaged\.rv' cannot be read: .*(truncated|too few|bytes)"):
        load(tmp_path_factory.mktemp("cut"), saved[:length])


@given(noise=st.binary(max_size=200))
def test_noise_is_refused(noise: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    for data in (noise, struct.pack("<Q", len(noise)) + noise):
        with pytest.raises(ValueError, match=r"damaged\.rv' cannot be read"):
            load(tmp_path_factory.mktemp("noise"), data)


def rewritten(saved: bytes, change: Any) -> bytes:
    """The file with its header and description changed, checksum of the description renewed."""
    length = struct.unpack("<Q", saved[:8])[0]
    header = json.loads(saved[8 : 8 + length])
    description = json.loads(header["__metadata__"]["ranvier"])
    body = change(header, description) or saved[8 + length :]
    text = json.dumps(description)
    if "ranvier" in header.get("__metadata__", {}):
        header["__metadata__"]["ranvier"] = text
        header["__metadata__"]["ranvier_crc32"] = f"{zlib.crc32(text.encode()):08x}"
    head = json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + body


def first_weight(header: dict[str, Any]) -> str:
    return next(name for name in header if name.startswith("weights/0"))


def remove_tensor(header: Any, description: Any) -> None:
    del header[first_weight(header)]


def add_tensor(header: Any, description: Any) -> None:
    header["weights/99/x"] = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}


def reshape_tensor(header: Any, description: Any) -> None:
    header[first_weight(header)]["shape"] = [8, 6]


def huge_tensor(header: Any, description: Any) -> None:
    header[first_weight(header)]["shape"] = [2**62, 2**62]


def negative_tensor(header: Any, description: Any) -> None:
    header[first_weight(header)]["shape"] = [-6, -8]


def strange_dtype(header: Any, description: Any) -> None:
    header[first_weight(header)]["dtype"] = "F8_E4M3"


def other_weights(header: Any, description: Any) -> None:
    """Consistent in itself, but not what the model has."""
    name = first_weight(header)
    header[name]["shape"] = description["tensors"][name][1] = [8, 6]


def newer(header: Any, description: Any) -> None:
    description["format_version"] = 2
    description["ranvier_version"] = "9.9"


def no_model(header: Any, description: Any) -> None:
    del header["__metadata__"]["ranvier"]


def bad_model(header: Any, description: Any) -> None:
    description["model"]["config"]["layers"][1]["config"]["units"] = "many"


def bad_optimizer(header: Any, description: Any) -> None:
    description["compile"]["optimizer"]["class_name"] = "os.system"


def extra_bytes(header: Any, description: Any) -> bytes:
    end = max(e["data_offsets"][1] for n, e in header.items() if n != "__metadata__")
    return bytes(end) + b"more"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove_tensor, "missing tensor 'weights/0"),
        (add_tensor, "extra tensor 'weights/99/x'"),
        (reshape_tensor, "is damaged"),
        (huge_tensor, "does not fit"),
        (negative_tensor, "no proper dtype, shape or place"),
        (strange_dtype, "no proper dtype, shape or place"),
        (other_weights, r"does not fit: .*shape \(6, 8\), the file has .*\(8, 6\)"),
        (newer, r"format 2, written by Ranvier 9\.9; .*upgrade"),
        (no_model, "holds no Ranvier model"),
        (bad_model, "its model cannot be made"),
        (bad_optimizer, r"cannot be compiled as it was.*compile=False"),
        (extra_bytes, "damaged|bytes follow"),
    ],
)
def test_wrong_contents_are_named(saved: bytes, tmp_path: Path, change: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        load(tmp_path, rewritten(saved, change))
    assert "damaged.rv" in str(caught.value)
    load(tmp_path, rewritten(saved, lambda header, description: None))  # the rewriting itself does no harm


def test_a_safetensors_file_of_others_is_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(3, np.float32)}, tmp_path / "other.rv")
    with pytest.raises(ValueError, match="holds no Ranvier model"):
        rv.models.load_model(tmp_path / "other.rv")


# --- files of released formats ----------------------------------------------------------------------------


def test_format_1_is_read_for_ever(tmp_path: Path) -> None:
    """The file was written by the first release; what it predicted then is beside it."""
    path = Path(__file__).parent / "data" / "format1.rv"
    x, y = fixture.data()
    model = rv.models.load_model(path)
    expected = np.load(path.with_name("format1_predictions.npy"))
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5)
    assert (type(model.optimizer).__name__, int(model.optimizer.iterations)) == ("Adam", 5)
    other = fixture.model()
    other.load_weights(path)
    same_weights(other, model)
    history = model.fit(
        x, y, batch_size=4, epochs=3, verbose=0, callbacks=fixture.rules(str(tmp_path / "m.rv")), resume=path
    )
    assert history.epoch == [0, 1, 2] and int(model.optimizer.iterations) == 9
    with file.opened(str(path)) as (description, _):
        assert description["format_version"] == 1 and description["training"]["batch"] == 2
        assert description["metrics"] == {} or "loss" in description["metrics"]
