"""BatchNormalization, and Rescaling of raw images."""

from __future__ import annotations

from typing import Any

from ranvier import activations, constraints, initializers, ops, regularizers
from ranvier.layers.activations import ReLU
from ranvier.layers.arguments import known_axis
from ranvier.layers.axes import on_last_axis
from ranvier.layers.core import Activation
from ranvier.layers.input_spec import InputSpec
from ranvier.layers.layer import Layer
from ranvier.layers.precision import in_float32
from ranvier.saving.registry import serialize_object
from ranvier.tensor import as_tensor


class BatchNormalization(Layer):
    """Each channel normalised to mean 0 and variance 1, then scaled by gamma and shifted by beta.

    In training by the batch's own statistics, of which moving averages are kept (``momentum * old + (1 - momentum) *
    new``); else, and while ``trainable`` is False, by those averages. ``axis`` is the channels'. Weights: gamma and
    beta (trained), moving_mean and moving_variance (not). Raises ValueError for an axis that the input lacks.
    Source: Keras ``BatchNormalization`` (Ioffe and Szegedy 2015).

    >>> import ranvier as rv
    >>> layer = rv.layers.BatchNormalization()
    >>> layer([[1.0], [3.0]], training=True).numpy().round(2).tolist()
    [[-1.0], [1.0]]
    >>> round(layer.moving_mean.item(), 4), layer.count_params()
    (0.02, 4)
    """

    casts_integers = True

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(axis, (list, tuple)):
            if len(axis) != 1:
                raise ValueError(f"BatchNormalization: axis must be one integer, got {axis!r}")
            axis = axis[0]
        if synchronized:
            raise ValueError("BatchNormalization: synchronized=True needs several replicas, which Ranvier has not")
        self.axis = int(axis)
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)
        self.center = center
        self.scale = scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.supports_masking = True
        self.gamma: Any = None
        self.beta: Any = None

    def build(self, input_shape: Any) -> None:
        rank = len(input_shape)
        if rank < 2 or not -rank <= self.axis < rank:
            raise ValueError(
                f"BatchNormalization {self.name!r}: axis {self.axis} is not an axis of the input of shape "
                f"{tuple(input_shape)}"
            )
        size = known_axis(self, input_shape, self.axis)
        if self.scale:
            self.gamma = self.add_weight(
                (size,),
                self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
                name="gamma",
                autocast=False,
            )
        if self.center:
            self.beta = self.add_weight(
                (size,),
                self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
                name="beta",
                autocast=False,
            )
        self.moving_mean = self.add_weight((size,), self.moving_mean_initializer, trainable=False, name="moving_mean")
        self.moving_variance = self.add_weight(
            (size,), self.moving_variance_initializer, trainable=False, name="moving_variance"
        )
        self._ones = None if self.scale else ops.ones((size,), self.dtype)
        self._zeros = None if self.center else ops.zeros((size,), self.dtype)
        self.input_spec = InputSpec(ndim=rank, axes={self.axis: size})
        self.built = True

    def call(self, inputs: Any, training: bool = False, activation: str | None = None) -> Any:
        """``activation="relu"``, which models pass where a ReLU follows, takes the positive part in the same pass."""

        def normalise(x: Any) -> Any:
            return ops.batch_norm(
                x,
                self.gamma if self.scale else self._ones,
                self.beta if self.center else self._zeros,
                self.moving_mean,
                self.moving_variance,
                training=bool(training) and self.trainable,  # frozen: inference mode, as in Keras
                momentum=self.momentum,
                epsilon=self.epsilon,
                activation=activation,
            )

        return in_float32(lambda x: on_last_axis(normalise, x, self.axis), inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        names = (
            "beta_initializer", "gamma_initializer", "moving_mean_initializer", "moving_variance_initializer",
            "beta_regularizer", "gamma_regularizer", "beta_constraint", "gamma_constraint",
        )  # fmt: skip
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            **{name: serialize_object(getattr(self, name)) for name in names},
        }


def takes_relu(layer: Layer, following: Layer) -> bool:
    """Whether ``layer(x, activation="relu")`` is ``following(layer(x))``, to the last bit: a BatchNormalization and a
    plain ReLU, with nothing of the user's between or about them."""
    if type(layer) is not BatchNormalization:
        return False
    if type(following) is Activation:
        plain = following.activation is activations.relu
    elif type(following) is ReLU:
        plain = following.max_value is None and following.negative_slope == 0 and following.threshold == 0
    else:
        return False
    return (
        plain
        and layer.compute_dtype == following.compute_dtype
        and layer.activity_regularizer is None
        and following.activity_regularizer is None
        and not {"call", "compute_mask"} & (layer.__dict__.keys() | following.__dict__.keys())
    )


class Rescaling(Layer):
    """``inputs * scale + offset``, such as ``Rescaling(1 / 255)`` for raw images. Source: Keras ``Rescaling``.

    >>> import ranvier as rv
    >>> rv.layers.Rescaling(0.5, offset=1.0)([2, 4]).numpy()
    array([2., 3.], dtype=float32)
    """

    casts_integers = True

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale
        self.offset = offset
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs * as_tensor(self.scale, inputs.dtype, inputs.device) + as_tensor(
            self.offset, inputs.dtype, inputs.device
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "offset": self.offset}
