"""Architectures by name: the papers' small networks, torchvision's classification models, transformers' encoders."""

from ticketzoo.models.architecture import ARCHITECTURES as ARCHITECTURES
from ticketzoo.models.body import bare_names as bare_names
from ticketzoo.models.body import body_prefix as body_prefix
from ticketzoo.models.body import model_names_of as model_names_of
from ticketzoo.models.create import architecture_of as architecture_of
from ticketzoo.models.create import arguments_for as arguments_for
from ticketzoo.models.create import create_from_architecture as create_from_architecture
from ticketzoo.models.create import create_model as create_model
from ticketzoo.models.create import model_names as model_names
from ticketzoo.models.layers import head_modules as head_modules
from ticketzoo.models.layers import head_of as head_of
from ticketzoo.models.layers import prunable_parameters as prunable_parameters
from ticketzoo.models.pretrained import load_base as load_base
from ticketzoo.models.signature import Actions as Actions
from ticketzoo.models.signature import Classes as Classes
from ticketzoo.models.signature import Features as Features
from ticketzoo.models.signature import Image as Image
from ticketzoo.models.signature import Observation as Observation
from ticketzoo.models.signature import Signature as Signature
from ticketzoo.models.signature import Spans as Spans
from ticketzoo.models.signature import Tokens as Tokens
from ticketzoo.models.signature import Vocabulary as Vocabulary
from ticketzoo.models.state import load_model_state as load_model_state
from ticketzoo.models.state import model_state as model_state
from ticketzoo.models.transformers import pretrained_architecture as pretrained_architecture
