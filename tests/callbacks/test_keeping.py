"""Callbacks that keep something: backups of a training, means of the weights, logs on a server."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.parse
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import callbacks
from tests.models.test_fit import dense_model, toy


class _BreakOff(callbacks.Callback):
    """Fails once, at the given epoch or step."""

    def __init__(self, epoch: int = -1, step: int = -1) -> None:
        super().__init__()
        self.epoch, self.step, self.steps = epoch, step, 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == self.epoch:
            raise RuntimeError("broken off")

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.steps += 1
        if self.steps == self.step:
            raise RuntimeError("broken off")


def _training(folder: Path, seed: int = 5, **options: Any) -> Any:
    """A model with dropout, its data, and fit(...) of five epochs with a backup."""
    rv.utils.set_random_seed(seed)
    x, y = toy(40)
    model = rv.Sequential(
        [rv.Input(x.shape[1:]), rv.layers.Dense(8, "tanh"), rv.layers.Dropout(0.3), rv.layers.Dense(1)]
    )
    model.compile(rv.optimizers.Adam(0.01), "mse")

    def fit(*more: callbacks.Callback) -> Any:
        backup = callbacks.BackupAndRestore(folder / "backup", **options)
        return model.fit(x, y, batch_size=10, epochs=5, verbose=0, callbacks=[backup, *more])

    return model, fit


@pytest.mark.parametrize("double", [False, True])
def test_training_that_is_broken_off_ends_as_if_it_had_not_been(tmp_path: Path, double: bool) -> None:
    whole, fit = _training(tmp_path / "whole")
    fit()
    _, fit = _training(tmp_path, double_checkpoint=double)
    with pytest.raises(RuntimeError, match="broken off"):
        fit(_BreakOff(epoch=3))
    again, fit = _training(tmp_path, seed=99, double_checkpoint=double)  # another process would know nothing
    if double:  # the last backup is damaged: the one before serves, an epoch earlier
        (tmp_path / "backup" / "latest.rv").write_bytes(b"nonsense")
    assert fit().epoch == [0, 1, 2, 3, 4]
    for a, b in zip(again.weights + again.optimizer.variables, whole.weights + whole.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert not (tmp_path / "backup").exists()


def test_backups_every_few_steps_and_their_refusals(tmp_path: Path) -> None:
    _, fit = _training(tmp_path, save_freq=3, delete_checkpoint=False)
    with pytest.raises(RuntimeError):
        fit(_BreakOff(step=8))  # after six steps, in the second epoch
    other, fit = _training(tmp_path, save_freq=3, delete_checkpoint=False)
    seen: list[int] = []
    fit(callbacks.LambdaCallback(on_train_begin=lambda logs: seen.append(int(other.optimizer.iterations))))
    assert seen == [6] and (tmp_path / "backup" / "latest.rv").exists()
    other.compile("sgd", "mse")
    x, y = toy(40)
    with pytest.raises(ValueError, match=r"SGD: a state of \d+ arrays for 2 variables.*saved by another optimizer"):
        other.fit(x, y, verbose=0, callbacks=[callbacks.BackupAndRestore(tmp_path / "backup")])
    with pytest.raises(ValueError, match="backup_dir is empty"):
        callbacks.BackupAndRestore("")
    with pytest.raises(ValueError, match="save_freq must be"):
        callbacks.BackupAndRestore("x", save_freq="step")
    with pytest.raises(ValueError, match="the model has no weights yet"):
        callbacks.CallbackList(
            [callbacks.BackupAndRestore("x")], model=rv.Sequential([rv.layers.Dense(1)])
        ).on_train_begin()


@pytest.mark.parametrize("on_epoch", [False, True])
def test_evaluation_with_the_means_of_the_weights(on_epoch: bool) -> None:
    x, y = toy(40)
    model = rv.Sequential([rv.Input(x.shape[1:]), rv.layers.Dense(1)])
    model.compile(rv.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9), "mse")
    kernel, seen = model.layers[0].kernel, []

    def look(*_: Any) -> None:
        mean = model.optimizer._model_variables_moving_average[0].numpy()
        seen.append(bool((mean == kernel.numpy()).all()))

    hooks = {name: look for name in ("on_train_batch_end", "on_test_batch_end", "on_epoch_end")}
    rules = [callbacks.SwapEMAWeights(swap_on_epoch=on_epoch), callbacks.LambdaCallback(**hooks)]
    model.fit(x, y, batch_size=20, epochs=2, verbose=0, callbacks=rules, validation_data=(x, y))
    one = [False, False, True, True, on_epoch]  # two steps (of which the very first starts the mean), two batches
    assert seen == [True, *one[1:], *one]
    mean = model.optimizer._model_variables_moving_average[0].numpy()
    np.testing.assert_array_equal(kernel.numpy(), mean)
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="create it with use_ema=True"):
        model.fit(x, y, verbose=0, callbacks=rules[:1])


@pytest.mark.parametrize("as_json", [False, True])
def test_logs_are_posted_to_a_server(as_json: bool) -> None:
    got: list[Any] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            got.append((self.path, self.headers["X-Key"], body if as_json else urllib.parse.parse_qs(body)["logs"][0]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        root = f"http://127.0.0.1:{server.server_port}"
        x, y = toy(40)
        monitor = callbacks.RemoteMonitor(root, field="logs", headers={"X-Key": "k"}, send_as_json=as_json)
        history = dense_model().fit(x, y, epochs=2, verbose=0, callbacks=[monitor]).history
        server.shutdown()
    assert [(path, key) for path, key, _ in got] == [("/publish/epoch/end/", "k")] * 2
    for epoch, (_, _, text) in enumerate(got):
        assert json.loads(text) == {"epoch": epoch, **{name: values[epoch] for name, values in history.items()}}
    with pytest.warns(UserWarning, match="Could not reach RemoteMonitor root server"):
        monitor.on_epoch_end(0, {"loss": 1.0})
    with pytest.raises(ValueError, match="root must begin with http"):
        callbacks.RemoteMonitor("file:///etc")


def test_what_is_no_callback_gets_a_hint() -> None:
    for given, match in (
        ("EarlyStopping", r"write rv\.callbacks\.EarlyStopping\(\.\.\.\)"),
        ("EarlyStoping", "Unknown callback: 'EarlyStoping'. Did you mean 'EarlyStopping'"),
        (callbacks.History, r"write History\(\.\.\.\)"),
    ):
        with pytest.raises(TypeError, match=match):
            callbacks.CallbackList([given])
