"""Pruning: weights are scored and the least important removed."""

from ticketzoo.pruning import chance as chance
from ticketzoo.pruning import filters as filters
from ticketzoo.pruning import given as given
from ticketzoo.pruning import n_of_m as n_of_m
from ticketzoo.pruning import obd as obd
from ticketzoo.pruning import owl as owl
from ticketzoo.pruning import phew as phew
from ticketzoo.pruning import saliency as saliency
from ticketzoo.pruning import sparsegpt as sparsegpt
from ticketzoo.pruning import synflow as synflow
from ticketzoo.pruning import wanda as wanda
from ticketzoo.pruning import zhou as zhou
