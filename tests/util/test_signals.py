import signal
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
from ticketzoo.util.signals import interruptible, raise_when_interrupted
raise_when_interrupted()
with interruptible("interrupted; nothing is lost"):
    try:
        import slow_library
    except BaseException:
        print("an exception came of it")
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_within_an_import_ends_with_one_line(tmp_path: Path, number: signal.Signals, status: int) -> None:
    """Libraries lose an exception raised there, or turn it into others, with tracebacks."""
    (tmp_path / "slow_library.py").write_text(
        f"import os\ntry:\n    os.kill(os.getpid(), {int(number)})\nexcept BaseException as error:\n"
        "    raise ImportError('no') from error\n"
    )
    done = subprocess.run([sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{CODE}"],
                          capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "ticketzoo: interrupted; nothing is lost\n")


def test_the_entry_looks_after_signals_before_it_imports_much() -> None:
    code = "import sys, ticketzoo.__main__; print([name for name in ('typer', 'torch', 'rich') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
