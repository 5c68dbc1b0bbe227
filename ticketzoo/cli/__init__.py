"""The `ticketzoo` command: thin commands that parse, call the library, and print."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read as torch is loaded: waiting threads leave cores to others

from ticketzoo.cli.main import main as main
