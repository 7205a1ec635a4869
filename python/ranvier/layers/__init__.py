"""Layers, with the names, arguments and numerics of Keras 3."""

from ranvier.layers.activations import ELU as ELU
from ranvier.layers.activations import LeakyReLU as LeakyReLU
from ranvier.layers.activations import PReLU as PReLU
from ranvier.layers.activations import ReLU as ReLU
from ranvier.layers.activations import Softmax as Softmax
from ranvier.layers.adaptive_pooling import AdaptiveAveragePooling1D as AdaptiveAveragePooling1D
from ranvier.layers.adaptive_pooling import AdaptiveAveragePooling2D as AdaptiveAveragePooling2D
from ranvier.layers.adaptive_pooling import AdaptiveMaxPooling1D as AdaptiveMaxPooling1D
from ranvier.layers.adaptive_pooling import AdaptiveMaxPooling2D as AdaptiveMaxPooling2D
from ranvier.layers.attention import AdditiveAttention as AdditiveAttention
from ranvier.layers.attention import Attention as Attention
from ranvier.layers.augmentation import AugMix as AugMix
from ranvier.layers.augmentation import AutoContrast as AutoContrast
from ranvier.layers.augmentation import CenterCrop as CenterCrop
from ranvier.layers.augmentation import (
    ContrastLimitedAdaptiveHistogramEqualization as ContrastLimitedAdaptiveHistogramEqualization,
)
from ranvier.layers.augmentation import CutMix as CutMix
from ranvier.layers.augmentation import Equalization as Equalization
from ranvier.layers.augmentation import MixUp as MixUp
from ranvier.layers.augmentation import Pipeline as Pipeline
from ranvier.layers.augmentation import RandAugment as RandAugment
from ranvier.layers.augmentation import RandomBrightness as RandomBrightness
from ranvier.layers.augmentation import RandomColorDegeneration as RandomColorDegeneration
from ranvier.layers.augmentation import RandomColorJitter as RandomColorJitter
from ranvier.layers.augmentation import RandomContrast as RandomContrast
from ranvier.layers.augmentation import RandomCrop as RandomCrop
from ranvier.layers.augmentation import RandomElasticTransform as RandomElasticTransform
from ranvier.layers.augmentation import RandomErasing as RandomErasing
from ranvier.layers.augmentation import RandomFlip as RandomFlip
from ranvier.layers.augmentation import RandomGaussianBlur as RandomGaussianBlur
from ranvier.layers.augmentation import RandomGrayscale as RandomGrayscale
from ranvier.layers.augmentation import RandomHue as RandomHue
from ranvier.layers.augmentation import RandomInvert as RandomInvert
from ranvier.layers.augmentation import RandomPerspective as RandomPerspective
from ranvier.layers.augmentation import RandomPosterization as RandomPosterization
from ranvier.layers.augmentation import RandomRotation as RandomRotation
from ranvier.layers.augmentation import RandomSaturation as RandomSaturation
from ranvier.layers.augmentation import RandomSharpness as RandomSharpness
from ranvier.layers.augmentation import RandomShear as RandomShear
from ranvier.layers.augmentation import RandomTranslation as RandomTranslation
from ranvier.layers.augmentation import RandomZoom as RandomZoom
from ranvier.layers.augmentation import Resizing as Resizing
from ranvier.layers.augmentation import Solarization as Solarization
from ranvier.layers.conv_lstm import ConvLSTM1D as ConvLSTM1D
from ranvier.layers.conv_lstm import ConvLSTM2D as ConvLSTM2D
from ranvier.layers.convolution import Conv1D as Conv1D
from ranvier.layers.convolution import Conv2D as Conv2D
from ranvier.layers.convolution_transpose import Conv1DTranspose as Conv1DTranspose
from ranvier.layers.convolution_transpose import Conv2DTranspose as Conv2DTranspose
from ranvier.layers.core import Activation as Activation
from ranvier.layers.core import Dense as Dense
from ranvier.layers.core import Identity as Identity
from ranvier.layers.core import Input as Input
from ranvier.layers.core import InputLayer as InputLayer
from ranvier.layers.core import Lambda as Lambda
from ranvier.layers.einsum_dense import EinsumDense as EinsumDense
from ranvier.layers.embedding import Embedding as Embedding
from ranvier.layers.embedding import Masking as Masking
from ranvier.layers.grouped_query_attention import GroupedQueryAttention as GroupedQueryAttention
from ranvier.layers.hashing import HashedCrossing as HashedCrossing
from ranvier.layers.hashing import Hashing as Hashing
from ranvier.layers.input_spec import InputSpec as InputSpec
from ranvier.layers.layer import Layer as Layer
from ranvier.layers.local_normalization import LocalSubtractiveNormalization as LocalSubtractiveNormalization
from ranvier.layers.lookup import IntegerLookup as IntegerLookup
from ranvier.layers.lookup import StringLookup as StringLookup
from ranvier.layers.masks import get_mask as get_mask
from ranvier.layers.masks import set_mask as set_mask
from ranvier.layers.merging import Add as Add
from ranvier.layers.merging import Average as Average
from ranvier.layers.merging import Concatenate as Concatenate
from ranvier.layers.merging import Dot as Dot
from ranvier.layers.merging import Maximum as Maximum
from ranvier.layers.merging import Minimum as Minimum
from ranvier.layers.merging import Multiply as Multiply
from ranvier.layers.merging import Subtract as Subtract
from ranvier.layers.merging import add as add
from ranvier.layers.merging import average as average
from ranvier.layers.merging import concatenate as concatenate
from ranvier.layers.merging import dot as dot
from ranvier.layers.merging import maximum as maximum
from ranvier.layers.merging import minimum as minimum
from ranvier.layers.merging import multiply as multiply
from ranvier.layers.merging import subtract as subtract
from ranvier.layers.multi_head_attention import MultiHeadAttention as MultiHeadAttention
from ranvier.layers.normalization import BatchNormalization as BatchNormalization
from ranvier.layers.normalization import Rescaling as Rescaling
from ranvier.layers.operation import Operation as Operation
from ranvier.layers.pooling import AveragePooling2D as AveragePooling2D
from ranvier.layers.pooling import GlobalAveragePooling2D as GlobalAveragePooling2D
from ranvier.layers.pooling import GlobalMaxPooling2D as GlobalMaxPooling2D
from ranvier.layers.pooling import L2Pooling2D as L2Pooling2D
from ranvier.layers.pooling import MaxPooling2D as MaxPooling2D
from ranvier.layers.pooling_1d import AveragePooling1D as AveragePooling1D
from ranvier.layers.pooling_1d import GlobalAveragePooling1D as GlobalAveragePooling1D
from ranvier.layers.pooling_1d import GlobalMaxPooling1D as GlobalMaxPooling1D
from ranvier.layers.pooling_1d import MaxPooling1D as MaxPooling1D
from ranvier.layers.preprocessing import CategoryEncoding as CategoryEncoding
from ranvier.layers.preprocessing import Discretization as Discretization
from ranvier.layers.preprocessing import Normalization as Normalization
from ranvier.layers.recurrent import GRU as GRU
from ranvier.layers.recurrent import LSTM as LSTM
from ranvier.layers.recurrent import SimpleRNN as SimpleRNN
from ranvier.layers.recurrent_cells import GRUCell as GRUCell
from ranvier.layers.recurrent_cells import LSTMCell as LSTMCell
from ranvier.layers.recurrent_cells import SimpleRNNCell as SimpleRNNCell
from ranvier.layers.recurrent_cells import StackedRNNCells as StackedRNNCells
from ranvier.layers.recurrent_rnn import RNN as RNN
from ranvier.layers.recurrent_wrappers import Bidirectional as Bidirectional
from ranvier.layers.recurrent_wrappers import TimeDistributed as TimeDistributed
from ranvier.layers.recurrent_wrappers import Wrapper as Wrapper
from ranvier.layers.regularization import ActivityRegularization as ActivityRegularization
from ranvier.layers.regularization import AlphaDropout as AlphaDropout
from ranvier.layers.regularization import Dropout as Dropout
from ranvier.layers.regularization import GaussianDropout as GaussianDropout
from ranvier.layers.regularization import GaussianNoise as GaussianNoise
from ranvier.layers.regularization import SpatialDropout1D as SpatialDropout1D
from ranvier.layers.regularization import SpatialDropout2D as SpatialDropout2D
from ranvier.layers.reshaping import Cropping2D as Cropping2D
from ranvier.layers.reshaping import Flatten as Flatten
from ranvier.layers.reshaping import Permute as Permute
from ranvier.layers.reshaping import RepeatVector as RepeatVector
from ranvier.layers.reshaping import Reshape as Reshape
from ranvier.layers.reshaping import ZeroPadding2D as ZeroPadding2D
from ranvier.layers.reshaping_1d import Cropping1D as Cropping1D
from ranvier.layers.reshaping_1d import UpSampling1D as UpSampling1D
from ranvier.layers.reshaping_1d import ZeroPadding1D as ZeroPadding1D
from ranvier.layers.sample_normalization import GroupNormalization as GroupNormalization
from ranvier.layers.sample_normalization import InstanceNormalization as InstanceNormalization
from ranvier.layers.sample_normalization import LayerNormalization as LayerNormalization
from ranvier.layers.sample_normalization import RMSNormalization as RMSNormalization
from ranvier.layers.sample_normalization import UnitNormalization as UnitNormalization
from ranvier.layers.separable_convolution import DepthwiseConv1D as DepthwiseConv1D
from ranvier.layers.separable_convolution import DepthwiseConv2D as DepthwiseConv2D
from ranvier.layers.separable_convolution import SeparableConv1D as SeparableConv1D
from ranvier.layers.separable_convolution import SeparableConv2D as SeparableConv2D
from ranvier.layers.serialization import deserialize as deserialize
from ranvier.layers.serialization import serialize as serialize
from ranvier.layers.spectral_normalization import SpectralNormalization as SpectralNormalization
from ranvier.layers.symbolic import KerasTensor as KerasTensor
from ranvier.layers.text_vectorization import TextVectorization as TextVectorization
from ranvier.layers.up_sampling import UpSampling2D as UpSampling2D

