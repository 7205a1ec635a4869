"""rv.sklearn: scikit-learn's own checks, and what its tools do with networks."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import ranvier as rv

sklearn = pytest.importorskip("sklearn", reason="pip install scikit-learn")
from sklearn.base import clone  # noqa: E402
from sklearn.datasets import load_digits, load_iris, make_regression  # noqa: E402
from sklearn.model_selection import (  # noqa: E402
    GridSearchCV,
    KFold,
    LeaveOneOut,
    RandomizedSearchCV,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils import resample  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

# Where a network cannot be what a check asks, and why.
BATCHES = "a sample of weight two and the same sample twice fall into other batches"
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": BATCHES,
    "check_sample_weight_equivalence_on_sparse_data": BATCHES,
}


def expected_failures(estimator: Any) -> dict[str, str]:
    return {} if isinstance(estimator, rv.sklearn.Transformer) else EXPECTED_FAILURES


@parametrize_with_checks(
    [
        rv.sklearn.Classifier(epochs=30, learning_rate=0.01),
        rv.sklearn.Regressor(epochs=100, learning_rate=0.01),
        rv.sklearn.Transformer(epochs=5, n_components=1),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def small_net(shape: tuple[int, ...], outputs: int, units: int = 16) -> rv.Model:
    layers = [rv.layers.Dense(units, activation="tanh"), rv.layers.Dense(outputs, activation="softmax")]
    return rv.Sequential([rv.Input(shape), *layers])


def test_pipelines_and_searches_with_processes() -> None:
    x, y = load_iris(return_X_y=True)
    network = rv.sklearn.Classifier(small_net, epochs=30, learning_rate=0.02, random_state=0)
    scores = cross_val_score(make_pipeline(StandardScaler(), network), x, y, cv=3, n_jobs=2)
    assert scores.min() > 0.85
    grid = {"classifier__model_args": [{"units": 1}, {"units": 16}], "classifier__optimizer": ["adam", "sgd"]}
    search = GridSearchCV(make_pipeline(StandardScaler(), network), grid, cv=2, n_jobs=2).fit(x, y)
    assert search.best_params_["classifier__model_args"] == {"units": 16}


def bootstrap(x: np.ndarray, repeats: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows drawn with replacement, and those never drawn."""
    rows = np.arange(len(x))
    for seed in range(repeats):
        drawn = resample(rows, random_state=seed)
        yield drawn, np.setdiff1d(rows, drawn)


@pytest.mark.parametrize(
    ("validation", "folds"),
    [
        (lambda x: KFold(3, shuffle=True, random_state=0), 3),
        (lambda x: StratifiedKFold(3), 3),
        (lambda x: RepeatedStratifiedKFold(n_splits=2, n_repeats=2, random_state=0), 4),
        (lambda x: ShuffleSplit(2, test_size=0.3, random_state=0), 2),
        (lambda x: LeaveOneOut(), 30),
        (lambda x: bootstrap(x, 3), 3),
    ],
    ids=["k-fold", "stratified", "repeated", "random subsampling", "leave one out", "bootstrap"],
)
def test_every_way_to_validate(validation: Any, folds: int) -> None:
    x, y = load_iris(return_X_y=True)
    x, y = x[::5], y[::5]
    network = make_pipeline(StandardScaler(), rv.sklearn.Classifier(epochs=20, learning_rate=0.05, random_state=0))
    scores = cross_val_score(network, x, y, cv=validation(x), n_jobs=2)
    assert scores.shape == (folds,) and scores.mean() > 0.7


def test_nested_validation_around_a_random_search() -> None:
    x, y = load_iris(return_X_y=True)
    network = make_pipeline(StandardScaler(), rv.sklearn.Classifier(epochs=10, random_state=0))
    rates = {"classifier__learning_rate": [1e-6, 0.03, 0.1]}
    search = RandomizedSearchCV(network, rates, n_iter=2, cv=2, random_state=1, n_jobs=2)
    assert cross_val_score(search, x, y, cv=StratifiedKFold(3)).min() > 0.75
    assert search.fit(x, y).best_params_["classifier__learning_rate"] > 1e-3


def test_the_seed_decides_alone_and_disturbs_nobody() -> None:
    x, y = load_digits(return_X_y=True)
    network = rv.sklearn.Classifier(epochs=2, random_state=3)
    state = rv.random.default_generator().get_state()
    first = network.fit(x, y).predict_proba(x)
    assert rv.random.default_generator().get_state() == state
    rv.random.uniform((5,))
    np.testing.assert_array_equal(clone(network).fit(x, y).predict_proba(x), first)
    assert not np.array_equal(clone(network).set_params(random_state=4).fit(x, y).predict_proba(x), first)


def test_a_fitted_network_travels_as_bytes() -> None:
    x, y = make_regression(80, 4, n_targets=2, random_state=0)
    network = rv.sklearn.Regressor(epochs=5, random_state=0).fit(x, y)
    twin = pickle.loads(pickle.dumps(network))
    np.testing.assert_array_equal(twin.predict(x), network.predict(x))
    assert twin.predict(x).shape == (80, 2)


def test_warm_start_goes_on() -> None:
    x, y = load_iris(return_X_y=True)
    network = rv.sklearn.Classifier(epochs=3, random_state=0, warm_start=True).fit(x, y)
    model, before = network.model_, network.history_["loss"][-1]
    assert network.fit(x, y).model_ is model
    assert network.history_["loss"][-1] < before
    with pytest.raises(ValueError, match="warm_start needs the classes of before"):
        network.fit(x[:100], y[:100])


def test_codes_and_back() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 6))
    codes = rv.sklearn.Transformer(n_components=2, epochs=150, learning_rate=0.01, random_state=0).fit(x)
    assert codes.transform(x).shape == (200, 2)
    assert np.mean((codes.inverse_transform(codes.transform(x)) - x) ** 2) < 0.05 * x.var()
    assert codes.get_feature_names_out().tolist() == ["transformer0", "transformer1"]


def test_messages() -> None:
    with pytest.raises(TypeError, match=r"model must be a function \(input_shape, outputs, \*\*model_args\)"):
        rv.sklearn.Classifier(rv.Sequential()).fit([[0.0], [1.0]], [0, 1])
    with pytest.raises(ValueError, match="no layer named 'codes'; there are"):
        rv.sklearn.Transformer(lambda shape, outputs: small_net(shape, outputs), epochs=1).fit(np.ones((4, 3)))
