"""What the course teaches where it differs from Keras: the same names as elsewhere, the course's formulas."""

from ranvier.classic import callbacks as callbacks
from ranvier.classic import optimizers as optimizers
from ranvier.classic import schedules as schedules
