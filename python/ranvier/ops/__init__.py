"""The functional ops: each takes and returns Tensors, and knows its gradient."""

import types as _types

from ranvier import _core
from ranvier.ops import image as image
from ranvier.ops.activation import *  # noqa: F403
from ranvier.ops.conv2d import *  # noqa: F403
from ranvier.ops.elementwise import *  # noqa: F403
from ranvier.ops.embedding import *  # noqa: F403
from ranvier.ops.gemm import *  # noqa: F403
from ranvier.ops.group_norm import *  # noqa: F403
from ranvier.ops.image import *  # noqa: F403
from ranvier.ops.loss import *  # noqa: F403
from ranvier.ops.norm import *  # noqa: F403
from ranvier.ops.optimizer import *  # noqa: F403
from ranvier.ops.pool2d import *  # noqa: F403
from ranvier.ops.random import *  # noqa: F403
from ranvier.ops.recurrent import *  # noqa: F403
from ranvier.ops.reduce import *  # noqa: F403
from ranvier.ops.shape import *  # noqa: F403
from ranvier.ops.softmax import *  # noqa: F403
from ranvier.ops.symbolic import takes_symbolic as _takes_symbolic

# What models may be built of: every function but the optimizers' steps, which work in place.
SYMBOLIC = {
    name: value
    for name, value in list(globals().items())
    if isinstance(value, (_types.FunctionType, _core.FrontDoor)) and name[0] != "_" and not name.endswith("_step")
}
globals().update({name: _takes_symbolic(function) for name, function in SYMBOLIC.items()})

# As in Keras, these also stand by themselves.
for _name in image.__all__:
    setattr(image, _name, globals()[_name])
