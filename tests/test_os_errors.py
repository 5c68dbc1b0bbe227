import errno
import os
from pathlib import Path

import pytest

from ticketzoo.util.os_errors import in_words


def test_the_file_the_reason_and_what_to_do(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(OSError) as raised:
        missing.read_bytes()
    assert in_words(raised.value) == f"{missing}: No such file or directory; choose another path"


def test_of_two_files_the_one_that_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder" / "full").mkdir(parents=True)
    with pytest.raises(OSError) as raised:
        (tmp_path / "file").replace(tmp_path / "folder")
    assert in_words(raised.value) == f"{tmp_path / 'folder'}: Is a directory; choose another path"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "No space left on device; free space"),
        (errno.EROFS, "Read-only file system; change its permissions"),
        (errno.ENOMEM, "Cannot allocate memory; free memory"),
    ],
)
def test_what_to_do_follows_the_reason(number: int, said: str) -> None:
    assert in_words(OSError(number, os.strerror(number))) == said


def test_an_error_of_a_library_s_own_fits_one_line() -> None:
    assert in_words(OSError("not found\n  at the Hub")) == "not found at the Hub; fix the cause"
