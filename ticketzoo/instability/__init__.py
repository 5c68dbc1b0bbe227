"""Instability analysis: the step from which training ends in one linearly connected minimum for any data order."""

from ticketzoo.instability.recipe import StabilityRecipe as StabilityRecipe
from ticketzoo.instability.report import plan_stability as plan_stability
from ticketzoo.instability.report import run_stability as run_stability
