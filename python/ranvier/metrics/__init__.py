"""What is reported beside the loss: Keras's metrics, read lazily."""

from __future__ import annotations

import inspect
from typing import Any

from ranvier._names import unknown
from ranvier.config import to_snake_case
from ranvier.losses import binary_crossentropy as binary_crossentropy
from ranvier.losses import binary_focal_crossentropy as binary_focal_crossentropy
from ranvier.losses import categorical_crossentropy as categorical_crossentropy
from ranvier.losses import categorical_focal_crossentropy as categorical_focal_crossentropy
from ranvier.losses import categorical_hinge as categorical_hinge
from ranvier.losses import hinge as hinge
from ranvier.losses import huber as huber
from ranvier.losses import kl_divergence as kl_divergence
from ranvier.losses import log_cosh as log_cosh
from ranvier.losses import mean_absolute_error as mean_absolute_error
from ranvier.losses import mean_absolute_percentage_error as mean_absolute_percentage_error
from ranvier.losses import mean_squared_error as mean_squared_error
from ranvier.losses import mean_squared_logarithmic_error as mean_squared_logarithmic_error
from ranvier.losses import poisson as poisson
from ranvier.losses import sparse_categorical_crossentropy as sparse_categorical_crossentropy
from ranvier.losses import squared_hinge as squared_hinge
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
from ranvier.metrics.confusion import ConfusionMatrix as ConfusionMatrix
from ranvier.metrics.confusion import FalseNegatives as FalseNegatives
from ranvier.metrics.confusion import FalsePositives as FalsePositives
from ranvier.metrics.confusion import Precision as Precision
from ranvier.metrics.confusion import Recall as Recall
from ranvier.metrics.confusion import TrueNegatives as TrueNegatives
from ranvier.metrics.confusion import TruePositives as TruePositives
from ranvier.metrics.confusion import confusion_matrix as confusion_matrix
from ranvier.metrics.curves import AUC as AUC
from ranvier.metrics.curves import PrecisionAtRecall as PrecisionAtRecall
from ranvier.metrics.curves import RecallAtPrecision as RecallAtPrecision
from ranvier.metrics.curves import SensitivityAtSpecificity as SensitivityAtSpecificity
from ranvier.metrics.curves import SpecificityAtSensitivity as SpecificityAtSensitivity
from ranvier.metrics.error import BinaryCrossentropy as BinaryCrossentropy
from ranvier.metrics.error import CategoricalCrossentropy as CategoricalCrossentropy
from ranvier.metrics.error import CategoricalHinge as CategoricalHinge
from ranvier.metrics.error import Hinge as Hinge
from ranvier.metrics.error import KLDivergence as KLDivergence
from ranvier.metrics.error import LogCoshError as LogCoshError
from ranvier.metrics.error import MeanAbsoluteError as MeanAbsoluteError
from ranvier.metrics.error import MeanAbsolutePercentageError as MeanAbsolutePercentageError
from ranvier.metrics.error import MeanSquaredError as MeanSquaredError
from ranvier.metrics.error import MeanSquaredLogarithmicError as MeanSquaredLogarithmicError
from ranvier.metrics.error import Poisson as Poisson
from ranvier.metrics.error import RootMeanSquaredError as RootMeanSquaredError
from ranvier.metrics.error import SparseCategoricalCrossentropy as SparseCategoricalCrossentropy
from ranvier.metrics.error import SquaredHinge as SquaredHinge
from ranvier.metrics.fscore import F1Score as F1Score
from ranvier.metrics.fscore import FBetaScore as FBetaScore
from ranvier.metrics.iou import BinaryIoU as BinaryIoU
from ranvier.metrics.iou import IoU as IoU
from ranvier.metrics.iou import MeanIoU as MeanIoU
from ranvier.metrics.iou import OneHotIoU as OneHotIoU
from ranvier.metrics.iou import OneHotMeanIoU as OneHotMeanIoU
from ranvier.metrics.metric import Mean as Mean
from ranvier.metrics.metric import MeanMetricWrapper as MeanMetricWrapper
from ranvier.metrics.metric import Metric as Metric
from ranvier.metrics.metric import Sum as Sum
from ranvier.metrics.regression import ConcordanceCorrelation as ConcordanceCorrelation
from ranvier.metrics.regression import CosineSimilarity as CosineSimilarity
from ranvier.metrics.regression import PearsonCorrelation as PearsonCorrelation
from ranvier.metrics.regression import R2Score as R2Score
from ranvier.metrics.regression import concordance_correlation as concordance_correlation
from ranvier.metrics.regression import pearson_correlation as pearson_correlation

_CLASSES: tuple[type[Metric], ...] = (
    AUC, Accuracy, BinaryAccuracy, BinaryCrossentropy, BinaryIoU, CategoricalAccuracy, CategoricalCrossentropy,
    CategoricalHinge, ConcordanceCorrelation, ConfusionMatrix, CosineSimilarity, F1Score, FBetaScore,
    FalseNegatives, FalsePositives, Hinge, IoU, KLDivergence, LogCoshError, Mean, MeanAbsoluteError,
    MeanAbsolutePercentageError, MeanIoU, MeanMetricWrapper, MeanSquaredError, MeanSquaredLogarithmicError,
    OneHotIoU, OneHotMeanIoU, PearsonCorrelation, Poisson, Precision, PrecisionAtRecall, R2Score, Recall,
    RecallAtPrecision, RootMeanSquaredError, SensitivityAtSpecificity, SparseCategoricalAccuracy,
    SparseCategoricalCrossentropy, SparseTopKCategoricalAccuracy, SpecificityAtSensitivity, SquaredHinge, Sum,
    TopKCategoricalAccuracy, TrueNegatives, TruePositives,
)  # fmt: skip
_BY_NAME: dict[str, type[Metric]] = {cls.__name__: cls for cls in _CLASSES}
_BY_NAME |= {to_snake_case(cls.__name__): cls for cls in _CLASSES}
_BY_NAME |= {"bce": BinaryCrossentropy, "BCE": BinaryCrossentropy}
_BY_NAME |= {"mse": MeanSquaredError, "MSE": MeanSquaredError, "mae": MeanAbsoluteError, "MAE": MeanAbsoluteError}
_BY_NAME |= {"mape": MeanAbsolutePercentageError, "MAPE": MeanAbsolutePercentageError}
_BY_NAME |= {"msle": MeanSquaredLogarithmicError, "MSLE": MeanSquaredLogarithmicError}


def serialize(metric: Metric) -> dict[str, Any]:
    """A metric as plain data: its class name and its configuration."""
    return {"class_name": type(metric).__name__, "config": metric.get_config()}


def deserialize(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Metric:
    """The metric that ``serialize`` described; classes of your own come in ``custom_objects`` by name."""
    from ranvier.saving.registry import get_registered_object

    name = config.get("class_name")
    cls = get_registered_object(str(name), custom_objects) or _BY_NAME.get(str(name))
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
        from ranvier.saving.registry import get_registered_object

        found = get_registered_object(identifier) or _BY_NAME.get(identifier)
        if found is None:
            raise ValueError(unknown("metric", identifier, (name for name in _BY_NAME if name.islower())))
        return found() if inspect.isclass(found) else found
    if inspect.isclass(identifier) and issubclass(identifier, Metric):
        return identifier()
    if callable(identifier):
        return identifier
    raise ValueError(f"metrics: cannot make a metric of {identifier!r}")
