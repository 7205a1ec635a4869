"""Networks as scikit-learn estimators: in pipelines, cross-validation and searches, with ``n_jobs`` too.

Not imported by ``import ranvier`` alone: ``rv.sklearn`` loads scikit-learn when it is first used.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import ranvier as rv

try:
    from sklearn.base import (
        BaseEstimator,
        ClassifierMixin,
        ClassNamePrefixFeaturesOutMixin,
        RegressorMixin,
        TransformerMixin,
    )
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as error:
    raise ImportError("rv.sklearn needs scikit-learn 1.6 or later: pip install 'scikit-learn>=1.6'") from error

__all__ = ["Classifier", "Regressor", "Transformer"]

Builder = Callable[..., Any]


class _Network(BaseEstimator):  # type: ignore[misc]
    """What the estimators share: parameters, building, training, and a fitted model that can be pickled."""

    def __init__(
        self,
        model: Builder | None = None,
        *,
        model_args: dict[str, Any] | None = None,
        hidden: tuple[int, ...] = (100,),
        optimizer: Any = "adam",
        learning_rate: float | None = None,
        loss: Any = None,
        epochs: int = 100,
        batch_size: int = 32,
        validation_split: float = 0.0,
        callbacks: Any = None,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.model = model
        self.model_args = model_args
        self.hidden = hidden
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.loss = loss
        self.epochs = epochs
        self.batch_size = batch_size
        self.validation_split = validation_split
        self.callbacks = callbacks
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def _dense(self, inputs: int, outputs: int, activation: str | None) -> Any:
        """The network without a ``model``: dense layers of ``hidden`` units with relu, and the output."""
        layers = [rv.layers.Dense(units, activation="relu") for units in self.hidden]
        return rv.Sequential([rv.Input((inputs,)), *layers, rv.layers.Dense(outputs, activation=activation)])

    def _train(self, x: Any, y: Any, sample_weight: Any, outputs: int, activation: str | None, loss: str) -> None:
        # A stream of its own: what the estimator draws follows from random_state, and disturbs nobody's.
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        with rv.random.use_generator(rv.random.Generator(int(seed))):
            if not (self.warm_start and hasattr(self, "model_")):
                self.model_ = self._built(x.shape[1:], outputs, activation, loss)
            history = self.model_.fit(
                x,
                y,
                batch_size=self.batch_size,
                epochs=self.epochs,
                sample_weight=sample_weight,
                validation_split=self.validation_split,
                callbacks=self.callbacks,
                verbose=self.verbose,
            )
        self.history_ = history.history
        self.n_iter_ = len(self.history_["loss"])

    def _built(self, shape: tuple[int, ...], outputs: int, activation: str | None, loss: str) -> Any:
        if self.model is None:
            model = self._dense(shape[0], outputs, activation)
        elif callable(self.model) and not isinstance(self.model, rv.Model):
            model = self.model(shape, outputs, **(self.model_args or {}))
        else:
            raise TypeError(
                f"{type(self).__name__}: model must be a function (input_shape, outputs, **model_args) that makes a "
                f"new model for each fit, got {type(self.model).__name__}"
            )
        if not model.compiled:
            optimizer = rv.optimizers.get(self.optimizer)
            if self.learning_rate is not None:
                optimizer.learning_rate = self.learning_rate
            model.compile(optimizer=optimizer, loss=self.loss or loss)
        return model

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "model_")
        x = validate_data(self, X, reset=False, dtype=np.float32)
        return np.asarray(self.model_.predict(x, batch_size=max(self.batch_size, 256), verbose=0))

    def __getstate__(self) -> dict[str, Any]:
        """The fitted model as the bytes of its file, which holds no code."""
        state = dict(super().__getstate__())
        if "model_" in state:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model.rv"
                state["model_"].save(path)
                state["model_"] = path.read_bytes()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        if isinstance(state.get("model_"), bytes):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model.rv"
                path.write_bytes(state["model_"])
                state["model_"] = rv.models.load_model(path)
        super().__setstate__(state)


class Classifier(ClassifierMixin, _Network):  # type: ignore[misc]
    """A network that tells classes apart: ``fit(X, y)``, ``predict``, ``predict_proba``, ``score`` (accuracy).

    ``model`` is a function ``(input_shape, outputs, **model_args)`` that returns a model with ``outputs`` softmax
    probabilities (compiled, or compiled here with ``optimizer``, ``learning_rate`` and ``loss``, by default sparse
    categorical cross-entropy); without one, dense layers of ``hidden`` units. ``y`` are labels of any kind.
    ``random_state`` fixes weights, order and dropout without touching ``rv.random``'s own stream. After ``fit``:
    ``classes_``, ``model_``, ``history_``. ``warm_start=True`` goes on training the model there is. Raises ValueError
    for data that scikit-learn refuses, TypeError for a ``model`` that is no function. Source: scikit-learn's
    ``MLPClassifier``; Keras ``SKLearnClassifier``.

    >>> import numpy as np, ranvier as rv
    >>> x = np.array([[0.0], [0.2], [0.8], [1.0]])
    >>> model = rv.sklearn.Classifier(epochs=200, learning_rate=0.05, random_state=0)
    >>> model.fit(x, ["low", "low", "high", "high"]).predict([[0.1], [0.9]]).tolist()
    ['low', 'high']
    """

    classes_: np.ndarray

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Classifier:
        """Trains a new model (``warm_start``: the one there is) on X of shape (samples, features)."""
        x, y = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(y)
        classes, labels = np.unique(y, return_inverse=True)
        if self.warm_start and hasattr(self, "model_") and not np.array_equal(classes, self.classes_):
            raise ValueError(f"Classifier: warm_start needs the classes of before, {self.classes_}, got {classes}")
        self.classes_ = classes
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, x, dtype=np.float32)
        labels = labels.astype(np.int32)
        self._train(x, labels, sample_weight, len(classes), "softmax", "sparse_categorical_crossentropy")
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities (samples, classes), in the order of ``classes_``."""
        return self._outputs(X).reshape(-1, len(self.classes_))

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest class of each sample."""
        chosen = self.predict_proba(X).argmax(1)
        return np.asarray(self.classes_[chosen])


class Regressor(RegressorMixin, _Network):  # type: ignore[misc]
    """A network that fits numbers: ``fit(X, y)``, ``predict``, ``score`` (R2); y of shape (samples,) or (samples, n).

    ``model`` as in ``Classifier``, with n linear outputs; the loss is by default the mean squared error. Raises
    ValueError for data that scikit-learn refuses. Source: scikit-learn's ``MLPRegressor``; Keras ``SKLearnRegressor``.

    >>> import numpy as np, ranvier as rv
    >>> x = np.linspace(-1, 1, 50)[:, None]
    >>> model = rv.sklearn.Regressor(epochs=200, learning_rate=0.01, random_state=0).fit(x, x[:, 0] ** 2)
    >>> bool(abs(model.predict([[0.5]])[0] - 0.25) < 0.05)
    True
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Regressor:
        """Trains a new model (``warm_start``: the one there is) on X of shape (samples, features)."""
        x, y = validate_data(self, X, y, dtype=np.float32, multi_output=True, y_numeric=True)
        targets = np.asarray(y, np.float32)
        self._single = targets.ndim == 1
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, x, dtype=np.float32)
        targets = targets.reshape(len(x), -1)
        self.n_outputs_ = targets.shape[1]
        self._train(x, targets, sample_weight, self.n_outputs_, None, "mean_squared_error")
        return self

    def predict(self, X: Any) -> np.ndarray:
        """(samples,) or (samples, n), as the targets were; float64, as scikit-learn's own."""
        outputs = self._outputs(X).reshape(-1, self.n_outputs_).astype(np.float64)
        return outputs[:, 0] if self._single else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class Transformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, _Network):  # type: ignore[misc]
    """An autoencoder as a step of a pipeline: ``fit(X)``, ``transform`` (codes), ``inverse_transform``.

    ``model`` is a function ``(input_shape, outputs, **model_args)`` whose model gives back its input, with a layer of
    the name ``layer`` whose outputs are the codes; without one, ``n_components`` linear codes between ``hidden`` layers
    and their mirror. The loss is by default the mean squared error. Raises ValueError for data that scikit-learn
    refuses and for a model without that layer.

    >>> import numpy as np, ranvier as rv
    >>> x = np.random.default_rng(0).normal(size=(40, 6))
    >>> rv.sklearn.Transformer(n_components=2, epochs=5, random_state=0).fit_transform(x).shape
    (40, 2)
    """

    def __init__(
        self,
        model: Builder | None = None,
        *,
        n_components: int = 2,
        layer: str = "codes",
        model_args: dict[str, Any] | None = None,
        hidden: tuple[int, ...] = (),
        optimizer: Any = "adam",
        learning_rate: float | None = None,
        loss: Any = None,
        epochs: int = 100,
        batch_size: int = 32,
        validation_split: float = 0.0,
        callbacks: Any = None,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            model,
            model_args=model_args,
            hidden=hidden,
            optimizer=optimizer,
            learning_rate=learning_rate,
            loss=loss,
            epochs=epochs,
            batch_size=batch_size,
            validation_split=validation_split,
            callbacks=callbacks,
            warm_start=warm_start,
            random_state=random_state,
            verbose=verbose,
        )
        self.n_components = n_components
        self.layer = layer

    def _dense(self, inputs: int, outputs: int, activation: str | None) -> Any:
        dense = rv.layers.Dense
        return rv.Sequential(
            [
                rv.Input((inputs,)),
                *(dense(units, activation="relu") for units in self.hidden),
                dense(self.n_components, name=self.layer),
                *(dense(units, activation="relu") for units in reversed(self.hidden)),
                dense(outputs),
            ]
        )

    def fit(self, X: Any, y: Any = None) -> Transformer:
        """Trains the autoencoder to give back X, of shape (samples, features); ``y`` is not used."""
        x = validate_data(self, X, dtype=np.float32)
        self._train(x, x, None, x.shape[1], None, "mean_squared_error")
        names = [layer.name for layer in self.model_.layers]
        if self.layer not in names:
            raise ValueError(f"Transformer: the model has no layer named {self.layer!r}; there are {', '.join(names)}")
        self._n_features_out = int(self.model_.get_layer(self.layer).output.shape[-1])
        return self

    def transform(self, X: Any) -> np.ndarray:
        """The codes (samples, n) of X."""
        check_is_fitted(self, "model_")
        x = validate_data(self, X, reset=False, dtype=np.float32)
        encoder = rv.Model(self.model_.inputs, self.model_.get_layer(self.layer).output)
        return np.asarray(encoder.predict(x, batch_size=max(self.batch_size, 256), verbose=0)).reshape(len(x), -1)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """What the network makes of codes: (samples, features)."""
        check_is_fitted(self, "model_")
        y = rv.as_tensor(np.asarray(X, np.float32))
        after = [layer.name for layer in self.model_.layers].index(self.layer) + 1
        with rv.no_grad():
            for layer in self.model_.layers[after:]:
                y = layer(y)
        return np.asarray(y.numpy())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
