"""Pruning: weights are scored and the least important removed."""

from ticketzoo.pruning import filters as filters
from ticketzoo.pruning import given as given
from ticketzoo.pruning import obd as obd
from ticketzoo.pruning import phew as phew
from ticketzoo.pruning import saliency as saliency
from ticketzoo.pruning import synflow as synflow
from ticketzoo.pruning import zhou as zhou
