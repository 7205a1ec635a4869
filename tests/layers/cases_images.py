"""One call of every layer that changes images: what Keras's transformation is given to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class ImageCase:
    """A layer by name and its arguments."""

    layer: str
    arguments: dict[str, Any] = field(default_factory=dict)
    layouts: tuple[str, ...] = ("channels_last", "channels_first")

    @property
    def name(self) -> str:
        return f"{self.layer}({','.join(f'{k}={v}' for k, v in self.arguments.items())})"


LAST = ("channels_last",)  # Keras's layer looks at no other layout

CASES = [
    ImageCase("Resizing", {"height": 5, "width": 20}),
    ImageCase("Resizing", {"height": 5, "width": 20, "antialias": True, "crop_to_aspect_ratio": True}),
    ImageCase("CenterCrop", {"height": 5, "width": 6}),
    ImageCase("CenterCrop", {"height": 14, "width": 6}),
    ImageCase("AutoContrast", {}, LAST),
    ImageCase("Equalization"),
    ImageCase("Equalization", {"value_range": (0, 300), "bins": 64}),
    ImageCase("ContrastLimitedAdaptiveHistogramEqualization", {"tile_grid_size": (3, 4), "clip_limit": 40}),
    ImageCase("ContrastLimitedAdaptiveHistogramEqualization", {"tile_grid_size": (3, 5), "clip_limit": 0.0}),
    ImageCase("Solarization", {"addition_factor": 0.2, "threshold_factor": 0.6}, LAST),
    ImageCase("RandomFlip"),
    ImageCase("RandomFlip", {"mode": "vertical"}),
    ImageCase("RandomCrop", {"height": 5, "width": 7}),
    ImageCase("RandomCrop", {"height": 20, "width": 7}),
    ImageCase("RandomTranslation", {"height_factor": 0.3, "width_factor": (-0.2, 0.1)}),
    ImageCase(
        "RandomTranslation", {"height_factor": 0.3, "width_factor": 0.2, "fill_mode": "constant", "fill_value": 3.0}
    ),
    ImageCase("RandomRotation", {"factor": 0.4}),
    ImageCase("RandomRotation", {"factor": 1.0, "fill_mode": "wrap", "interpolation": "nearest"}),
    ImageCase("RandomZoom", {"height_factor": 0.4}),
    ImageCase("RandomZoom", {"height_factor": 0.4, "width_factor": (-0.2, 0.3), "fill_mode": "nearest"}),
    ImageCase("RandomShear", {"x_factor": 0.3, "y_factor": (0.1, 0.2)}),
    ImageCase("RandomPerspective", {"factor": 0.7, "scale": 0.4}),
    ImageCase("RandomBrightness", {"factor": 0.4}),
    ImageCase("RandomContrast", {"factor": 0.4}),
    ImageCase("RandomHue", {"factor": 0.4}),
    ImageCase("RandomSaturation", {"factor": (0.2, 0.7)}),
    ImageCase("RandomColorDegeneration", {"factor": 0.6}),
    ImageCase("RandomGrayscale"),
    ImageCase("RandomInvert", {"factor": 0.5}),
    ImageCase("RandomPosterization", {"factor": (2, 7)}),
    ImageCase("RandomPosterization", {"factor": 3}),
    ImageCase("RandomSharpness", {"factor": 0.9}),
    ImageCase("RandomGaussianBlur", {"factor": 0.7, "kernel_size": 5}),
    ImageCase("RandomErasing"),
    ImageCase("RandomErasing", {"fill_value": 7.0, "scale": (0.1, 0.2)}),
    ImageCase("CutMix"),
    ImageCase("MixUp"),
    ImageCase("AugMix"),
    ImageCase("RandAugment"),
    # Keras draws inside of these; what they do is in their parts' cases, and in tests of their own.
    ImageCase("RandomColorJitter", {"brightness_factor": 0.2, "contrast_factor": 0.3, "hue_factor": 0.1}),
    ImageCase("RandomElasticTransform", {"factor": 0.8, "scale": 0.7}),
]
DRAWN_INSIDE = ("RandomColorJitter", "RandomElasticTransform")
SIZED = ("Resizing", "CenterCrop", "RandomCrop")
PLAIN = (
    "Resizing",
    "CenterCrop",
    "AutoContrast",
    "ContrastLimitedAdaptiveHistogramEqualization",
)  # act without training too
