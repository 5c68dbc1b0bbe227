"""Architectures by name: the papers' small networks and torchvision's classification models."""

from ticketzoo.models.create import architecture_of as architecture_of
from ticketzoo.models.create import create_from_architecture as create_from_architecture
from ticketzoo.models.create import create_model as create_model
from ticketzoo.models.create import model_names as model_names
from ticketzoo.models.layers import head_of as head_of
from ticketzoo.models.layers import prunable_parameters as prunable_parameters
