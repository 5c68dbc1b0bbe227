"""Comparison of trainings: arms, statistics, verdicts, tables and plots."""
