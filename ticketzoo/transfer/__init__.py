"""Retraining tickets on targets: arms, statistics, verdict, report."""

from ticketzoo.evaluation.tables import arms_table as arms_table
from ticketzoo.evaluation.verdict import sentence as sentence
from ticketzoo.transfer.recipe import TransferRecipe as TransferRecipe
from ticketzoo.transfer.report import plan_transfer as plan_transfer
from ticketzoo.transfer.report import run_transfer as run_transfer
