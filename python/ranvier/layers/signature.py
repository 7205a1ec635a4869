"""Signature: which arguments the methods of a class of layers take."""

from __future__ import annotations

import inspect
from typing import Any


class Signature:
    """What ``call`` and ``build`` of a class take, read once."""

    def __init__(self, layer_class: type[Any]) -> None:
        parameters = list(inspect.signature(layer_class.call).parameters.values())[1:]
        takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters)
        self.names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        defaults = {p.name: p.default for p in parameters}
        self.training = "training" in defaults or takes_all
        self.training_default = defaults.get("training")
        self.mask = "mask" in defaults
        self.argument_masks = [(n, f"{n}_mask") for n in self.names if f"{n}_mask" in defaults]
        build = list(inspect.signature(layer_class.build).parameters.values())[1:]
        self.build_names = [p.name for p in build if p.kind is not p.VAR_KEYWORD]

    def options_by_name(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments from ``training`` or ``mask`` on by their names, where they were passed by their places."""
        for place, name in enumerate(self.names[: len(args)]):
            if name in ("training", "mask"):
                return args[:place], {**dict(zip(self.names[place:], args[place:], strict=False)), **kwargs}
        return args, kwargs


signatures: dict[type, Signature] = {}


def signature_of(layer_class: type[Any]) -> Signature:
    """That of a class, read when it is first asked for."""
    signature = signatures.get(layer_class)
    if signature is None:
        signature = signatures[layer_class] = Signature(layer_class)
    return signature
