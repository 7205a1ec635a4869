"""Data sets: ``load_data()`` of each gives ((x_train, y_train), (x_test, y_test)), as in Keras."""

from ranvier.datasets import boston_housing as boston_housing
from ranvier.datasets import churn as churn
from ranvier.datasets import digits as digits
from ranvier.datasets import ecg as ecg
from ranvier.datasets import fashion_mnist as fashion_mnist
from ranvier.datasets import iris as iris
from ranvier.datasets import mnist as mnist
from ranvier.datasets import movielens as movielens
from ranvier.datasets import sentence_polarity as sentence_polarity

__all__ = [
    "boston_housing",
    "churn",
    "digits",
    "ecg",
    "fashion_mnist",
    "iris",
    "mnist",
    "movielens",
    "sentence_polarity",
]
