"""Images: of another size, seen through transforms, in other colours, smoothed."""

from ranvier.ops.image.color import hsv_to_rgb, rgb_to_grayscale, rgb_to_hsv
from ranvier.ops.image.filters import gaussian_blur, sobel_edges, ssim
from ranvier.ops.image.geometry import (
    crop_images,
    elastic_transform,
    extract_patches,
    map_coordinates,
    pad_images,
    perspective_transform,
)
from ranvier.ops.image.resampling import resize, scale_and_translate
from ranvier.ops.image.warp import affine_transform

__all__ = [
    "affine_transform",
    "crop_images",
    "elastic_transform",
    "extract_patches",
    "gaussian_blur",
    "hsv_to_rgb",
    "map_coordinates",
    "pad_images",
    "perspective_transform",
    "resize",
    "rgb_to_grayscale",
    "rgb_to_hsv",
    "scale_and_translate",
    "sobel_edges",
    "ssim",
]
