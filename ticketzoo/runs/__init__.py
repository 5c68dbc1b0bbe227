"""Work that is never done twice: the store of finished work, executors, plans."""
