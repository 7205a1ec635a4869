"""VGG19: VGG16 with a fourth convolution in each of the last three blocks (Simonyan and Zisserman 2014)."""

from __future__ import annotations

from ranvier.applications.construction import Options, network
from ranvier.applications.files import URL, kernels
from ranvier.applications.imagenet_utils import caffe_input as preprocess_input
from ranvier.applications.imagenet_utils import decode_predictions
from ranvier.applications.vgg16 import vgg
from ranvier.models import Model

__all__ = ["VGG19", "decode_predictions", "preprocess_input"]


@network("vgg19")
def VGG19(options: Options) -> Model:
    """The 19-layer network of VGG: images (N, 224, 224, 3) to 1000 classes. Source: arXiv:1409.1556."""
    hashes = "cbe5617147190e668d6c5d5026f83318", "253f8cb515780f3b799900260a226db6"
    return vgg((2, 2, 4, 4, 4), options, kernels(URL + "vgg19/", "vgg19", *hashes))
