"""Retraining tickets on targets: arms, statistics, verdict, report."""

from ticketzoo.transfer.recipe import TransferRecipe as TransferRecipe
from ticketzoo.transfer.report import plan_transfer as plan_transfer
from ticketzoo.transfer.report import run_transfer as run_transfer
from ticketzoo.transfer.tables import arms_table as arms_table
from ticketzoo.transfer.verdict import sentence as sentence