Convolution1D = Conv1D
Convolution1DTranspose = Conv1DTranspose
SeparableConvolution1D = SeparableConv1D
SeparableConvolution2D = SeparableConv2D
GroupQueryAttention = GroupedQueryAttention
MaxPool1D = MaxPooling1D
AvgPool1D = AveragePooling1D
GlobalAvgPool1D = GlobalAveragePooling1D
GlobalMaxPool1D = GlobalMaxPooling1D
Convolution2D = Conv2D
Convolution2DTranspose = Conv2DTranspose
MaxPool2D = MaxPooling2D
AvgPool2D = AveragePooling2D
GlobalAvgPool2D = GlobalAveragePooling2D
GlobalMaxPool2D = GlobalMaxPooling2D


def __getattr__(name: str) -> object:
    """Layers that Keras had once: an error that names today's form."""
    removed = {
        "Merge": "Add, Multiply, Concatenate, ... of a list of tensors",
        "MaxoutDense": "Dense and Maximum",
        "Highway": "a Layer subclass",
        "AtrousConvolution2D": "Conv2D(dilation_rate=...)",
        "Deconvolution2D": "Conv2DTranspose",
        "CuDNNLSTM": "LSTM",
        "CuDNNGRU": "GRU",
        "ThresholdedReLU": "ReLU(threshold=...)",
    }
    if name in removed:
        raise AttributeError(f"rv.layers.{name} is no longer part of Keras: use {removed[name]}")
    raise AttributeError(f"module 'ranvier.layers' has no attribute {name!r}")
