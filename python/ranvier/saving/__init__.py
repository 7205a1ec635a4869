"""Saved models and weights, configurations of objects, and the registry of custom ones."""

from ranvier.saving.file import check_path as check_path
from ranvier.saving.keras_h5 import load_keras_h5 as load_keras_h5
from ranvier.saving.model import load_model as load_model
from ranvier.saving.model import load_weights as load_weights
from ranvier.saving.model import save_model as save_model
from ranvier.saving.model import save_weights as save_weights
from ranvier.saving.registry import CustomObjectScope as CustomObjectScope
from ranvier.saving.registry import custom_object_scope as custom_object_scope
from ranvier.saving.registry import deserialize_object as deserialize_object
from ranvier.saving.registry import get_registered_object as get_registered_object
from ranvier.saving.registry import register_serializable as register_serializable
from ranvier.saving.registry import serialize_object as serialize_object
from ranvier.saving.torch_weights import load_torch_weights as load_torch_weights
