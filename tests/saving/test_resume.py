"""Trainings that go on from a file: the place in the data, the callbacks, random numbers, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from tests.models.test_fit import dense_model, toy
from tests.saving import kills


class _Broken(Exception):  # noqa: N818
    pass


class _BreakOff(rv.callbacks.Callback):
    """Counts steps, and fails before the given one."""

    def __init__(self, step: int = -1) -> None:
        super().__init__()
        self.step, self.steps = step, 0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self.steps == self.step:
            raise _Broken
        self.steps += 1


@pytest.mark.parametrize("training", list(kills.TRAININGS))
def test_killed_trainings_end_as_if_they_had_not_been(training: str) -> None:
    assert kills.survive(training, 1, seed=2)[0] == 1


class _Pairs(rv.utils.PyDataset):
    """Batches that depend on their index alone."""

    def __init__(self, x: Any, y: Any) -> None:
        super().__init__()
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x) // 5

    def __getitem__(self, i: int) -> Any:
        return self.x[5 * i : 5 * i + 5], self.y[5 * i : 5 * i + 5]


class _Reordered(_Pairs):
    """Batches in an order that changes from epoch to epoch, which it knows how to tell."""

    def __init__(self, x: Any, y: Any) -> None:
        super().__init__(x, y)
        self.order = np.arange(len(x))

    def on_epoch_end(self) -> None:
        self.order = np.random.permutation(self.order)
        self.x, self.y = self.x[self.order], self.y[self.order]

    def get_state(self) -> Any:
        return {"x": self.x, "y": self.y, "order": self.order}

    def set_state(self, state: Any) -> None:
        self.x, self.y, self.order = state["x"], state["y"], state["order"]


class _Again:
    def __init__(self, x: Any, y: Any) -> None:
        self.batches = [(x[i : i + 5], y[i : i + 5]) for i in range(0, 40, 5)]

    def __iter__(self) -> Any:
        return iter(self.batches)


def _forever(x: Any, y: Any) -> Any:
    rng = np.random.default_rng(4)
    while True:
        chosen = rng.permutation(len(x))[:5]
        yield x[chosen], y[chosen]


_DATA = {
    "arrays": lambda x, y: {"x": x, "y": y, "batch_size": 5},
    "arrays in order": lambda x, y: {"x": x, "y": y, "batch_size": 5, "shuffle": False},
    "whole batches shuffled": lambda x, y: {"x": x, "y": y, "batch_size": 5, "shuffle": "batch"},
    "part of the arrays": lambda x, y: {"x": x, "y": y, "batch_size": 3, "steps_per_epoch": 8},
    "a sequence": lambda x, y: {"x": _Pairs(x, y)},
    "a sequence that changes": lambda x, y: {"x": _Reordered(x, y)},
    "an iterable that begins anew": lambda x, y: {"x": _Again(x, y)},
    "a generator": lambda x, y: {"x": _forever(x, y), "steps_per_epoch": 8},
    "an iterable": lambda x, y: {"x": iter([(x[i : i + 5], y[i : i + 5]) for i in range(0, 40, 5)] * 4),
                                 "steps_per_epoch": 8},
}  # fmt: skip


def _fit(data: str, seed: int = 5, **more: Any) -> Any:
    rv.utils.set_random_seed(seed)
    x, y = toy(40)
    model = rv.Sequential(
        [rv.Input(x.shape[1:]), rv.layers.Dense(8, "tanh"), rv.layers.Dropout(0.3), rv.layers.Dense(1)]
    )
    model.compile(rv.optimizers.Adam(0.01), "mse", metrics=["mae"])
    y = x.sum(1, keepdims=True)
    model.fit(**_DATA[data](x, y), epochs=4, verbose=0, **more)
    return model


@pytest.mark.parametrize("save_freq", ["epoch", 3, 4, 8])
@pytest.mark.parametrize("data", list(_DATA))
def test_every_kind_of_data_goes_on_in_its_place(tmp_path: Path, data: str, save_freq: Any) -> None:
    path = tmp_path / "m.rv"

    def rules(step: int = -1) -> list[Any]:
        stop = rv.callbacks.EarlyStopping(monitor="loss", patience=2, restore_best_weights=True)
        return [_BreakOff(step), rv.callbacks.ModelCheckpoint(path, save_freq=save_freq), stop]

    whole = _fit(data, callbacks=rules())
    with pytest.raises(_Broken):
        _fit(data, callbacks=rules(21))
    counted = rules()
    again = _fit(data, seed=5 if "iter" in data or "gener" in data else 99, callbacks=counted, resume=path)
    assert counted[0].steps == {"epoch": 32 - 16, 3: 32 - 21, 4: 32 - 20, 8: 32 - 16}[save_freq]
    assert again.history.history == whole.history.history and again.history.epoch == [0, 1, 2, 3]
    for a, b in zip(again.weights + again.optimizer.variables, whole.weights + whole.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_states_of_recurrent_layers_go_on(tmp_path: Path) -> None:
    def fit(step: int = -1, resume: Any = None) -> Any:
        rv.utils.set_random_seed(5)
        x = np.random.default_rng(0).normal(size=(40, 3, 2)).astype(np.float32)
        model = rv.Sequential([rv.Input((3, 2)), rv.layers.LSTM(4, stateful=True, dropout=0.2, seed=3)])
        model.compile("sgd", "mse")
        rules = [_BreakOff(step), rv.callbacks.ModelCheckpoint(tmp_path / "m.rv", save_freq=3)]
        model.fit(
            x,
            np.repeat(x[:, 0, :1], 4, 1),
            batch_size=10,
            epochs=3,
            verbose=0,
            callbacks=rules,
            shuffle=False,
            resume=resume,
        )
        return model

    whole = fit()
    with pytest.raises(_Broken):
        fit(7)
    for a, b in zip(fit(resume=tmp_path / "m.rv").weights, whole.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_training_that_a_callback_ended_stays_ended(tmp_path: Path) -> None:
    """The file of the last epoch was written before the callback after it said to stop."""
    x, y = toy(40)

    def rules() -> list[Any]:
        return [rv.callbacks.ModelCheckpoint(tmp_path / "m.rv"), rv.classic.callbacks.StopWhenBelow(1e9)]

    model = dense_model()
    assert model.fit(x, y, epochs=3, verbose=0, callbacks=rules()).epoch == [0]
    assert model.fit(x, y, epochs=3, verbose=0, callbacks=rules(), resume=tmp_path / "m.rv").epoch == [0]


def test_what_cannot_be_gone_on_from(tmp_path: Path) -> None:
    x, y = toy(40)
    model = dense_model()
    with pytest.raises(FileNotFoundError):
        model.fit(x, y, verbose=0, resume=tmp_path / "none.rv")
    model.save(tmp_path / "m.rv")
    with pytest.raises(ValueError, match=r"m\.rv' holds no position in training.*ModelCheckpoint"):
        model.fit(x, y, verbose=0, resume=tmp_path / "m.rv")
    model.fit(
        x, y, verbose=0, callbacks=[rv.callbacks.ModelCheckpoint(tmp_path / "m.rv"), rv.callbacks.EarlyStopping("loss")]
    )
    with pytest.warns(UserWarning, match="had callbacks that this one has not: ModelCheckpoint, EarlyStopping"):
        model.fit(x, y, verbose=0, epochs=2, resume=tmp_path / "m.rv")
    wider = rv.Sequential([rv.Input((6,)), rv.layers.Dense(9)])
    wider.compile("sgd", "mse")
    with pytest.raises(ValueError, match="does not fit"):
        wider.fit(x, x[:, :1], verbose=0, resume=tmp_path / "m.rv")


def test_the_state_of_a_callback_of_ones_own(tmp_path: Path) -> None:
    class Counting(rv.callbacks.Callback):
        state_names = ("seen",)
        seen = 0

        def on_train_begin(self, logs: Any = None) -> None:
            self.seen = 0

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.seen += 1

    x, y = toy(40)
    model, rule = dense_model(), Counting()
    model.fit(x, y, epochs=2, verbose=0, callbacks=[rv.callbacks.ModelCheckpoint(tmp_path / "m.rv"), Counting()])
    model.fit(x, y, epochs=5, verbose=0, callbacks=[rv.callbacks.ModelCheckpoint(tmp_path / "m.rv"), rule],
              resume=tmp_path / "m.rv")  # fmt: skip
    assert rule.seen == 5

    rule.seen = object()  # type: ignore[assignment]
    rule.on_epoch_end = lambda epoch, logs: setattr(rule, "seen", object())  # type: ignore[method-assign]
    rules = [rule, rv.callbacks.ModelCheckpoint(tmp_path / "m.rv")]
    with pytest.raises(TypeError, match=r"training/callbacks/0/1/seen: .* cannot be saved"):
        model.fit(x, y, verbose=0, callbacks=rules)
