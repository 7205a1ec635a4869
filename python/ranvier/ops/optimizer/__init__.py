"""Optimizer steps, in place over lists of tensors: each is one kernel call for all parameters.

What they share: all parameters have one dtype (float32 or float64) and device; gradients and state fit them one by
one; no array is given twice. ``weight_decay`` first shrinks each parameter by learning_rate * weight_decay of itself
("decoupled", as in AdamW); a list gives each parameter its own. Of ``clipvalue`` (gradients cut to +-clipvalue),
``clipnorm`` (each gradient scaled to at most that norm) and ``global_clipnorm`` (all scaled together) at most one is
given. ``gradient_scale`` (float64, on the parameters' device) multiplies all gradients before that; where it is 0 the
step is left out. Scalars that vary from step to step are arguments: ``learning_rate`` and ``iteration`` may be arrays
of one number (float64, int64) that is read when the kernel runs, an ``iteration`` that is a GPU's there. ValueError
names what does not fit; TypeError and DeviceError dtypes and devices that differ.
"""

from ranvier.ops.optimizer.gradients import (
    adadelta_step,
    adagrad_step,
    blend_step,
    ftrl_step,
    lion_step,
    rmsprop_step,
    sgd_step,
)
from ranvier.ops.optimizer.lists import loss_scale_step
from ranvier.ops.optimizer.moments import adam_step, adamax_step, lamb_step, nadam_step

__all__ = [
    "adadelta_step",
    "adagrad_step",
    "adam_step",
    "adamax_step",
    "blend_step",
    "ftrl_step",
    "lamb_step",
    "lion_step",
    "loss_scale_step",
    "nadam_step",
    "rmsprop_step",
    "sgd_step",
]
