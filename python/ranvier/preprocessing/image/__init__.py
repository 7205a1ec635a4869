"""Images for training: read, turned, shifted, zoomed, coloured, standardised, in batches."""

from ranvier.preprocessing.image.file_iterators import DataFrameIterator as DataFrameIterator
from ranvier.preprocessing.image.file_iterators import DirectoryIterator as DirectoryIterator
from ranvier.preprocessing.image.generator import ImageDataGenerator as ImageDataGenerator
from ranvier.preprocessing.image.iterators import Iterator as Iterator
from ranvier.preprocessing.image.iterators import NumpyArrayIterator as NumpyArrayIterator
from ranvier.preprocessing.image.transforms import apply_affine_transform as apply_affine_transform
from ranvier.preprocessing.image.transforms import apply_brightness_shift as apply_brightness_shift
from ranvier.preprocessing.image.transforms import apply_channel_shift as apply_channel_shift
from ranvier.preprocessing.image.transforms import random_brightness as random_brightness
from ranvier.preprocessing.image.transforms import random_channel_shift as random_channel_shift
from ranvier.preprocessing.image.transforms import random_rotation as random_rotation
from ranvier.preprocessing.image.transforms import random_shear as random_shear
from ranvier.preprocessing.image.transforms import random_shift as random_shift
from ranvier.preprocessing.image.transforms import random_zoom as random_zoom
from ranvier.utils.images import array_to_img as array_to_img
from ranvier.utils.images import img_to_array as img_to_array
from ranvier.utils.images import load_img as load_img
from ranvier.utils.images import save_img as save_img
