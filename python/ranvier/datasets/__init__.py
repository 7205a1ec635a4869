"""Data sets: ``load_data()`` of each gives ((x_train, y_train), (x_test, y_test)), as in Keras."""

from ranvier.datasets import digits as digits
from ranvier.datasets import fashion_mnist as fashion_mnist
from ranvier.datasets import iris as iris
from ranvier.datasets import mnist as mnist

__all__ = ["digits", "fashion_mnist", "iris", "mnist"]
