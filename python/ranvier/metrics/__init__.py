"""What is reported beside the loss: Keras's metrics, read lazily."""

from __future__ import annotations

import inspect
from typing import Any

from ranvier.config import to_snake_case
from ranvier.metrics.accuracy import Accuracy as Accuracy
from ranvier.metrics.accuracy import BinaryAccuracy as BinaryAccuracy
from ranvier.metrics.accuracy import CategoricalAccuracy as CategoricalAccuracy
from ranvier.metrics.accuracy import SparseCategoricalAccuracy as SparseCategoricalAccuracy
from ranvier.metrics.accuracy import SparseTopKCategoricalAccuracy as SparseTopKCategoricalAccuracy
from ranvier.metrics.accuracy import TopKCategoricalAccuracy as TopKCategoricalAccuracy
from ranvier.metrics.accuracy import accuracy as accuracy
from ranvier.metrics.accuracy import binary_accuracy as binary_accuracy
from ranvier.metrics.accuracy import categorical_accuracy as categorical_accuracy
from ranvier.metrics.accuracy import sparse_categorical_accuracy as sparse_categorical_accuracy
from ranvier.metrics.accuracy import sparse_top_k_categorical_accuracy as sparse_top_k_categorical_accuracy
from ranvier.metrics.accuracy import top_k_categorical_accuracy as top_k_categorical_accuracy
from ranvier.metrics.confusion import AUC as AUC
from ranvier.metrics.confusion import Precision as Precision
from ranvier.metrics.confusion import Recall as Recall
from ranvier.metrics.confusion import confusion_matrix as confusion_matrix
from ranvier.metrics.error import BinaryCrossentropy as BinaryCrossentropy
from ranvier.metrics.error import CategoricalCrossentropy as CategoricalCrossentropy
from ranvier.metrics.error import MeanAbsoluteError as MeanAbsoluteError
from ranvier.metrics.error import MeanSquaredError as MeanSquaredError
from ranvier.metrics.error import RootMeanSquaredError as RootMeanSquaredError
from ranvier.metrics.error import SparseCategoricalCrossentropy as SparseCategoricalCrossentropy
from ranvier.metrics.metric import Mean as Mean
from ranvier.metrics.metric import MeanMetricWrapper as MeanMetricWrapper
from ranvier.metrics.metric import Metric as Metric
from ranvier.metrics.metric import Sum as Sum

_CLASSES: tuple[type[Metric], ...] = (
    Accuracy,
    AUC,
    BinaryAccuracy,
    BinaryCrossentropy,
    CategoricalAccuracy,
    CategoricalCrossentropy,
    Mean,
    MeanAbsoluteError,
    MeanMetricWrapper,
    MeanSquaredError,
    Precision,
    Recall,
    RootMeanSquaredError,
    SparseCategoricalAccuracy,
    SparseCategoricalCrossentropy,
    SparseTopKCategoricalAccuracy,
    Sum,
    TopKCategoricalAccuracy,
)
_BY_NAME: dict[str, type[Metric]] = {cls.__name__: cls for cls in _CLASSES}
_BY_NAME |= {to_snake_case(cls.__name__): cls for cls in _CLASSES}
_BY_NAME |= {"bce": BinaryCrossentropy, "BCE": BinaryCrossentropy}
_BY_NAME |= {"mse": MeanSquaredError, "MSE": MeanSquaredError, "mae": MeanAbsoluteError, "MAE": MeanAbsoluteError}


def serialize(metric: Metric) -> dict[str, Any]:
    """A metric as plain data: its class name and its configuration."""
    return {"class_name": type(metric).__name__, "config": metric.get_config()}


def deserialize(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Metric:
    """The metric that ``serialize`` described; classes of your own come in ``custom_objects`` by name."""
    name = config.get("class_name")
    cls = (custom_objects or {}).get(str(name)) or _BY_NAME.get(str(name))
    if cls is None:
        raise ValueError(f"metrics: {name!r} is no metric of Ranvier; pass custom_objects={{{name!r}: <its class>}}")
    metric = cls.from_config(config.get("config", {}))
    if not isinstance(metric, Metric):
        raise ValueError(f"metrics: {name!r} made {type(metric).__name__}, not a Metric")
    return metric


def get(identifier: Any) -> Any:
    """A metric from its name ("mse", "AUC", ...), configuration, class, function or itself; None stays None.

    Raises ValueError for a name that is not known.

    >>> import ranvier as rv
    >>> rv.metrics.get("mse")
    <MeanSquaredError name=mean_squared_error>
    """
    if identifier is None:
        return None
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        if identifier not in _BY_NAME:
            known = ", ".join(sorted(name for name in _BY_NAME if name.islower()))
            raise ValueError(f"metrics: {identifier!r} is not known; known are {known}")
        return _BY_NAME[identifier]()
    if inspect.isclass(identifier) and issubclass(identifier, Metric):
        return identifier()
    if callable(identifier):
        return identifier
    raise ValueError(f"metrics: cannot make a metric of {identifier!r}")
