"""Built: what a layer remembers of how it was built, and a call with other weights than its own."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from ranvier.layers.tracking import Tracked
from ranvier.tensor import array_of, wrap


class Built(Tracked):
    """Keras's names around ``build``, dtypes and weights. A call of ``build`` leaves the layer built."""

    _build_shapes: dict[str, Any] | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = _remembering(cls.build)  # type: ignore[attr-defined]

    def get_build_config(self) -> dict[str, Any] | None:
        """What ``build_from_config`` needs: the shapes that the layer was built with, None before."""
        if self._build_shapes is None:
            return None
        if len(self._build_shapes) == 1:
            return {"input_shape": next(iter(self._build_shapes.values()))}
        return {"shapes_dict": dict(self._build_shapes)}

    def build_from_config(self, build_config: dict[str, Any] | None) -> None:
        """Builds the layer for the shapes that ``get_build_config`` of another one gave."""
        if build_config and "input_shape" in build_config:
            self.build(build_config["input_shape"])  # type: ignore[attr-defined]
        elif build_config and "shapes_dict" in build_config:
            self.build(**build_config["shapes_dict"])  # type: ignore[attr-defined]

    @property
    def path(self) -> str:
        """The layer's name: layers are not told which model holds them."""
        return self.name

    def stateless_call(
        self,
        trainable_variables: Any,
        non_trainable_variables: Any,
        *args: Any,
        return_losses: bool = False,
        **kwargs: Any,
    ) -> Any:
        """A call with the values given in place of the layer's, which stay as they are.

        Returns the outputs and the new values of the non-trainable variables, with ``return_losses`` the losses too.
        Gradients at those values are had by the layer's own variables: ``rv.grad(outputs, layer.trainable_variables)``.
        Raises ValueError for a layer that is not built, or another number of values. Source: Keras ``stateless_call``.

        >>> import ranvier as rv
        >>> layer = rv.layers.Dense(1, kernel_initializer="zeros")
        >>> layer.build((None, 2))
        >>> layer.stateless_call([[[1.0], [2.0]], [3.0]], [], rv.ops.ones((1, 2)))[0].item(), layer.bias.numpy()
        (6.0, array([0.], dtype=float32))
        """
        if not self.built:
            raise ValueError(f"stateless_call: layer {self.name!r} must be built first: call it, or build(input_shape)")
        fixed = self.non_trainable_variables
        variables, values = [*self.trainable_variables, *fixed], [*trainable_variables, *non_trainable_variables]
        if len(variables) != len(values) or len(fixed) != len(non_trainable_variables):
            raise ValueError(
                f"stateless_call: layer {self.name!r} has {len(variables) - len(fixed)} trainable and {len(fixed)} "
                f"non-trainable variables; got {len(trainable_variables)} and {len(non_trainable_variables)}"
            )
        own = [v.array for v in variables]
        try:
            for variable, value in zip(variables, values, strict=True):
                array = array_of(value, variable.dtype, variable.device, copy=True)
                if array.shape != variable.shape:
                    raise ValueError(
                        f"stateless_call: variable {variable.path!r} of layer {self.name!r} has shape "
                        f"{variable.shape}, the value given {array.shape}"
                    )
                variable.array = array
            outputs = self(*args, **kwargs)  # type: ignore[operator]
            after = [wrap(v.array) for v in fixed]
            losses = self.losses if return_losses else None  # type: ignore[attr-defined]
        finally:
            for variable, array in zip(variables, own, strict=True):
                variable.array = array
        return (outputs, after, losses) if return_losses else (outputs, after)


def _remembering(build: Callable[..., None]) -> Callable[..., None]:
    """``build``, after which the layer is built and knows for which shapes."""
    names = list(inspect.signature(build).parameters)[1:]

    @functools.wraps(build)
    def run(self: Any, *args: Any, **kwargs: Any) -> None:
        with self._casting(False):  # while it is built a layer sees the variables themselves
            build(self, *args, **kwargs)
        shapes = {**dict(zip(names, args, strict=False)), **kwargs}
        if shapes:
            self._build_shapes = shapes
        self.built = True

    return run
