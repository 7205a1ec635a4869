"""Ranvier: deep learning from the kernel up."""

from ranvier import _core as _core
from ranvier import activations as activations
from ranvier import applications as applications
from ranvier import autograd as autograd
from ranvier import callbacks as callbacks
from ranvier import classic as classic
from ranvier import config as config
from ranvier import constraints as constraints
from ranvier import cuda as cuda
from ranvier import datasets as datasets
from ranvier import dtype_policies as dtype_policies
from ranvier import initializers as initializers
from ranvier import inspection as inspection
from ranvier import kernels as kernels
from ranvier import layers as layers
from ranvier import legacy as legacy
from ranvier import losses as losses
from ranvier import metrics as metrics
from ranvier import mixed_precision as mixed_precision
from ranvier import models as models
from ranvier import ops as ops
from ranvier import optimizers as optimizers
from ranvier import preprocessing as preprocessing
from ranvier import random as random
from ranvier import reference as reference
from ranvier import regularizers as regularizers
from ranvier import saving as saving
from ranvier import sim as sim
from ranvier import utils as utils
from ranvier import visualize as visualize
from ranvier._build import build_info as build_info
from ranvier._core import DeviceError as DeviceError
from ranvier._core import memory_stats as memory_stats
from ranvier._core import num_threads as num_threads
from ranvier._core import set_num_threads as set_num_threads
from ranvier._device import device as device
from ranvier._device import get_device as get_device
from ranvier._device import set_device as set_device
from ranvier._version import __version__ as __version__
from ranvier.autograd import enable_grad as enable_grad
from ranvier.autograd import grad as grad
from ranvier.autograd import no_grad as no_grad
from ranvier.dtype_policies import DTypePolicy as DTypePolicy
from ranvier.dtype_policies import FloatDTypePolicy as FloatDTypePolicy
from ranvier.gradcheck import gradcheck as gradcheck
from ranvier.gradcheck import hessian as hessian
from ranvier.interchange import array as array
from ranvier.interchange import from_dlpack as from_dlpack
from ranvier.interchange import from_numpy as from_numpy
from ranvier.layers import Input as Input
from ranvier.layers import Layer as Layer
from ranvier.models import Model as Model
from ranvier.models import Sequential as Sequential
from ranvier.ops import image as image
from ranvier.profiling import profiler as profiler
from ranvier.tensor import Tensor as Tensor
from ranvier.tensor import as_tensor as as_tensor
from ranvier.variable import Variable as Variable


def __getattr__(name: str) -> object:
    """``rv.sklearn``, which needs scikit-learn: loaded when it is first used."""
    if name != "sklearn":
        raise AttributeError(f"module 'ranvier' has no attribute {name!r}")
    import importlib

    return importlib.import_module("ranvier.sklearn")
