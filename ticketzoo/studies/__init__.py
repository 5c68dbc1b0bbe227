"""Studies: experiments with masks that package nothing, each with rows, a plot and a paragraph."""

from ticketzoo.studies import double_descent as double_descent
from ticketzoo.studies import early as early
from ticketzoo.studies import forgetting as forgetting
from ticketzoo.studies import freeze as freeze
from ticketzoo.studies import grokking as grokking
from ticketzoo.studies import perturbed as perturbed
from ticketzoo.studies import subset_sum as subset_sum
from ticketzoo.studies import tangent as tangent
from ticketzoo.studies import weight_agnostic as weight_agnostic
from ticketzoo.studies.run import plan_study as plan_study
from ticketzoo.studies.run import run_study as run_study
from ticketzoo.studies.study import STUDIES as STUDIES
from ticketzoo.studies.study import StudyRecipe as StudyRecipe
