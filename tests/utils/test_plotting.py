"""Drawings of models: the same nodes and edges as Keras's, and what is said where a tool is missing."""

from __future__ import annotations

import builtins
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier.utils import plotting
from tests.peers import keras_or_skip

pydot_missing = "pydot is not installed: pip install pydot"


def row(k: Any) -> Any:
    la = k.layers
    inner = k.Sequential([k.Input((6,)), la.Dense(3, name="in1"), la.Dense(2, name="in2")], name="inner")
    return k.Sequential(
        [k.Input((4,)), la.Dense(6, activation="relu", name="a"), inner, la.Dense(1, name="z")], name="m"
    )


def branches(k: Any) -> Any:
    la = k.layers
    x, y = k.Input((6,), name="x"), k.Input((6,), name="y")
    shared = la.Dense(4, activation="tanh", name="shared")
    p, q = k.Input((4,), name="p"), k.Input((4,), name="q")
    inner = k.Model([p, q], la.Concatenate(name="both")([la.Dense(3, name="one")(p), q]), name="inner")
    out = la.Dense(2, name="out")(inner([shared(x), shared(y)]))
    model = k.Model([x, y], out, name="m")
    shared.trainable = False
    return model


def drawn(dot: Any) -> tuple[dict[str, str], set[tuple[str, str]], list[str]]:
    """Labels by the layers' names, edges between names, clusters; of a graph and all inside it."""
    labels: dict[str, str] = {}
    by_id: dict[str, str] = {}
    raw, clusters, stack = [], [], [dot]
    while stack:
        graph = stack.pop()
        clusters += [s.get_name() for s in graph.get_subgraphs()]
        stack += graph.get_subgraphs()
        raw += [(e.get_source(), e.get_destination()) for e in graph.get_edges()]
        for node in graph.get_nodes():
            found = re.search(r"<b>(\w+)</b> \(", str(node.get_label()))
            if found:
                by_id[node.get_name()], labels[found[1]] = found[1], node.get_label()
    return labels, {(by_id[a], by_id[b]) for a, b in raw}, sorted(clusters)


@pytest.mark.parametrize("make", [row, branches])
@pytest.mark.parametrize("expand", [False, True])
def test_graph_is_keras_s(make: Any, expand: bool) -> None:
    pytest.importorskip("pydot", reason=pydot_missing)
    keras = keras_or_skip()
    shown = {"show_shapes": True, "show_dtype": True, "show_layer_activations": True, "show_trainable": True}
    found, theirs = (k.utils.model_to_dot(make(k), expand_nested=expand, **shown) for k in (rv, keras))
    ours, right = drawn(found), drawn(theirs)
    assert ours[1:] == right[1:]
    assert set(ours[0]) == set(right[0])
    for name, label in ours[0].items():  # Keras's heading may span more columns than there are
        plain = [re.sub(r'colspan="\d"|\s+', "", str(text)) for text in (label, right[0][name])]
        assert plain[0] == plain[1]


def test_plot_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pydot", reason=pydot_missing)
    rv.utils.plot_model(row(rv), tmp_path / "m.dot", show_layer_names=True, rankdir="LR")
    text = (tmp_path / "m.dot").read_text()
    assert text.startswith("digraph") and "rankdir=LR" in text and "<b>inner</b> (Sequential)" in text
    if shutil.which("dot"):
        rv.utils.plot_model(row(rv), tmp_path / "m.png", show_shapes=True)
        assert (tmp_path / "m.png").read_bytes()[1:4] == b"PNG"


def picture(path: Path) -> Any:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    return np.asarray(image.open(path).convert("RGB")).astype(int)


@pytest.mark.parametrize("make", [row, branches])
def test_matplotlib_draws_where_graphviz_is_missing(make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head for each layer, black or red; wider than high from left to right, and with more in it if more is asked."""
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    monkeypatch.setattr(plotting.shutil, "which", lambda name: None)
    model = make(rv)
    more = {"show_shapes": True, "show_dtype": True, "show_layer_activations": True, "show_trainable": True}
    every: dict[str, dict[str, Any]] = {
        "plain": {},
        "full": more,
        "across": {"rankdir": "LR"},
        "inside": {"expand_nested": True},
    }
    for name, options in every.items():
        rv.utils.plot_model(model, tmp_path / f"{name}.png", show_layer_names=True, dpi=60, **options)
    plain, full, across, inside = (picture(tmp_path / f"{n}.png") for n in every)
    assert (plain.sum(2) < 90).mean() > 0.05  # black heads
    assert full.shape[0] > 1.5 * plain.shape[0]
    assert across.shape[1] > across.shape[0] and across.shape[1] > plain.shape[1]
    assert inside.shape[0] > plain.shape[0]
    red = (full[..., 0] > 150) & (full[..., 1] < 60)
    assert red.any() == (make is branches)  # the frozen layer
    rv.utils.plot_model(model, tmp_path / "m.svg")
    assert "<svg" in (tmp_path / "m.svg").read_text()
    rv.utils.plot_model(model, tmp_path / "m.pdf")
    assert (tmp_path / "m.pdf").read_bytes().startswith(b"%PDF")


def test_wrong_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="has not yet been built"):
        rv.utils.model_to_dot(rv.Sequential([rv.layers.Dense(2)]))
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".")[0] in ("pydot", "matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setattr(plotting.shutil, "which", lambda name: None)
    with pytest.raises(ImportError, match="model_to_dot needs pydot: pip install pydot"):
        rv.utils.model_to_dot(row(rv))
    with pytest.raises(ImportError, match=r"plot_model needs pydot and Graphviz's program `dot` .*, or matplotlib"):
        rv.utils.plot_model(row(rv))
