"""Typed recipes: the base of every section, step counts such as `500it` or `2ep`, reading YAML with overrides."""

from ticketzoo.recipe.config import Config as Config
from ticketzoo.recipe.config import DataName as DataName
from ticketzoo.recipe.config import RecipeName as RecipeName
from ticketzoo.recipe.config import Seed as Seed
from ticketzoo.recipe.local import without_local_paths as without_local_paths
from ticketzoo.recipe.reading import dump_recipe as dump_recipe
from ticketzoo.recipe.reading import parse_recipe as parse_recipe
from ticketzoo.recipe.reading import read_content as read_content
from ticketzoo.recipe.reading import read_recipe as read_recipe
from ticketzoo.recipe.reading import short_recipe as short_recipe
from ticketzoo.recipe.steps import Steps as Steps
from ticketzoo.recipe.steps import StepsOrAuto as StepsOrAuto
from ticketzoo.recipe.table import ConfiguredBy as ConfiguredBy
