"""Replayed steps on the simulator: which of their calls a CUDA graph could hold."""

from __future__ import annotations

import numpy as np

import ranvier as rv
from ranvier import layers

BY_THE_HOST = {"random stream", "dropout", "check_classes", "accumulate", "increment", "adam_step"}


def test_calls_that_need_the_host_stay_outside_of_graphs() -> None:
    """Numbers that vary from step to step, and those that come back, are the host's; all else could be captured."""
    x, y = np.ones((4, 6, 6, 1), np.float32), np.arange(4) % 3
    with rv.device("sim"):
        model = rv.Sequential([layers.Conv2D(2, 3, activation="relu"), layers.BatchNormalization(), layers.Flatten()])
        model.add(layers.Dropout(0.5))
        model.add(layers.Dense(3, activation="softmax"))
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        for _ in range(4):
            model.train_on_batch(x, y)
        (info,) = model.replay_info().values()
    assert model._replay is not None
    (entry,) = model._replay.entries.values()
    recording = entry.recording
    assert recording is not None
    assert info.startswith(f"replayed: {len(recording.calls)} calls") and "graph" not in info
    outside = {name for name, inside in zip(recording.calls, recording.repeatable, strict=True) if not inside}
    assert outside == BY_THE_HOST
    assert sum(recording.repeatable) > len(recording.calls) / 2
    assert recording.graphs == recording.captured == 0
    assert not recording.why_no_graphs
