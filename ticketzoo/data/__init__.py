"""Data sets: splits, labels, caches, order."""
