"""Comparison of trainings: arms, statistics, verdicts, tables and plots."""

from ticketzoo.evaluation import arms as arms
from ticketzoo.evaluation import filter_arms as filter_arms
from ticketzoo.evaluation import perturbed_arms as perturbed_arms
from ticketzoo.evaluation import sanity_arms as sanity_arms
from ticketzoo.evaluation import twin_arms as twin_arms
from ticketzoo.evaluation import untrained_arms as untrained_arms
