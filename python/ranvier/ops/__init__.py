"""The functional ops: each takes and returns Tensors, and knows its gradient."""

from ranvier.ops.activation import *  # noqa: F403
from ranvier.ops.conv2d import *  # noqa: F403
from ranvier.ops.elementwise import *  # noqa: F403
from ranvier.ops.embedding import *  # noqa: F403
from ranvier.ops.gemm import *  # noqa: F403
from ranvier.ops.loss import *  # noqa: F403
from ranvier.ops.norm import *  # noqa: F403
from ranvier.ops.optimizer import *  # noqa: F403
from ranvier.ops.pool2d import *  # noqa: F403
from ranvier.ops.random import *  # noqa: F403
from ranvier.ops.recurrent import *  # noqa: F403
from ranvier.ops.reduce import *  # noqa: F403
from ranvier.ops.shape import *  # noqa: F403
from ranvier.ops.softmax import *  # noqa: F403
