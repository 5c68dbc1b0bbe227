"""Masks in the files of other tools: read, told apart and written. They know nothing of tickets.

`ticketzoo.bridges.formats.FORMATS` is the table of them, a file each.
"""
