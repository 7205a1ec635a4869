"""What to say to a name that is not known: the nearest ones that are."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """The message for an unknown name: the nearest known ones, then all.

    >>> unknown("loss", "huberr", ["huber", "hinge"])
    "Unknown loss: 'huberr'. Did you mean 'huber'? Known: hinge, huber"
    """
    every = sorted(set(known))
    return f"Unknown {kind}: {name!r}.{hint(name, every)} Known: {', '.join(every)}"


def hint(name: str, known: Iterable[str]) -> str:
    """A question after the known names nearest to ``name``, with a space before; nothing where none is near.

    >>> hint("CosineDecy", ["CosineDecay", "Dense"])
    " Did you mean 'CosineDecay'?"
    """

    def plain(text: str) -> str:
        return text.lower().replace("_", "")

    # glorot_normal for glorot_norm, GlorotNormal for GlorotNorm
    alike = sorted(sorted(set(known)), key=lambda k: k.islower() == name.islower())
    spelled = {plain(k): k for k in alike}
    near = [spelled[n] for n in difflib.get_close_matches(plain(name), spelled, n=3, cutoff=0.6)]
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
