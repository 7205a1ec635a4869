"""Preprocessing of images, sequences and text, by Keras's names."""

from ranvier.preprocessing import image as image
from ranvier.preprocessing import sequence as sequence
from ranvier.preprocessing import text as text
