"""Every kernel in plain NumPy, written to be read: the definition that the others are held to."""

from ranvier.reference.activation import *  # noqa: F403
from ranvier.reference.conv2d import *  # noqa: F403
from ranvier.reference.elementwise import *  # noqa: F403
from ranvier.reference.embedding import *  # noqa: F403
from ranvier.reference.gemm import *  # noqa: F403
from ranvier.reference.group_norm import *  # noqa: F403
from ranvier.reference.image import *  # noqa: F403
from ranvier.reference.loss import *  # noqa: F403
from ranvier.reference.norm import *  # noqa: F403
from ranvier.reference.optimizer import *  # noqa: F403
from ranvier.reference.pool2d import *  # noqa: F403
from ranvier.reference.random import *  # noqa: F403
from ranvier.reference.recurrent import *  # noqa: F403
from ranvier.reference.reduce import *  # noqa: F403
from ranvier.reference.shape import *  # noqa: F403
from ranvier.reference.softmax import *  # noqa: F403
