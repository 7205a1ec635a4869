"""What a network is made of, layer by layer, in Keras or here; run as a program it writes Keras's to ``keras.json``."""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

RECORD = Path(__file__).parent / "keras.json"
NETWORKS = (
    "VGG16", "VGG19", "ResNet50", "ResNet101", "ResNet152", "ResNet50V2", "ResNet101V2", "ResNet152V2", "MobileNet",
    "MobileNetV2", "DenseNet121", "DenseNet169", "DenseNet201", "InceptionV3", "Xception", "InceptionResNetV2",
    "NASNetMobile", "NASNetLarge",
)  # fmt: skip
CLASSES = 7  # instead of 1000: Keras makes the weights, and VGG's first dense layer alone is 400 MB anyway


def arguments(name: str, include_top: bool) -> dict[str, Any]:
    """VGG's are for small images: its dense layers would be most of the time."""
    small = {"input_shape": (32, 32, 3)} if name.startswith("VGG") else {}
    return {"weights": None, "include_top": include_top, "classes": CLASSES, **small}


def listing(model: Any) -> list[str]:
    """A line for each layer: name, class, shapes of the output and of the weights, the layers before it."""
    lines = []
    for layer in model.layers:
        output = list(layer.output.shape)
        weights = [list(w.shape) for w in layer.weights]
        node = (layer._inbound_nodes if hasattr(layer, "_inbound_nodes") else layer.inbound_nodes)[0]
        before = [_source(t) for t in (node.input_tensors if hasattr(node, "input_tensors") else node.inputs)]
        lines.append(f"{layer.name} {type(layer).__name__} {output} {weights} {before}")
    return lines


def _source(tensor: Any) -> str:
    history = getattr(tensor, "_keras_history", None)
    return str(history.operation.name if history is not None else tensor.source.layer.name)


def summary(model: Any) -> dict[str, Any]:
    """What is recorded of a network."""
    parameters = sum(math.prod(w.shape) for w in model.weights)
    digest = hashlib.sha256("\n".join(listing(model)).encode()).hexdigest()
    return {"name": model.name, "layers": len(model.layers), "parameters": parameters, "digest": digest}


def in_keras(name: str, include_top: bool) -> Any:
    """The network that Keras builds (it refuses NASNetMobile on PyTorch, though it can)."""
    import keras

    keras.utils.clear_session()
    if name == "NASNetMobile":
        from keras.src.applications.nasnet import NASNet

        given = {"input_shape": (224, 224, 3), "default_size": 224, "name": "nasnet_mobile"}
        settings = {"penultimate_filters": 1056, "num_blocks": 4, "stem_block_filters": 32, "skip_reduction": False}
        return NASNet(**given, **settings, **arguments(name, include_top))
    return getattr(keras.applications, name)(**arguments(name, include_top))


def main() -> None:
    """Records all networks, or those named."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    for name in sys.argv[1:] or NETWORKS:
        for include_top in (True, False):
            record[f"{name}, include_top={include_top}"] = summary(in_keras(name, include_top))
            RECORD.write_text(json.dumps(record, indent=1) + "\n")
            print(name, include_top, flush=True)


if __name__ == "__main__":
    main()
