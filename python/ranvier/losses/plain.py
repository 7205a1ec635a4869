"""Losses without options: their function is the whole of them."""

from __future__ import annotations

from ranvier.losses import functions
from ranvier.losses.classes import NamedLoss


class MeanSquaredError(NamedLoss):
    """Mean of squared errors; see ``losses.mean_squared_error``. Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.MeanSquaredError()([[0.0, 1.0]], [[1.0, 3.0]]).item()
    2.5
    """

    function = staticmethod(functions.mean_squared_error)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_error",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)


class MeanAbsoluteError(NamedLoss):
    """Mean of absolute errors; see ``losses.mean_absolute_error``. Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.MeanAbsoluteError()([[0.0, 1.0]], [[1.0, 3.0]]).item()
    1.5
    """

    function = staticmethod(functions.mean_absolute_error)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_error",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)


class MeanAbsolutePercentageError(NamedLoss):
    """100 times the mean of relative errors; see ``losses.mean_absolute_percentage_error``. Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.MeanAbsolutePercentageError()([[2.0, 4.0]], [[1.0, 4.0]]).item()
    25.0
    """

    function = staticmethod(functions.mean_absolute_percentage_error)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_percentage_error",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)


class MeanSquaredLogarithmicError(NamedLoss):
    """Mean of squared errors of logarithms; see ``losses.mean_squared_logarithmic_error``. Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.MeanSquaredLogarithmicError()([[1.0]], [[1.0]]).item()
    0.0
    """

    function = staticmethod(functions.mean_squared_logarithmic_error)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_logarithmic_error",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)


class LogCosh(NamedLoss):
    """Mean of log(cosh(error)); see ``losses.log_cosh``. Source: Keras.

    >>> import ranvier as rv
    >>> round(rv.losses.LogCosh()([[0.0]], [[1.0]]).item(), 4)
    0.4338
    """

    function = staticmethod(functions.log_cosh)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "log_cosh",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)


class Poisson(NamedLoss):
    """Mean of y_pred - y_true log(y_pred); see ``losses.poisson``. Source: Keras.

    >>> import ranvier as rv
    >>> round(rv.losses.Poisson()([[1.0]], [[1.0]]).item(), 4)
    1.0
    """

    function = staticmethod(functions.poisson)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "poisson",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)


class KLDivergence(NamedLoss):
    """Kullback-Leibler divergence; see ``losses.kl_divergence``. Source: Keras.

    >>> import ranvier as rv
    >>> round(rv.losses.KLDivergence()([[1.0, 0.0]], [[0.5, 0.5]]).item(), 4)
    0.6931
    """

    function = staticmethod(functions.kl_divergence)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "kl_divergence",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)


class Hinge(NamedLoss):
    """Mean of max(1 - y_true y_pred, 0); see ``losses.hinge``. Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.Hinge()([[0, 1]], [[-2.0, 0.5]]).item()
    0.25
    """

    function = staticmethod(functions.hinge)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "hinge",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)


class SquaredHinge(NamedLoss):
    """Mean of max(1 - y_true y_pred, 0) squared; see ``losses.squared_hinge``. Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.SquaredHinge()([[0, 1]], [[-2.0, 0.5]]).item()
    0.125
    """

    function = staticmethod(functions.squared_hinge)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "squared_hinge",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)


class CategoricalHinge(NamedLoss):
    """max(best wrong - right + 1, 0) for one-hot labels; see ``losses.categorical_hinge``. Source: Keras.

    >>> import ranvier as rv
    >>> rv.losses.CategoricalHinge()([[1, 0, 0]], [[0.5, 0.25, 0.0]]).item()
    0.75
    """

    function = staticmethod(functions.categorical_hinge)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_hinge",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
