"""Refusals of the operating system as one line: which file, why, what to do."""

import errno

_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "free space"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "change its permissions"),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "raise the limit of open files (ulimit -n)"),
    errno.ENOMEM: "free memory",
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ELOOP), "choose another path"),
    errno.ENAMETOOLONG: "choose another path",
}


def in_words(error: OSError) -> str:
    """Return `<file>: <why>; <what to do>`, without the file if the error names none."""
    file = error.filename2 or error.filename
    return f"{f'{file}: ' if file else ''}{why(error)}; {remedy(error)}"


def why(error: OSError) -> str:
    """Return the reason, such as `No space left on device`."""
    return error.strerror or " ".join(str(error).split()) or type(error).__name__


def remedy(error: OSError) -> str:
    """Return what to do before trying again, as an imperative."""
    return _REMEDIES.get(error.errno or 0, "fix the cause")
