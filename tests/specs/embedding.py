"""Embedding: rows of a table, and the sums of what falls on each row."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import ranvier as rv
from tests.opspec import Call, OpSpec, Refused, gamma, normal, seeds, shapes, smallest


@st.composite
def calls(draw: Any, small: bool = False) -> Call:
    rows, width = draw(
        st.tuples(st.integers(1, 4), st.integers(0, 3))
        if small
        else st.one_of(
            st.tuples(st.integers(1, 9), st.integers(0, 9)), st.sampled_from([(500, 130), (20, 300), (3_000, 9)])
        )
    )
    where = draw(shapes(0, 3, 0, 3) if small else st.one_of(shapes(0, 3, 0, 5), st.sampled_from([(1_000,), (40, 50)])))
    indices = np.random.default_rng(draw(seeds)).integers(0, rows, size=where)
    table = normal((rows, width), draw(seeds))
    return Call({"indices": indices.astype(draw(st.sampled_from(["int32", "int64"]))), "table": table})


def exact(call: Call, expected: list[np.ndarray], eps: float) -> list[Any]:
    return [0.0]


def gradient_bound(call: Call, dys: list[np.ndarray], expected: dict[str, np.ndarray], eps: float) -> dict[str, Any]:
    """A row is summed straight on, over as many terms as it has uses."""
    indices, table = np.asarray(call.arrays["indices"]), np.asarray(call.arrays["table"])
    most = int(np.bincount(indices.reshape(-1), minlength=1).max())
    magnitude = rv.reference.embedding_backward(indices, np.abs(dys[0]), len(table))
    return {"table": gamma(most, eps) * magnitude + smallest(eps)}


TABLE = np.ones((3, 2))

SPECS = [
    OpSpec(
        op=rv.ops.embedding,
        calls=calls(),
        bound=exact,
        gradients=("table",),
        gradient_bound=gradient_bound,
        gradient_calls=calls(small=True),
        refused=(
            Refused(
                Call({"indices": np.asarray([[0, 3]]), "table": TABLE}),
                ValueError,
                "embedding: index 3 at position 1 is out of range for 3 rows",
            ),
            Refused(Call({"indices": np.asarray([-1]), "table": TABLE}), ValueError, "index -1 at position 0"),
            Refused(Call({"indices": np.asarray([0.0]), "table": TABLE}), TypeError, "indices must be int32 or int64"),
            Refused(Call({"indices": np.asarray([0]), "table": TABLE[0]}), ValueError, "table must have rank 2"),
        ),
    )
]
