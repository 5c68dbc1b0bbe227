"""The functions that a program or notebook calls; the command line is a coat over them."""
