"""Runs that are looked at: their journals, reports while they go, lists of them, what they no longer need, logs."""
