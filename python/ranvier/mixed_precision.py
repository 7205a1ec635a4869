"""Mixed precision: compute in 16 bits, keep weights in float32.

``set_global_policy("mixed_float16")`` or ``"mixed_bfloat16"`` before the layers are made is all it takes: each layer
casts its floating inputs and its weights to 16 bits, gradients of the weights arrive in float32, where the optimizer
keeps them. Normalisation statistics and losses are float32; give the last layer, if it is a softmax of its own,
``dtype="float32"``. float16 has little range, so ``compile`` scales its loss (``LossScaleOptimizer``). Source: Keras;
Micikevicius et al., Mixed Precision Training, 2018.
"""

from ranvier.dtype_policies import DTypePolicy, dtype_policy, set_dtype_policy
from ranvier.optimizers import LossScaleOptimizer

Policy = DTypePolicy
global_policy = dtype_policy
set_global_policy = set_dtype_policy

__all__ = [
    "DTypePolicy",
    "LossScaleOptimizer",
    "Policy",
    "dtype_policy",
    "global_policy",
    "set_dtype_policy",
    "set_global_policy",
]
