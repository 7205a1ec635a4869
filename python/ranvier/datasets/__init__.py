"""Data sets: ``load_data()`` of each gives ((x_train, y_train), (x_test, y_test)), as in Keras.

``cats_dogs`` and ``horse_zebra`` are folders of pictures: ``load_folder()``.
"""

from ranvier.datasets import boston_housing as boston_housing
from ranvier.datasets import california_housing as california_housing
from ranvier.datasets import cats_dogs as cats_dogs
from ranvier.datasets import churn as churn
from ranvier.datasets import cifar10 as cifar10
from ranvier.datasets import cifar100 as cifar100
from ranvier.datasets import digits as digits
from ranvier.datasets import ecg as ecg
from ranvier.datasets import fashion_mnist as fashion_mnist
from ranvier.datasets import horse_zebra as horse_zebra
from ranvier.datasets import imdb as imdb
from ranvier.datasets import iris as iris
from ranvier.datasets import mnist as mnist
from ranvier.datasets import movielens as movielens
from ranvier.datasets import reuters as reuters
from ranvier.datasets import sentence_polarity as sentence_polarity

__all__ = [
    "boston_housing",
    "california_housing",
    "cats_dogs",
    "churn",
    "cifar10",
    "cifar100",
    "digits",
    "ecg",
    "fashion_mnist",
    "horse_zebra",
    "imdb",
    "iris",
    "mnist",
    "movielens",
    "reuters",
    "sentence_polarity",
]
