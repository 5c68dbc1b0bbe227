"""The `ticketzoo` command: thin commands that parse, call the library, and print."""

import os

if "OMP_WAIT_POLICY" not in os.environ:  # read as torch is loaded: threads that wait soon leave their cores to others
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")

from ticketzoo.cli.main import main as main
