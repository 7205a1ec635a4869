"""Layers that change images: their size, and for training their geometry and colours at random."""

from ranvier.layers.augmentation.base import ImageLayer as ImageLayer
from ranvier.layers.augmentation.color import RandomBrightness as RandomBrightness
from ranvier.layers.augmentation.color import RandomColorDegeneration as RandomColorDegeneration
from ranvier.layers.augmentation.color import RandomContrast as RandomContrast
from ranvier.layers.augmentation.color import RandomElasticTransform as RandomElasticTransform
from ranvier.layers.augmentation.color import RandomGaussianBlur as RandomGaussianBlur
from ranvier.layers.augmentation.color import RandomGrayscale as RandomGrayscale
from ranvier.layers.augmentation.color import RandomHue as RandomHue
from ranvier.layers.augmentation.color import RandomInvert as RandomInvert
from ranvier.layers.augmentation.color import RandomPosterization as RandomPosterization
from ranvier.layers.augmentation.color import RandomSaturation as RandomSaturation
from ranvier.layers.augmentation.color import RandomSharpness as RandomSharpness
from ranvier.layers.augmentation.fixed import AutoContrast as AutoContrast
from ranvier.layers.augmentation.fixed import CenterCrop as CenterCrop
from ranvier.layers.augmentation.fixed import (
    ContrastLimitedAdaptiveHistogramEqualization as ContrastLimitedAdaptiveHistogramEqualization,
)
from ranvier.layers.augmentation.fixed import Equalization as Equalization
from ranvier.layers.augmentation.fixed import Resizing as Resizing
from ranvier.layers.augmentation.fixed import Solarization as Solarization
from ranvier.layers.augmentation.geometric import RandomCrop as RandomCrop
from ranvier.layers.augmentation.geometric import RandomFlip as RandomFlip
from ranvier.layers.augmentation.geometric import RandomPerspective as RandomPerspective
from ranvier.layers.augmentation.geometric import RandomRotation as RandomRotation
from ranvier.layers.augmentation.geometric import RandomShear as RandomShear
from ranvier.layers.augmentation.geometric import RandomTranslation as RandomTranslation
from ranvier.layers.augmentation.geometric import RandomZoom as RandomZoom
from ranvier.layers.augmentation.mixing import CutMix as CutMix
from ranvier.layers.augmentation.mixing import MixUp as MixUp
from ranvier.layers.augmentation.mixing import RandomErasing as RandomErasing
from ranvier.layers.augmentation.policies import AugMix as AugMix
from ranvier.layers.augmentation.policies import Pipeline as Pipeline
from ranvier.layers.augmentation.policies import RandAugment as RandAugment
from ranvier.layers.augmentation.policies import RandomColorJitter as RandomColorJitter
