"""Models: layers with training, summaries and configurations."""

from ranvier.models.model import Model as Model
from ranvier.models.model import clone_model as clone_model
from ranvier.models.model import model_from_config as model_from_config
from ranvier.models.model import model_from_json as model_from_json
from ranvier.models.sequential import Sequential as Sequential
