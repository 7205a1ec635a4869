"""Preprocessing of images and sequences, by Keras's names."""

from ranvier.preprocessing import image as image
from ranvier.preprocessing import sequence as sequence
