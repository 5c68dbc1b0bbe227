"""Tickets made from others without training."""
