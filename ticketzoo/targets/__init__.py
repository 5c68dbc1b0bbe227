"""Retraining tickets on targets: arms, statistics, verdict, report."""

from ticketzoo.evaluation.tables import arms_table as arms_table
from ticketzoo.evaluation.tables import arms_tables as arms_tables
from ticketzoo.evaluation.verdict import sentence as sentence
from ticketzoo.targets.recipe import TransferRecipe as TransferRecipe
from ticketzoo.targets.report import plan_transfer as plan_transfer
from ticketzoo.targets.report import run_transfer as run_transfer
