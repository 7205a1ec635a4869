"""Models: layers with training, summaries and configurations."""

from ranvier.models.conversion import unpack_x_y_sample_weight as unpack_x_y_sample_weight
from ranvier.models.data import PyDataset as PyDataset
from ranvier.models.model import Model as Model
from ranvier.models.model import clone_model as clone_model
from ranvier.models.model import model_from_config as model_from_config
from ranvier.models.model import model_from_json as model_from_json
from ranvier.models.sequential import Sequential as Sequential
from ranvier.saving.model import load_model as load_model
