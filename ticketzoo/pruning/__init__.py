"""Pruning: weights are scored and the least important removed."""
