"""Masks and what they do to a model; needs torch alone."""
