"""Typed recipes: the base of every recipe section, step counts such as `500it` or `2ep`, reading YAML with overrides."""

from ticketzoo.recipe.config import Config as Config
from ticketzoo.recipe.steps import Steps as Steps
