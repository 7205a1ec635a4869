"""Pictures of trainings: loss curves, confusion matrices, misread digits. Needs ``pip install 'ranvier[plot]'``."""

from ranvier.visualize.training import confusion_matrix as confusion_matrix
from ranvier.visualize.training import history as history
from ranvier.visualize.training import misread_digits as misread_digits
from ranvier.visualize.training import quickstart_picture as quickstart_picture
