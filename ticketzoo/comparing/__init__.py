"""Masks of tickets compared: their overlap beside that of chance."""
