"""Helpers of Keras's names: labels, sequences, images, files, progress, objects as configurations."""

from ranvier.utils.basic import clear_session as clear_session
from ranvier.utils.basic import is_keras_tensor as is_keras_tensor
from ranvier.utils.basic import normalize as normalize
from ranvier.utils.basic import set_random_seed as set_random_seed
from ranvier.utils.basic import standardize_dtype as standardize_dtype
from ranvier.utils.basic import to_categorical as to_categorical
from ranvier.utils.directories import image_dataset_from_directory as image_dataset_from_directory
from ranvier.utils.directories import text_dataset_from_directory as text_dataset_from_directory
from ranvier.utils.files import get_file as get_file
from ranvier.utils.images import array_to_img as array_to_img
from ranvier.utils.images import img_to_array as img_to_array
from ranvier.utils.images import load_img as load_img
from ranvier.utils.images import save_img as save_img
from ranvier.utils.objects import CustomObjectScope as CustomObjectScope
from ranvier.utils.objects import custom_object_scope as custom_object_scope
from ranvier.utils.objects import deserialize_keras_object as deserialize_keras_object
from ranvier.utils.objects import get_custom_objects as get_custom_objects
from ranvier.utils.objects import get_registered_name as get_registered_name
from ranvier.utils.objects import get_registered_object as get_registered_object
from ranvier.utils.objects import register_keras_serializable as register_keras_serializable
from ranvier.utils.objects import serialize_keras_object as serialize_keras_object
from ranvier.utils.plotting import model_to_dot as model_to_dot
from ranvier.utils.plotting import plot_model as plot_model
from ranvier.utils.progress import Progbar as Progbar
from ranvier.utils.py_dataset import PyDataset as PyDataset
from ranvier.utils.sequences import pack_x_y_sample_weight as pack_x_y_sample_weight
from ranvier.utils.sequences import pad_sequences as pad_sequences
from ranvier.utils.sequences import split_dataset as split_dataset
from ranvier.utils.sequences import timeseries_dataset_from_array as timeseries_dataset_from_array
from ranvier.utils.sequences import unpack_x_y_sample_weight as unpack_x_y_sample_weight

Sequence = PyDataset  # Keras's older name
