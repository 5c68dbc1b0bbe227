"""Tables in files of a folder, read as they are: every cell is what stands there, and no word is a missing value."""
