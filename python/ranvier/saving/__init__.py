"""Configurations of objects, and the registry of custom ones."""

from ranvier.saving.registry import CustomObjectScope as CustomObjectScope
from ranvier.saving.registry import custom_object_scope as custom_object_scope
from ranvier.saving.registry import deserialize_object as deserialize_object
from ranvier.saving.registry import get_registered_object as get_registered_object
from ranvier.saving.registry import register_serializable as register_serializable
from ranvier.saving.registry import serialize_object as serialize_object
