"""Instability analysis: the step from which training ends in one linearly connected minimum for any data order."""

from ticketzoo.stability.recipe import StabilityRecipe as StabilityRecipe
from ticketzoo.stability.report import plan_stability as plan_stability
from ticketzoo.stability.report import run_stability as run_stability
