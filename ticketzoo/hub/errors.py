"""The Hub's errors in one line that says where and what to do, without tokens or terminal escapes."""

import errno
import re

from ticketzoo.errors import RegistryError
from ticketzoo.util.text import for_terminal

IN_PASSING = (408, 429, 500, 502, 503, 504)
"""Statuses after which the same request may succeed."""

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_LOG_IN = "log in with `hf auth login` or set HF_TOKEN"


class HubUnreachable(RegistryError):
    """The Hub did not answer, or not with what was asked for; later it may, after `seconds` if it has said so."""

    seconds: float = 0.0


class HubConflict(RegistryError):
    """Someone else has changed the repository in between."""


class HubMissing(RegistryError):
    """There is no such repository, or none that this user may see."""


class HubGated(RegistryError):
    """The repository is there, but this user may not read its files."""


class HubRevisionMissing(RegistryError):
    """The repository has no such branch, tag or commit."""


def network_errors() -> tuple[type[Exception], ...]:
    """Return the types of everything that the client raises when a call fails."""
    from huggingface_hub.errors import EntryNotFoundError
    from huggingface_hub.utils import httpx

    of_answers = (ValueError, KeyError, TypeError)
    return (httpx.HTTPError, httpx.InvalidURL, EntryNotFoundError, OSError, RuntimeError, *of_answers)


def without_tokens(text: object, token: object = None) -> str:
    """Return `text` on one line, at most 500 characters of it, with every token removed."""
    shown = str(text)
    if isinstance(token, str) and token:
        shown = shown.replace(token, "***")
    return for_terminal(re.sub(r"hf_\w{8,}|(?<=Bearer )\S+", "***", shown))[:500]


def refusal(error: Exception, where: str, token: object = None) -> RegistryError:
    """Return the error to raise for one of `network_errors`, met when asking about `where`."""
    error = _cause(error)
    told = _told(error, where, token)
    if isinstance(told, HubUnreachable):
        told.seconds = _retry_after(error)
    return told


def _told(error: Exception, where: str, token: object) -> RegistryError:
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        advice = f"ask for access on its page, then {_LOG_IN}"
        return HubGated(f"{where}: access to this repository is restricted: {advice}")
    if isinstance(error, errors.RepositoryNotFoundError):
        advice = f"check the name; for a private one {_LOG_IN}, with a token that may read it"
        return HubMissing(f"{where}: no such repository, or a private one: {advice}")
    if isinstance(error, errors.RevisionNotFoundError):
        return HubRevisionMissing(f"{where}: the repository has no such branch, tag or commit: check the revision")
    if isinstance(error, errors.RemoteEntryNotFoundError):
        return RegistryError(f"{where}: the repository lists this file but lacks it: ask its owner to push again")
    if isinstance(error, errors.OfflineModeIsEnabled):
        return HubUnreachable(f"{where}: HF_HUB_OFFLINE forbids the network: unset it, or ask for what is in the cache")
    if isinstance(error, errors.HfHubHTTPError) and getattr(error, "response", None) is not None:
        return _by_status(error, where, token)
    return _by_kind(error, where, token)


def _retry_after(error: Exception) -> float:
    """Return the seconds that the server asks to wait; 0 if it does not."""
    response = getattr(error, "response", None)
    told = response.headers.get("Retry-After", "") if response is not None else ""
    return float(told) if re.fullmatch(r"\d{1,6}", told) else 0.0


def _cause(error: Exception) -> Exception:
    """Return the error behind one that the client has wrapped."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    wraps = type(error) is RuntimeError or isinstance(error, LocalEntryNotFoundError)
    return error.__cause__ if wraps and isinstance(error.__cause__, Exception) else error


def _by_status(error: Exception, where: str, token: object) -> RegistryError:
    status = error.response.status_code  # type: ignore[attr-defined]
    said = without_tokens(getattr(error, "server_message", None) or f"status {status}", token)
    if status == 401:
        return RegistryError(
            f"{where}: the Hub does not accept the token: log in again with `hf auth login`, or unset HF_TOKEN"
        )
    if status == 403:
        advice = f"{_LOG_IN}, with a token that may do this; a change may be proposed with --create-pr"
        return RegistryError(f"{where}: not allowed: {said}: {advice}")
    if status in (409, 412):
        return HubConflict(f"{where}: someone else has pushed in the meantime: look at it, then push again")
    if status == 429:
        wait = _retry_after(error)
        when = f"in {wait:.0f} seconds" if wait else "later"
        return HubUnreachable(f"{where}: the Hub allows no more requests now (429): try again {when}, or log in")
    if status in IN_PASSING:
        return HubUnreachable(f"{where}: the Hub cannot answer now ({status}): try again later")
    return RegistryError(f"{where}: the Hub refuses: {said} (status {status})")


def _by_kind(error: Exception, where: str, token: object) -> RegistryError:
    from huggingface_hub.utils import httpx

    said = without_tokens(error, token) or type(error).__name__
    if isinstance(error, httpx.TimeoutException):
        return HubUnreachable(f"{where}: the Hub did not answer in time: try again, or set TICKETZOO_HUB_TIMEOUT")
    if isinstance(error, (httpx.TransportError, ConnectionError)):
        advice = "check the network and HF_ENDPOINT; on a server without Xet set HF_HUB_DISABLE_XET=1"
        return HubUnreachable(f"{where}: the connection failed ({said[:200]}): {advice}")
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        return RegistryError(f"{where}: the disk is full: make room, or choose another with HF_HOME or cache_dir")
    if isinstance(error, OSError) and error.errno is None:  # the client's own check of lengths
        return HubUnreachable(f"{where}: arrived incomplete: {said[:200]}: try again")
    if isinstance(error, OSError):
        advice = "check that the cache (HF_HOME or cache_dir) can be written"
        return RegistryError(f"{where}: {error.strerror or said}: {advice}")
    return RegistryError(f"{where}: the Hub refuses: {said}")
