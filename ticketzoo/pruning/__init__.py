"""Pruning: weights are scored and the least important removed."""

from ticketzoo.pruning import filters as filters
from ticketzoo.pruning import given as given
