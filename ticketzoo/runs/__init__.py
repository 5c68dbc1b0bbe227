"""Trainings that are never done twice: the store of finished ones, executors, plans."""
