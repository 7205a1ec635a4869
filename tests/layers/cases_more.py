"""More cases: sequences, dropouts, products, upsampling."""

from __future__ import annotations

from tests.layers.case import IMAGE, SEQUENCE, Case

UNEVEN = "it counts the padding where that is uneven, unlike TensorFlow and its own documentation"
MORE = [
    Case("MaxPooling1D", {}, SEQUENCE, (2, 5, 4)),
    Case("MaxPooling1D", {"pool_size": (3,), "strides": 2, "padding": "same"}, SEQUENCE, (2, 5, 4)),
    Case("AveragePooling1D", {"pool_size": 3, "strides": 1}, SEQUENCE, (2, 8, 4)),
    Case("AveragePooling1D", {"pool_size": 3, "strides": 2, "padding": "same"}, SEQUENCE, (2, 5, 4), keras=UNEVEN),
    Case("GlobalAveragePooling1D", {}, SEQUENCE, (2, 4)),
    Case("GlobalAveragePooling1D", {"keepdims": True}, SEQUENCE, (2, 1, 4)),
    Case("GlobalMaxPooling1D", {}, SEQUENCE, (2, 4)),
    Case("GlobalMaxPooling1D", {"keepdims": True}, SEQUENCE, (2, 1, 4)),
    Case("ZeroPadding1D", {}, SEQUENCE, (2, 12, 4)),
    Case("ZeroPadding1D", {"padding": (0, 3)}, SEQUENCE, (2, 13, 4)),
    Case("Cropping1D", {}, SEQUENCE, (2, 8, 4)),
    Case("Cropping1D", {"cropping": (3, 0)}, SEQUENCE, (2, 7, 4)),
    Case("UpSampling1D", {"size": 3}, SEQUENCE, (2, 30, 4)),
    Case("UpSampling2D", {"size": (2, 3), "interpolation": "bilinear"}, IMAGE, (2, 18, 24, 4)),
    Case("UpSampling2D", {"interpolation": "bicubic"}, IMAGE, (2, 18, 16, 4),
         keras="PyTorch's cubic has another coefficient (-0.75) than TensorFlow's and JAX's (-0.5)"),
    *(Case("UpSampling2D", {"size": 2, "interpolation": f"lanczos{n}"}, IMAGE, (2, 18, 16, 4),
           keras="PyTorch has no Lanczos") for n in (3, 5)),
    Case("PReLU", {"alpha_initializer": "uniform"}, (3, 4, 5), (3, 4, 5)),
    Case("PReLU", {"shared_axes": [1, 2]}, IMAGE, IMAGE),
    Case("Softmax", {"axis": [1, 2]}, (4, 3, 2), (4, 3, 2)),
    Case("Softmax", {"axis": [-1]}, (4, 3, 2), (4, 3, 2)),
    Case("AlphaDropout", {"rate": 0.3}, (2, 3), (2, 3)),
    Case("GaussianDropout", {"rate": 0.3}, (2, 3), (2, 3)),
    Case("SpatialDropout1D", {"rate": 0.3}, SEQUENCE, SEQUENCE),
    Case("ActivityRegularization", {"l1": 0.1, "l2": 0.2}, (2, 3), (2, 3)),
    Case("Dot", {"axes": 1}, [(2, 3), (2, 3)], (2, 1)),
    Case("Dot", {"axes": -1, "normalize": True}, [(2, 3), (2, 3)], (2, 1)),
    Case("Dot", {"axes": (1, 2)}, [(2, 3, 4), (2, 5, 3)], (2, 4, 5)),
    Case("Dot", {"axes": (2, 1), "normalize": True}, [(2, 3, 4), (2, 4, 5)], (2, 3, 5)),
    Case("Dot", {"axes": (-1, -1)}, [(2, 3, 4), (2, 4)], (2, 3)),
    Case("Dot", {"axes": 1}, [(2, 4), (2, 4, 5)], (2, 5)),
    Case("Dot", {"axes": (2, 1)}, [(2, 3, 4, 6), (2, 4, 5, 7)], (2, 3, 6, 5, 7)),
    Case("L2Pooling2D", {}, IMAGE, (2, 4, 4, 4), keras="it has none"),
    Case("L2Pooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, IMAGE, (2, 5, 4, 4), keras="it has none"),
    Case("LocalSubtractiveNormalization", {"kernel_size": 5}, IMAGE, IMAGE, keras="it has none"),
    Case("LocalSubtractiveNormalization", {"kernel_size": 3, "sigma": 1.0, "across_channels": False}, IMAGE, IMAGE,
         keras="it has none"),
]  # fmt: skip
