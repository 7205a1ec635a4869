"""Callbacks: when they are called, and what each does."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import callbacks
from tests.models.test_fit import dense_model, toy


def test_hooks_come_in_keras_order() -> None:
    x, y = toy(20)
    seen: list[str] = []
    hooks = [name for name in vars(callbacks.Callback) if name.startswith("on_")]

    class Everything(callbacks.Callback):
        pass

    for hook in hooks:
        setattr(Everything, hook, lambda self, *a, _hook=hook, **k: seen.append(_hook))
    dense_model().fit(x, y, batch_size=10, validation_data=(x[:5], y[:5]), verbose=0, callbacks=[Everything()])
    step = ["on_train_batch_begin", "on_train_batch_end"]
    test = ["on_test_begin", "on_test_batch_begin", "on_test_batch_end", "on_test_end"]
    assert seen == ["on_train_begin", "on_epoch_begin", *step, *step, *test, "on_epoch_end", "on_train_end"]
    seen.clear()
    dense_model().predict(x, verbose=0, callbacks=[Everything()])
    assert seen == ["on_predict_begin", "on_predict_batch_begin", "on_predict_batch_end", "on_predict_end"]


def test_old_batch_hooks_are_called_too() -> None:
    x, y = toy(20)
    batches: list[int] = []

    class Old(callbacks.Callback):
        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            batches.append(batch)

    dense_model().fit(x, y, batch_size=10, verbose=0, callbacks=Old())
    assert batches == [0, 1]


def test_batch_logs_are_running_means() -> None:
    x, y = toy(30)
    losses: list[float] = []
    show = callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: losses.append(logs["loss"]))
    history = dense_model().fit(x, y, batch_size=10, verbose=0, callbacks=[show])
    assert len(losses) == 3 and losses[-1] == history.history["loss"][0]


def test_a_callback_stops_training() -> None:
    x, y = toy(40)

    class Stop(callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_training = batch == 1

    history = dense_model().fit(x, y, batch_size=10, epochs=5, verbose=0, callbacks=[Stop()])
    assert history.epoch == [0]


def test_what_is_no_callback_is_refused() -> None:
    x, y = toy()
    with pytest.raises(TypeError, match="callbacks must be Callback objects, not 3"):
        dense_model().fit(x, y, callbacks=[3])
    with pytest.raises(TypeError, match="'on_epoch_ends' is no hook"):
        callbacks.LambdaCallback(on_epoch_ends=print)


class Script(callbacks.Callback):
    """Replaces the value that later callbacks watch by one from a list."""

    def __init__(self, name: str, values: list[float]) -> None:
        super().__init__()
        self.name, self.values = name, values

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs[self.name] = self.values[epoch]


def scripted(values: list[float], *others: callbacks.Callback, name: str = "loss") -> Any:
    x, y = toy(8)
    model = dense_model()
    history = model.fit(x, y, epochs=len(values), verbose=0, callbacks=[Script(name, values), *others])
    return model, history


@pytest.mark.parametrize(
    ("options", "values", "epochs"),
    [
        ({}, [3.0, 2.0, 2.5, 1.0], 3),
        ({"patience": 2}, [3.0, 2.0, 2.5, 2.4, 1.0], 4),
        ({"patience": 2}, [3.0, 2.0, 2.5, 1.9, 2.0, 2.0, 2.0], 6),
        ({"min_delta": 0.5}, [3.0, 2.8, 1.0], 2),
        ({"mode": "max"}, [1.0, 2.0, 3.0, 2.0, 5.0], 4),
        ({"baseline": 1.0, "patience": 2}, [3.0, 2.9, 2.8, 2.7, 2.6], 5),
        ({"baseline": 1.0, "patience": 1}, [3.0, 3.1, 3.2], 2),
        ({"start_from_epoch": 3}, [1.0, 2.0, 3.0, 1.0, 2.0, 3.0], 5),
    ],
)
def test_early_stopping(options: dict[str, Any], values: list[float], epochs: int) -> None:
    _, history = scripted(values, callbacks.EarlyStopping(monitor="loss", **options))
    assert len(history.epoch) == epochs


def test_early_stopping_puts_the_best_weights_back() -> None:
    best: list[Any] = []
    keep = callbacks.LambdaCallback(on_epoch_end=lambda e, logs: best.append(keep.model.get_weights()))
    stop = callbacks.EarlyStopping("loss", patience=2, restore_best_weights=True)
    model, _ = scripted([3.0, 1.0, 2.0, 2.0, 2.0], keep, stop)
    assert (stop.best_epoch, stop.stopped_epoch) == (1, 3)
    for a, b in zip(model.get_weights(), best[1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_monitoring_what_is_not_there_warns() -> None:
    with pytest.warns(UserWarning, match="EarlyStopping watches 'val_loss', which is not there; there are loss"):
        scripted([1.0], callbacks.EarlyStopping())


def test_the_direction_comes_from_the_metric() -> None:
    x, y = toy()
    stop = callbacks.EarlyStopping("val_accuracy")
    dense_model().fit(x, y, epochs=2, validation_data=(x, y), verbose=0, callbacks=[stop])
    assert stop._rises()
    with pytest.raises(ValueError, match="cannot tell whether 'size' should rise or fall"):
        scripted([1.0, 2.0], callbacks.EarlyStopping("size"), name="size")


def test_reduce_on_plateau() -> None:
    rates: list[float] = []
    reduce = callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=2, cooldown=1, min_lr=0.004)
    look = callbacks.LambdaCallback(on_epoch_end=lambda e, logs: rates.append(logs["learning_rate"]))
    scripted([1.0] * 10, reduce, look)
    # The third epoch without improvement halves the rate; the next is the last of the cooldown and counts already.
    assert rates == pytest.approx([0.01, 0.01, 0.01, 0.005, 0.005, 0.004, 0.004, 0.004, 0.004, 0.004])
    with pytest.raises(ValueError, match="factor must be below 1"):
        callbacks.ReduceLROnPlateau(factor=1.0)


def test_learning_rate_scheduler() -> None:
    _, history = scripted([1.0] * 3, callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch else 0.1))
    assert history.history["learning_rate"] == pytest.approx([0.1, 0.05, 0.025])
    with pytest.raises(ValueError, match="the schedule gave 'fast', not a number"):
        scripted([1.0], callbacks.LearningRateScheduler(lambda epoch, rate: "fast"))


def test_csv_logger(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    x, y = toy(8)
    model = dense_model()
    model.fit(x, y, epochs=2, verbose=0, callbacks=[callbacks.CSVLogger(path)])
    model.fit(x, y, epochs=3, initial_epoch=2, verbose=0, callbacks=[callbacks.CSVLogger(path, append=True)])
    rows = list(csv.DictReader(path.open()))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert set(rows[0]) == {"epoch", "loss", "accuracy", "val_loss", "val_accuracy"}
    assert rows[0]["val_loss"] == "NA" and float(rows[0]["loss"]) > 0


def test_terminate_on_nan(capsys: pytest.CaptureFixture[str]) -> None:
    x, y = toy(40)
    x[12] = np.inf
    x[13] = -np.inf
    model = dense_model()
    history = model.fit(x, y, batch_size=10, epochs=3, shuffle=False, verbose=0, callbacks=[callbacks.TerminateOnNaN()])
    if not np.isnan(history.history["loss"][0]):  # tanh saturates; NaN input does not
        x[12] = np.nan
        history = model.fit(
            x, y, batch_size=10, epochs=3, shuffle=False, verbose=0, callbacks=[callbacks.TerminateOnNaN()]
        )
    assert history.epoch == [0]
    assert "Batch 1: invalid loss" in capsys.readouterr().out
    with pytest.raises(RuntimeError, match="the loss of batch 0 is nan"):
        model.fit(x, y, batch_size=10, shuffle=False, verbose=0, callbacks=[callbacks.TerminateOnNaN(raise_error=True)])


@pytest.mark.parametrize("weights_only", [False, True])
def test_checkpoints(tmp_path: Path, weights_only: bool) -> None:
    pattern = str(tmp_path / "runs" / "{epoch:02d}-{loss:.1f}.rv")
    save = callbacks.ModelCheckpoint(pattern, "loss", save_best_only=True, save_weights_only=weights_only)
    model, _ = scripted([3.0, 4.0, 2.0], save)
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["01-3.0.rv", "03-2.0.rv"]
    again = dense_model()
    again.load_weights(tmp_path / "runs" / "03-2.0.rv")
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_checkpoints_every_few_batches_and_refusals(tmp_path: Path) -> None:
    x, y = toy(50)
    save = callbacks.ModelCheckpoint(str(tmp_path / "{epoch}-{batch}.rv"), save_freq=2)
    dense_model().fit(x, y, batch_size=10, epochs=2, verbose=0, callbacks=[save])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1-2.rv", "1-4.rv", "2-1.rv", "2-3.rv", "2-5.rv"]
    with pytest.raises(ValueError, match=r"must end in \.rv"):
        callbacks.ModelCheckpoint("best.h5")
    with pytest.raises(ValueError, match="save_freq"):
        callbacks.ModelCheckpoint("best.rv", save_freq="batch")
    with pytest.raises(KeyError, match="asks for 'missing'"):
        scripted([1.0], callbacks.ModelCheckpoint(str(tmp_path / "{missing}.rv")))


# --- what is shown ------------------------------------------------------------------------------------------


def shown(verbose: Any, terminal: bool, monkeypatch: pytest.MonkeyPatch, **options: Any) -> str:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    x, y = toy(64)
    dense_model().fit(x, y, epochs=2, validation_data=(x, y), verbose=verbose, **options)
    return screen.getvalue()


def test_verbose_0_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(0, True, monkeypatch) == ""


@pytest.mark.parametrize(("verbose", "terminal"), [(2, True), (2, False), (1, False), ("auto", False)])
def test_a_line_per_epoch(verbose: Any, terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(verbose, terminal, monkeypatch).splitlines()
    assert len(lines) == 2
    for number, line in enumerate(lines, 1):
        assert line.startswith(f"Epoch {number}/2 - ")
        for part in ("samples/s - ", "loss: ", "accuracy: ", "val_loss: ", "val_accuracy: "):
            assert part in line


def test_the_bar_shows_metrics_and_speed_and_gives_way_to_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ranvier.callbacks.progress._INTERVAL", 0.0)
    frames = shown("auto", True, monkeypatch).replace("\n", "\r").split("\r")
    bars = [frame for frame in frames if "Epoch 2/2:" in frame]
    for part in ("100%", "64/64", "samples/s", "loss: ", "accuracy: "):
        assert part in bars[-1]
    last = [frame for frame in frames if frame.strip()][-1]
    for part in ("Epoch 2/2 - ", "samples/s - ", "loss: ", "val_accuracy: "):
        assert part in last


def test_a_terminal_that_tells_no_size_shows_the_bar() -> None:
    pty = pytest.importorskip("pty", reason="pseudo-terminals are POSIX")
    code = (
        "import numpy as np, ranvier as rv\n"
        "model = rv.Sequential([rv.Input((3,)), rv.layers.Dense(1)])\n"
        "model.compile('sgd', 'mse')\n"
        "model.fit(np.zeros((64, 3)), np.zeros((64, 1)))\n"
    )
    process, screen = pty.fork()
    if process == 0:
        os.execv(sys.executable, [sys.executable, "-c", code])
    text = b""
    with contextlib.suppress(OSError):  # the end of a pseudo-terminal's output
        while chunk := os.read(screen, 65536):
            text += chunk
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    for part in (b"Epoch 1/1:   0%|", b"0/64", b"Epoch 1/1 - ", b"samples/s", b"loss: "):
        assert part in text


def test_the_bar_is_closed_when_training_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(epoch: int, logs: Any) -> None:
        raise RuntimeError("stop")

    bar = callbacks.ProgressBar()
    with pytest.raises(RuntimeError, match="stop"):
        shown(1, True, monkeypatch, callbacks=[callbacks.LambdaCallback(on_epoch_end=fail), bar])
    assert bar._bar is None


def test_history_is_there_after_an_interrupted_training() -> None:
    x, y = toy()
    model = dense_model()

    def fail(epoch: int, logs: Any) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, epochs=5, verbose=0, callbacks=[callbacks.LambdaCallback(on_epoch_begin=fail)])
    assert len(model.history.history["loss"]) == 2
    assert isinstance(model.history, rv.callbacks.History)
