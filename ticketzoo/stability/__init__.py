"""Instability analysis: from which step on training ends in one linearly connected minimum, whatever the data order."""

from ticketzoo.stability.recipe import StabilityRecipe as StabilityRecipe
from ticketzoo.stability.report import plan_stability as plan_stability
from ticketzoo.stability.report import run_stability as run_stability
