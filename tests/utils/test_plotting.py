"""Drawings of models: the same nodes and edges as Keras's, and what is said where a tool is missing."""

from __future__ import annotations

import builtins
import re
import shutil
from pathlib import Path
from typing import Any

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
    monkeypatch.setattr(plotting.shutil, "which", lambda name: None)
    with pytest.raises(ImportError, match=r"plot_model needs Graphviz's program `dot` \(apt install graphviz"):
        rv.utils.plot_model(row(rv), tmp_path / "m.png")


def test_wrong_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="has not yet been built"):
        rv.utils.model_to_dot(rv.Sequential([rv.layers.Dense(2)]))
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "pydot":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    for function in (rv.utils.plot_model, rv.utils.model_to_dot):
        with pytest.raises(ImportError, match=f"{function.__name__} needs pydot: pip install pydot"):
            function(row(rv))
