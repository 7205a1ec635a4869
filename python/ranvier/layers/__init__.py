"""Layers, with the names, arguments and numerics of Keras 3."""

from ranvier.layers.convolution import Conv2D as Conv2D
from ranvier.layers.convolution import Conv2DTranspose as Conv2DTranspose
from ranvier.layers.core import Activation as Activation
from ranvier.layers.core import Dense as Dense
from ranvier.layers.core import Identity as Identity
from ranvier.layers.core import Input as Input
from ranvier.layers.core import InputLayer as InputLayer
from ranvier.layers.core import Lambda as Lambda
from ranvier.layers.input_spec import InputSpec as InputSpec
from ranvier.layers.layer import Layer as Layer
from ranvier.layers.operation import Operation as Operation
from ranvier.layers.regularization import Dropout as Dropout
from ranvier.layers.regularization import GaussianNoise as GaussianNoise
from ranvier.layers.regularization import SpatialDropout2D as SpatialDropout2D
from ranvier.layers.reshaping import Cropping2D as Cropping2D
from ranvier.layers.reshaping import Flatten as Flatten
from ranvier.layers.reshaping import Permute as Permute
from ranvier.layers.reshaping import RepeatVector as RepeatVector
from ranvier.layers.reshaping import Reshape as Reshape
from ranvier.layers.reshaping import UpSampling2D as UpSampling2D
from ranvier.layers.reshaping import ZeroPadding2D as ZeroPadding2D
from ranvier.layers.symbolic import KerasTensor as KerasTensor

Convolution2D = Conv2D
Convolution2DTranspose = Conv2DTranspose
