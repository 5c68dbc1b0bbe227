"""Permutations of hidden units that bring one network near another."""

from ticketzoo.aligning import activations as activations
from ticketzoo.aligning import weights as weights
from ticketzoo.aligning.alignment import ALIGNMENTS as ALIGNMENTS
from ticketzoo.aligning.alignment import Network as Network
