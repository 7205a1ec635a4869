"""The specs of every op family: ``ALL_SPECS`` is what the shared suite runs."""

from importlib import import_module

FAMILIES = (
    "activation",
    "conv2d",
    "elementwise",
    "embedding",
    "gemm",
    "loss",
    "norm",
    "optimizer",
    "pool2d",
    "random",
    "recurrent",
    "reduce",
    "shape",
    "softmax",
)

ALL_SPECS = [spec for family in FAMILIES for spec in import_module(f"tests.specs.{family}").SPECS]
