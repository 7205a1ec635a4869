"""One call of every layer: what the tests of configurations, shapes and Keras's results go through."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Case:
    """A layer by name, its arguments, the shapes of its input (one, or a list of several) and of its output."""

    layer: str
    arguments: dict[str, Any]
    shape: Any
    output: Any
    integers: int | None = None  # inputs are integers below this
    call: dict[str, Any] = field(default_factory=dict)
    keras: str = ""  # why Keras's torch backend is no measure here

    @property
    def name(self) -> str:
        settings = ",".join(f"{k}={v}" for k, v in self.arguments.items())
        return f"{self.layer}({settings})" + "".join(f",{k}={v}" for k, v in self.call.items())

    def inputs(self, seed: int = 0, dtype: str = "float64") -> Any:
        random = np.random.default_rng(seed)
        if isinstance(self.shape, list):
            return [random.standard_normal(s).astype(dtype) for s in self.shape]
        if self.integers is not None:
            return random.integers(0, self.integers, self.shape, np.int32)
        return random.standard_normal(self.shape).astype(dtype)


IMAGE = (2, 9, 8, 4)
SEQUENCE = (2, 10, 4)
TRAILING = "its torch backend normalises trailing axes only"
CASES = [
    Case("Dense", {"units": 3}, (5, 4), (5, 3)),
    Case("Dense", {"units": 3, "activation": "relu", "use_bias": False}, (2, 6, 4), (2, 6, 3)),
    *(Case("Dense", {"units": 3, "activation": a}, (5, 4), (5, 3)) for a in (
        "linear", "relu", "leaky_relu", "relu6", "elu", "selu", "gelu", "silu", "swish", "softplus", "softsign",
        "sigmoid",
        "hard_sigmoid", "tanh", "exponential", "softmax", "log_softmax", "mish", "hard_silu", "log_sigmoid",
    )),
    Case("Activation", {"activation": "tanh"}, (2, 3), (2, 3)),
    Case("Identity", {}, (2, 3), (2, 3)),
    Case("Flatten", {}, (2, 3, 4), (2, 12)),
    Case("Flatten", {}, (3,), (3, 1)),
    Case("Reshape", {"target_shape": (2, -1)}, (3, 8), (3, 2, 4)),
    Case("Permute", {"dims": (2, 1)}, (2, 3, 4), (2, 4, 3)),
    Case("RepeatVector", {"n": 3}, (2, 4), (2, 3, 4)),
    Case("ZeroPadding2D", {"padding": ((1, 0), (2, 3))}, IMAGE, (2, 10, 13, 4)),
    Case("Cropping2D", {"cropping": ((1, 0), (2, 3))}, IMAGE, (2, 8, 3, 4)),
    Case("UpSampling2D", {"size": (2, 3)}, IMAGE, (2, 18, 24, 4)),
    Case("Conv2D", {"filters": 3, "kernel_size": 3}, IMAGE, (2, 7, 6, 3)),
    Case("Conv2D", {"filters": 3, "kernel_size": (2, 3), "strides": 2, "padding": "same", "activation": "relu"}, IMAGE,
         (2, 5, 4, 3)),
    Case("Conv2D", {"filters": 6, "kernel_size": 3, "groups": 2, "dilation_rate": (2, 1)}, IMAGE, (2, 5, 6, 6)),
    Case("Conv2D", {"filters": 2, "kernel_size": 3, "activation": "softmax", "use_bias": False}, IMAGE, (2, 7, 6, 2)),
    Case("Conv2DTranspose", {"filters": 3, "kernel_size": 3}, IMAGE, (2, 11, 10, 3)),
    Case("Conv2DTranspose", {"filters": 3, "kernel_size": 4, "strides": 2, "padding": "same"}, IMAGE, (2, 18, 16, 3)),
    Case("Conv2DTranspose", {"filters": 3, "kernel_size": 3, "strides": 2, "output_padding": 1}, IMAGE,
         (2, 20, 18, 3)),
    Case("Conv2DTranspose", {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 1},
         IMAGE,
         (2, 18, 16, 3)),
    Case("Conv2DTranspose", {"filters": 3, "kernel_size": 4, "strides": 2, "padding": "same", "output_padding": 0},
         IMAGE,
         (2, 16, 14, 3)),
    Case("Conv2DTranspose", {"filters": 2, "kernel_size": 3, "dilation_rate": 2, "padding": "same"}, IMAGE,
         (2, 9, 8, 2)),
    Case("Conv2DTranspose", {"filters": 3, "kernel_size": 2, "strides": 3, "activation": "tanh"}, IMAGE,
         (2, 27, 24, 3)),
    Case("Conv1D", {"filters": 3, "kernel_size": 3}, SEQUENCE, (2, 8, 3)),
    Case("Conv1D", {"filters": 6, "kernel_size": (4,), "padding": "causal", "dilation_rate": 2, "groups": 2,
                    "activation": "relu"}, SEQUENCE, (2, 10, 6)),
    Case("Conv1D", {"filters": 3, "kernel_size": 3, "padding": "causal", "strides": 3}, SEQUENCE, (2, 4, 3)),
    Case("Conv1D", {"filters": 3, "kernel_size": 2, "padding": "same", "strides": 2, "use_bias": False}, SEQUENCE,
         (2, 5, 3)),
    Case("Conv1DTranspose", {"filters": 3, "kernel_size": 3}, SEQUENCE, (2, 12, 3)),
    Case("Conv1DTranspose", {"filters": 3, "kernel_size": 4, "strides": 2, "padding": "same"}, SEQUENCE, (2, 20, 3)),
    Case("Conv1DTranspose", {"filters": 3, "kernel_size": 3, "strides": 3, "output_padding": 2, "activation": "tanh"},
         SEQUENCE, (2, 32, 3)),
    Case("DepthwiseConv1D", {"kernel_size": 3, "depth_multiplier": 2}, SEQUENCE, (2, 8, 8)),
    Case("DepthwiseConv2D", {"kernel_size": 3}, IMAGE, (2, 7, 6, 4)),
    Case("DepthwiseConv2D", {"kernel_size": (2, 3), "strides": 2, "padding": "same", "depth_multiplier": 3,
                             "activation": "relu"}, IMAGE, (2, 5, 4, 12)),
    Case("DepthwiseConv2D", {"kernel_size": 3, "dilation_rate": 2, "use_bias": False, "activation": "sigmoid"}, IMAGE,
         (2, 5, 4, 4)),
    Case("SeparableConv1D", {"filters": 5, "kernel_size": 3, "strides": 2, "padding": "same"}, SEQUENCE, (2, 5, 5)),
    Case("SeparableConv2D", {"filters": 5, "kernel_size": 3, "activation": "relu"}, IMAGE, (2, 7, 6, 5)),
    Case("SeparableConv2D", {"filters": 5, "kernel_size": 3, "depth_multiplier": 2, "use_bias": False,
                             "activation": "softmax", "padding": "same"}, IMAGE, (2, 9, 8, 5)),
    Case("MaxPooling2D", {}, IMAGE, (2, 4, 4, 4)),
    Case("MaxPooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, IMAGE, (2, 5, 4, 4)),
    Case("AveragePooling2D", {"pool_size": (2, 3)}, IMAGE, (2, 4, 2, 4)),
    Case("AveragePooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, IMAGE, (2, 5, 4, 4),
         keras="it counts the padding where that is uneven, unlike TensorFlow and its own documentation"),
    Case("GlobalAveragePooling2D", {}, IMAGE, (2, 4)),
    Case("GlobalAveragePooling2D", {"keepdims": True}, IMAGE, (2, 1, 1, 4)),
    Case("GlobalMaxPooling2D", {}, IMAGE, (2, 4)),
    Case("LayerNormalization", {}, (5, 6), (5, 6)),
    Case("LayerNormalization", {"axis": [1, 2], "epsilon": 0.1}, IMAGE, IMAGE, keras=TRAILING),
    Case("LayerNormalization", {"axis": [-1, -2], "center": False}, (3, 4, 5), (3, 4, 5)),
    Case("LayerNormalization", {"axis": 1, "scale": False}, (3, 4, 5), (3, 4, 5), keras=TRAILING),
    Case("GroupNormalization", {"groups": 2}, IMAGE, IMAGE),
    Case("GroupNormalization", {"groups": -1, "epsilon": 0.1}, IMAGE, IMAGE),
    Case("GroupNormalization", {"groups": 3, "axis": 1, "center": False}, (2, 9, 8), (2, 9, 8)),
    Case("GroupNormalization", {"groups": 1, "scale": False}, (4, 6), (4, 6)),
    Case("InstanceNormalization", {}, IMAGE, IMAGE, keras="it has none; GroupNormalization(groups=-1) is the same"),
    Case("UnitNormalization", {}, (2, 3, 4), (2, 3, 4)),
    Case("UnitNormalization", {"axis": [1, 2]}, (2, 3, 4), (2, 3, 4)),
    Case("RMSNormalization", {}, (2, 3, 4), (2, 3, 4)),
    Case("RMSNormalization", {"axis": 1, "epsilon": 0.1}, (2, 3, 4), (2, 3, 4), keras=TRAILING),
    Case("BatchNormalization", {}, IMAGE, IMAGE),
    Case("BatchNormalization", {"axis": 1}, IMAGE, IMAGE),
    Case("BatchNormalization", {}, IMAGE, IMAGE, call={"training": True}),
    Case("BatchNormalization", {"axis": 1, "momentum": 0.5, "epsilon": 0.1}, (6, 4, 3), (6, 4, 3),
         call={"training": True}),
    Case("BatchNormalization", {"center": False, "scale": False}, (6, 4), (6, 4), call={"training": True}),
    Case("Rescaling", {"scale": 0.5, "offset": 1.0}, (2, 3), (2, 3)),
    Case("Dropout", {"rate": 0.5}, (2, 3), (2, 3)),
    Case("SpatialDropout2D", {"rate": 0.5}, IMAGE, IMAGE),
    Case("GaussianNoise", {"stddev": 0.5}, (2, 3), (2, 3)),
    Case("Embedding", {"input_dim": 7, "output_dim": 3}, (2, 5), (2, 5, 3), integers=7),
    Case("Masking", {}, (2, 5, 3), (2, 5, 3)),
    Case("LSTM", {"units": 3}, (2, 5, 4), (2, 3)),
    Case("LSTM", {"units": 3, "return_sequences": True, "use_bias": False}, (2, 5, 4), (2, 5, 3)),
    Case("LSTM", {"units": 3, "return_state": True, "go_backwards": True}, (2, 5, 4), [(2, 3), (2, 3), (2, 3)]),
    Case("LSTM", {"units": 3, "return_sequences": True, "return_state": True, "go_backwards": True}, (2, 5, 4),
         [(2, 5, 3), (2, 3), (2, 3)]),
    Case("LSTM", {"units": 3, "activation": "relu", "recurrent_activation": "hard_sigmoid",
                  "return_sequences": True}, (2, 5, 4), (2, 5, 3)),
    Case("SimpleRNN", {"units": 3}, (2, 5, 4), (2, 3)),
    Case("SimpleRNN", {"units": 3, "activation": "softsign", "return_sequences": True, "return_state": True,
                       "go_backwards": True}, (2, 5, 4), [(2, 5, 3), (2, 3)]),
    Case("SimpleRNN", {"units": 3, "activation": "relu", "use_bias": False}, (2, 5, 4), (2, 3)),
    Case("GRU", {"units": 3}, (2, 5, 4), (2, 3)),
    Case("GRU", {"units": 3, "return_sequences": True, "use_bias": False}, (2, 5, 4), (2, 5, 3)),
    Case("GRU", {"units": 3, "reset_after": False, "return_sequences": True}, (2, 5, 4), (2, 5, 3)),
    Case("GRU", {"units": 3, "return_state": True, "go_backwards": True}, (2, 5, 4), [(2, 3), (2, 3)]),
    *(Case("GRU", {"units": 3, "activation": "relu", "recurrent_activation": "hard_sigmoid", "reset_after": after,
                   "return_sequences": True}, (2, 5, 4), (2, 5, 3)) for after in (True, False)),
    Case("ReLU", {"max_value": 1.0, "negative_slope": 0.1, "threshold": 0.5}, (4, 6), (4, 6)),
    Case("LeakyReLU", {}, (4, 6), (4, 6)),
    Case("ELU", {"alpha": 0.7}, (4, 6), (4, 6)),
    Case("Softmax", {"axis": 1}, (4, 3, 2), (4, 3, 2)),
    Case("Add", {}, [(2, 3), (2, 3), (2, 3)], (2, 3)),
    Case("Add", {}, [(2, 4, 3), (2, 3)], (2, 4, 3)),
    Case("Subtract", {}, [(2, 3), (2, 1)], (2, 3)),
    Case("Multiply", {}, [(2, 3), (2, 3)], (2, 3)),
    Case("Average", {}, [(2, 3), (2, 3), (2, 3)], (2, 3)),
    Case("Maximum", {}, [(2, 3), (2, 3)], (2, 3)),
    Case("Minimum", {}, [(2, 3), (2, 3)], (2, 3)),
    Case("Concatenate", {"axis": 1}, [(2, 3, 2), (2, 4, 2)], (2, 7, 2)),
]  # fmt: skip
