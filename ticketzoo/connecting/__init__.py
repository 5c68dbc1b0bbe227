"""Connectivity: the error along lines between networks that finished runs keep, with no new training."""

from ticketzoo.connecting.config import LevelsConfig as LevelsConfig
from ticketzoo.connecting.config import PairsConfig as PairsConfig
from ticketzoo.connecting.pair_report import run_pairs as run_pairs
from ticketzoo.connecting.report import run_levels as run_levels
