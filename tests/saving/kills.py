"""Trainings that are killed, at random moments and while they write, and started again until they come to their end.

``python -m tests.saving.kills --kills 30`` prints how many kills each kind of training survived. A training is a
process of its own, forked from this one; it ends with a digest of everything that it made, which must be that of a
training that was never disturbed, bit for bit.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import ranvier as rv

EPOCHS = 6


def _data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(60, 8, 8, 1)).astype(np.float32)
    return x, (x.mean((1, 2, 3)) > 0).astype(np.int32)


def _model(rate: Any) -> Any:
    layers = rv.layers
    model = rv.Sequential(
        [
            rv.Input((8, 8, 1)),
            layers.RandomFlip(seed=5),
            layers.RandomTranslation(0.1, 0.1),
            layers.Conv2D(8, 3),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(16, "tanh"),
            layers.Dropout(0.2, seed=11),
            layers.Dense(2),
        ]
    )
    loss = rv.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(rv.optimizers.Adam(rate), loss, metrics=["accuracy"])
    return model


def _rules(folder: Path, *more: Any) -> list[Any]:
    callbacks = rv.callbacks
    return [
        *more,
        callbacks.EarlyStopping(monitor="loss", patience=4, restore_best_weights=True),
        callbacks.CSVLogger(folder / "log.csv"),
    ]


def backup_in_epochs(folder: Path) -> Any:
    """BackupAndRestore every three steps, a schedule, arrays that are shuffled."""
    rate = rv.optimizers.schedules.ExponentialDecay(0.01, 5, 0.9)
    model, (x, y) = _model(rate), _data()
    rules = _rules(folder, rv.callbacks.BackupAndRestore(folder / "backup", save_freq=3, double_checkpoint=True))
    model.fit(x, y, batch_size=8, epochs=EPOCHS, verbose=0, callbacks=rules, validation_split=0.2)
    return model


def checkpoints_and_resume(folder: Path) -> Any:
    """ModelCheckpoint after each epoch and ``resume``; the rate is lowered by callbacks; fewer steps than batches."""
    model, (x, y) = _model(0.01), _data()
    path = folder / "model.rv"
    rules = [
        rv.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        rv.callbacks.ModelCheckpoint(path),
        rv.callbacks.ReduceLROnPlateau(monitor="val_loss", patience=1, min_delta=0.2),
        *_rules(folder),
    ]
    model.fit(x, y, batch_size=8, epochs=EPOCHS, verbose=0, callbacks=rules, validation_data=(x[:9], y[:9]),
              steps_per_epoch=5, resume=path if path.exists() else None)  # fmt: skip
    return model


def augmented_files(folder: Path) -> Any:
    """ModelCheckpoint every four batches of an ``ImageDataGenerator``, means of the weights."""
    model, (x, y) = _model(0.01), _data()
    model.compile(rv.optimizers.SGD(0.05, momentum=0.9, use_ema=True), model.loss, metrics=["accuracy"])
    path = folder / "model.rv"
    generator = rv.preprocessing.image.ImageDataGenerator(rotation_range=20, horizontal_flip=True)
    flow = generator.flow(x, y, batch_size=8, seed=None, shuffle=True)
    rules = _rules(folder, rv.callbacks.SwapEMAWeights(), rv.callbacks.ModelCheckpoint(path, save_freq=4))
    model.fit(flow, epochs=EPOCHS, verbose=0, callbacks=rules, validation_data=(x[:9], y[:9]),
              resume=path if path.exists() else None)  # fmt: skip
    return model


TRAININGS: dict[str, Callable[[Path], Any]] = {
    f.__name__: f for f in (backup_in_epochs, checkpoints_and_resume, augmented_files)
}


def digest(model: Any, folder: Path) -> str:
    """Of weights, optimizer, history and the log file."""
    found = hashlib.sha256()
    for variable in (*model.weights, *model.optimizer.variables):
        found.update(variable.numpy().tobytes())
    found.update(json.dumps(model.history.history, sort_keys=True).encode())
    found.update((folder / "log.csv").read_bytes())
    found.update(json.dumps(rv.random.default_generator().get_state()).encode())
    return found.hexdigest()


def _die_in_write(countdown: int) -> None:
    """Kills this process in the middle of a file, before it is moved to its place, or just after."""
    left = [countdown]

    def deadly(name: str) -> None:
        function = getattr(os, name)

        def call(*args: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args)

        setattr(os, name, call)

    deadly("fsync")  # of the file (before it is moved), and of the folder (after)
    deadly("replace")


def _child(training: Callable[[Path], Any], folder: Path, countdown: int) -> int:
    """Starts a training in a process of its own; ``countdown``: the system call of a write in which it dies."""
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        rv.utils.set_random_seed(7)
        if countdown:
            _die_in_write(countdown)
        result = digest(training(folder), folder)
        (folder / "digest").write_text(result)
        status = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _run(training: Callable[[Path], Any], folder: Path, delay: float | None, countdown: int = 0) -> bool:
    """One life of a training; True where it came to its end. Raises RuntimeError where it failed."""
    process = _child(training, folder, countdown)
    if delay is not None:
        time.sleep(delay)
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return False
    if status:
        raise RuntimeError(f"{training.__name__} ended with status {status}")
    return True


def survive(name: str, kills: int, seed: int = 0) -> tuple[int, int]:
    """Kills a training so many times in all, over as many trainings as that takes; (kills, of them in writes).

    Raises AssertionError where a training that was killed ends otherwise than one that was not.
    """
    training, rng = TRAININGS[name], random.Random(seed)
    with tempfile.TemporaryDirectory() as whole:
        begin = time.perf_counter()
        _run(training, Path(whole), None)
        seconds = time.perf_counter() - begin
        expected = (Path(whole) / "digest").read_text()
    done = writing = 0
    while done < kills:
        with tempfile.TemporaryDirectory() as place:
            folder, ended = Path(place), False
            for _ in range(min(kills - done, rng.randint(1, 4))):
                in_write = rng.random() < 0.5
                if in_write:
                    ended = _run(training, folder, None, rng.randint(1, 20))
                else:
                    ended = _run(training, folder, rng.uniform(0.02, 1.0) * seconds)
                if ended:
                    break
                done, writing = done + 1, writing + in_write
            if not ended:
                _run(training, folder, None)
            found = (folder / "digest").read_text()
            assert found == expected, f"{name}: a training that was killed ended otherwise (seed {seed})"
    return done, writing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30, help="how many in all")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    share = -(-args.kills // len(TRAININGS))
    for name in TRAININGS:
        done, writing = survive(name, share, args.seed)
        print(f"{name}: {done} kills survived with bit-equal results, {writing} of them during a write", flush=True)


if __name__ == "__main__":
    main()
