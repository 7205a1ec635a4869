"""Workers: batches made ahead come in the same order, with the same errors, and stop when training stops."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier.models.prefetch import Prefetch

HOW = [{"workers": 3}, {"workers": 2, "use_multiprocessing": True}, {"workers": 1, "use_multiprocessing": True}]
every_way = pytest.mark.parametrize("how", HOW, ids=["threads", "processes", "process"])


class Lines(rv.utils.PyDataset):
    """Twelve batches of a line; later ones are made faster, so that workers overtake each other."""

    def __init__(self, fails_at: int = -1, **how: Any) -> None:
        super().__init__(**how)
        self.fails_at = fails_at
        self.shift = 0.0
        self.made: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> Any:
        self.made.append((index, threading.current_thread().name))
        if index == self.fails_at:
            raise KeyError(f"no file for batch {index}")
        time.sleep(0.002 * max(12 - index, 0) / 12)
        x = np.linspace(0, 1, 8, dtype="float32")[:, None] + index
        return x, 2 * x + self.shift

    def on_epoch_end(self) -> None:
        self.shift += 1


def fitted(dataset: Any, **options: Any) -> tuple[list[float], np.ndarray]:
    rv.utils.set_random_seed(4)
    model = rv.Sequential([rv.Input((1,)), rv.layers.Dense(1)])
    model.compile(rv.optimizers.SGD(0.001), "mse")
    history = model.fit(dataset, epochs=3, verbose=0, **options).history["loss"]
    return history, model.layers[0].kernel.numpy().copy()


@every_way
def test_training_is_the_same_with_workers(how: dict[str, Any]) -> None:
    """Bit for bit, unshuffled (a process draws a seed for its batches, after which the order is another)."""
    alone, kernel = fitted(Lines(), shuffle=False)
    together, same = fitted(Lines(**how), shuffle=False)
    assert alone == together
    np.testing.assert_array_equal(kernel, same)


def test_shuffled_with_threads_too() -> None:
    assert fitted(Lines())[0] == fitted(Lines(workers=4, max_queue_size=3))[0]


@every_way
def test_errors_come_up_where_they_belong(how: dict[str, Any]) -> None:
    steps: list[int] = []
    count = rv.callbacks.LambdaCallback(on_train_batch_end=lambda step, logs: steps.append(step))
    with pytest.raises(KeyError, match="no file for batch 7") as caught:
        fitted(Lines(fails_at=7, **how), shuffle=False, callbacks=[count])
    assert steps == list(range(7))
    assert caught.value.__notes__ == ["This happened in a worker, while it made batch 7 of the data."]


def test_no_more_is_made_ahead_than_asked_for() -> None:
    dataset = Lines()
    batches = iter(Prefetch(dataset, range(12), workers=2, processes=False, ahead=3))
    next(batches)
    time.sleep(0.1)
    assert len(dataset.made) <= 1 + 3
    batches.close()  # type: ignore[attr-defined]
    time.sleep(0.05)
    assert len(dataset.made) <= 1 + 3
    assert all(name.startswith("ranvier-batches") for _, name in dataset.made)


class Noise(rv.utils.PyDataset):
    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> Any:
        return np.concatenate([np.random.normal(size=2), rv.random.normal((2,)).numpy()])[None], np.zeros((1, 1))


def test_random_numbers_in_processes_follow_the_seed() -> None:
    drawn = []
    for workers in (1, 3):
        rv.utils.set_random_seed(8)
        source = rv.models.data.batches_of(
            Noise(workers=workers, use_multiprocessing=True), device="cpu", floatx="float32"
        )
        drawn.append([[x.numpy().tolist() for x, _, _ in source] for _ in range(2)])
    assert drawn[0] == drawn[1]
    every = [str(x) for epoch in drawn[0] for x in epoch]
    assert len(set(every)) == len(every)


class Dying(Lines):
    def __getitem__(self, index: int) -> Any:
        if index == 3:
            os._exit(1)
        return super().__getitem__(index)


def test_a_worker_that_dies_is_told_of() -> None:
    with pytest.raises(RuntimeError, match="a worker process ended while batches were made"):
        fitted(Dying(workers=2, use_multiprocessing=True))


@pytest.fixture
def heard_ctrl_c() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@every_way
@pytest.mark.usefixtures("heard_ctrl_c")
def test_ctrl_c_leaves_no_worker_behind(how: dict[str, Any]) -> None:
    def interrupt(step: int, logs: Any) -> None:
        if step == 4:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fitted(Lines(**how), callbacks=[rv.callbacks.LambdaCallback(on_train_batch_begin=interrupt)])
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and any(t.name.startswith("ranvier-batches") for t in threading.enumerate()):
        time.sleep(0.01)
    assert not any(t.name.startswith("ranvier-batches") for t in threading.enumerate())


class Endless(Lines):
    @property
    def num_batches(self) -> None:
        return None


def test_a_data_set_without_end_needs_a_number_of_steps() -> None:
    with pytest.raises(ValueError, match="Endless has no end"):
        fitted(Endless())
    assert len(fitted(Endless(), steps_per_epoch=5)[0]) == 3
