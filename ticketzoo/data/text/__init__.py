"""Texts: rows, tokens, sequences."""
