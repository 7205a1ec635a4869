"""Layers around layers of sequences: Bidirectional and TimeDistributed."""

from __future__ import annotations

from typing import Any

from ranvier import _tree, ops
from ranvier.layers.layer import Layer
from ranvier.layers.signature import signature_of
from ranvier.saving.registry import deserialize_object, serialize_object


class Wrapper(Layer):
    """A layer around another one, ``layer``. Source: Keras ``Wrapper``."""

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        if not isinstance(layer, Layer):
            raise ValueError(f"{type(self).__name__}: argument `layer` must be a Layer, got {layer!r}")
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)
            self.layer.built = True
        self.built = True

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layer": serialize_object(self.layer)}


class TimeDistributed(Wrapper):
    """A layer on every time step: (N, T, ...) -> (N, T, ...). Source: Keras ``TimeDistributed``.

    >>> import ranvier as rv
    >>> rv.layers.TimeDistributed(rv.layers.Conv2D(4, 3))(rv.ops.ones((2, 5, 8, 8, 3))).shape
    (2, 5, 6, 6, 4)
    """

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def _step_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        if len(input_shape) < 3:
            raise ValueError(
                f"TimeDistributed {self.name!r}: inputs must have rank 3 or more (N, T, ...), got shape {input_shape}"
            )
        return (input_shape[0], *input_shape[2:])

    def build(self, input_shape: Any = None) -> None:
        super().build(self._step_shape(input_shape))

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        n, steps, *rest = inputs.shape
        if mask is not None and tuple(mask.shape[:2]) != (n, steps):
            raise ValueError(
                f"TimeDistributed {self.name!r}: mask must begin with shape {(n, steps)}, got {tuple(mask.shape)}"
            )
        signature = signature_of(type(self.layer))
        options = {"training": training} if signature.training else {}
        with_mask = mask is not None and signature.mask
        if not with_mask and not self.layer.non_trainable_weights:  # no step sees another: all at once
            outputs = self.layer(ops.reshape(inputs, (n * steps, *rest)), **options)
            return ops.reshape(outputs, (n, steps, *outputs.shape[1:]))
        parts = []
        for t in range(steps):  # statistics of batch normalization move with each step
            own = {"mask": mask[:, t], **options} if with_mask else options
            parts.append(self.layer(inputs[:, t], **own))
        return ops.stack(parts, axis=1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = self.layer.compute_output_shape(self._step_shape(input_shape))
        return (shape[0], input_shape[1], *shape[1:])


class Bidirectional(Layer):
    """A recurrent layer in both directions: ``layer`` and a twin that goes backwards, their outputs merged.

    ``merge_mode`` is ``"concat"``, ``"sum"``, ``"mul"``, ``"ave"``, or None for a list of both. The layer is made
    anew from its configuration, with weights of its own; ``backward_layer`` is another one than its twin. States are
    the forward layer's, then the backward layer's. Raises ValueError for layers that do not go together. Source:
    Keras ``Bidirectional`` (Schuster and Paliwal 1997).

    >>> import ranvier as rv
    >>> rv.layers.Bidirectional(rv.layers.GRU(4, return_sequences=True))(rv.ops.ones((2, 5, 3))).shape
    (2, 5, 8)
    """

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ) -> None:
        for one in (layer, layer if backward_layer is None else backward_layer):
            if not isinstance(one, Layer) or not hasattr(one, "go_backwards"):
                raise ValueError(f"Bidirectional: expected a recurrent layer, got {one!r}")
        if merge_mode not in ("sum", "mul", "ave", "concat", None):
            raise ValueError(f"Bidirectional: merge_mode must be sum, mul, ave, concat or None, got {merge_mode!r}")
        super().__init__(**kwargs)
        self.forward_layer = self._twin(layer, "forward_", {})
        self.backward_layer = backward_layer or self._twin(layer, "backward_", {"go_backwards": True})
        self._check_layers()
        for one in (self.forward_layer, self.backward_layer):
            if hasattr(one, "zero_output_for_mask"):
                one.zero_output_for_mask = one.return_sequences
        self.merge_mode = merge_mode
        self.stateful = layer.stateful
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        self.supports_masking = True
        self.input_spec = layer.input_spec
        self._initial = weights

    @staticmethod
    def _twin(layer: Any, prefix: str, replaced: dict[str, Any]) -> Any:
        config = serialize_object(layer)
        config["config"].update(replaced, name=prefix + layer.name.removeprefix(prefix))
        return deserialize_object(config)

    def _check_layers(self) -> None:
        forward, backward = self.forward_layer, self.backward_layer
        if forward.go_backwards == backward.go_backwards:
            raise ValueError("Bidirectional: one layer must go backwards, and one not")
        for name in ("stateful", "return_sequences", "return_state"):
            if getattr(forward, name) != getattr(backward, name):
                raise ValueError(
                    f"Bidirectional: both layers must have the same {name}, got {getattr(forward, name)!r} and "
                    f"{getattr(backward, name)!r}"
                )

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        for one in (self.forward_layer, self.backward_layer):
            if not one.built:
                one.build(sequences_shape)
                one.built = True
        self.built = True
        if self._initial is not None:
            self.set_weights(self._initial)

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool | None = None) -> Any:
        halves: tuple[Any, Any] = (None, None)
        if initial_state is not None:
            half = len(initial_state) // 2
            halves = (initial_state[:half], initial_state[half:])
        results = [
            one(sequences, initial_state=state, mask=mask, training=training)
            for one, state in zip((self.forward_layer, self.backward_layer), halves, strict=True)
        ]
        states = [state for result in results for state in result[1:]] if self.return_state else []
        y, back = (result[0] for result in results) if self.return_state else results
        if self.return_sequences:
            back = ops.flip(back, axis=1)
        merged = self._merged(y, back)
        if not self.return_state:
            return merged
        return [*merged, *states] if self.merge_mode is None else [merged, *states]

    def _merged(self, y: Any, back: Any) -> Any:
        if self.merge_mode == "concat":
            return ops.concatenate([y, back], axis=-1)
        if self.merge_mode == "sum":
            return y + back
        if self.merge_mode == "ave":
            return (y + back) / 2
        return [y, back] if self.merge_mode is None else y * back

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        shape = self.forward_layer.compute_output_shape(sequences_shape)
        shape, *states = shape if self.return_state else [shape]
        if self.merge_mode == "concat":
            shape = (*shape[:-1], 2 * shape[-1])
        outputs = [shape, shape] if self.merge_mode is None else [shape]
        if self.return_state:
            return [*outputs, *states, *states]
        return outputs if self.merge_mode is None else shape

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        mask = _tree.flatten(previous_mask)[0] if self.return_sequences else None
        outputs = [mask, mask] if self.merge_mode is None else [mask]
        if self.return_state:
            count = len(_tree.flatten(self.forward_layer.state_size))
            return [*outputs, *(None for _ in range(2 * count))]
        return outputs if self.merge_mode is None else mask

    def reset_state(self) -> None:
        """Forgets the states that ``stateful`` keeps."""
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    @property
    def states(self) -> Any:
        both = (self.forward_layer.states, self.backward_layer.states)
        return None if both[0] is None else [*both[0], *both[1]]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "merge_mode": self.merge_mode,
            "layer": serialize_object(self.forward_layer),
            "backward_layer": serialize_object(self.backward_layer),
        }
