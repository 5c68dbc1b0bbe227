"""The Hub's errors in one line that says where and what to do, without tokens or terminal escapes."""

import contextlib
import errno
import re
import socket
import time
from email.utils import mktime_tz, parsedate_tz

from ticketzoo.errors import RegistryError
from ticketzoo.hub.bounds import IN_PASSING, NotAHub, TooLong, TooSlow
from ticketzoo.hub.limits import VARIABLE
from ticketzoo.util.text import for_terminal, show_duration

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_OF_ANSWERS = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
_LOG_IN = "log in with `hf auth login` or set HF_TOKEN"


class HubUnreachable(RegistryError):
    """The Hub did not answer, or not with what was asked for; later it may, after `seconds` if it has said so."""

    seconds: float = 0.0
    most_repeats: int | None = None
    """How often it may be asked again at once; None for as often as anything is."""


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

    of_limits = (NotAHub, TooLong, TooSlow)
    return (httpx.HTTPError, httpx.InvalidURL, EntryNotFoundError, OSError, RuntimeError, *of_limits, *_OF_ANSWERS)


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
        told.seconds, told.most_repeats = _retry_after(error), _most_repeats(error)
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
    headers = response.headers if response is not None else {}
    told = headers.get("Retry-After", "").strip()
    reset = re.search(r";\s*r\s*=\s*0\s*;\s*t\s*=\s*(\d{1,9})\b", headers.get("RateLimit", ""))
    if re.fullmatch(r"\d{1,9}", told):
        return float(told)
    with contextlib.suppress(ValueError, OverflowError):  # a year that no calendar has
        if date := parsedate_tz(told):
            return max(0.0, mktime_tz(date) - time.time())
    return float(reset[1]) if reset else 0.0


def _most_repeats(error: BaseException | None) -> int | None:
    """Return how often to ask again: never where there is no server of that name, once where no name can be looked up.

    That may pass, and is mostly a machine without a network. None for any other error: as often as for all.
    """
    while error is not None and not isinstance(error, socket.gaierror):
        error = error.__cause__ or error.__context__
    return None if error is None else int(error.errno != socket.EAI_NONAME)


def _when(error: Exception) -> str:
    """Return when the server says to try again, in words."""
    wait = _retry_after(error)
    return f"in {show_duration(wait)}" if wait else "later"


def _cause(error: Exception) -> Exception:
    """Return the error behind one that the client has wrapped."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    wraps = type(error) in (RuntimeError, ValueError) or isinstance(error, LocalEntryNotFoundError)
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
        advice = f"try again {_when(error)}, or log in"
        return HubUnreachable(f"{where}: the Hub allows no more requests now (429): {advice}")
    if status in IN_PASSING:
        return HubUnreachable(f"{where}: the Hub cannot answer now ({status}): try again {_when(error)}")
    return RegistryError(f"{where}: the Hub refuses: {said} (status {status})")


def _by_kind(error: Exception, where: str, token: object) -> RegistryError:
    from huggingface_hub.errors import FileMetadataError, HFValidationError, LocalEntryNotFoundError
    from huggingface_hub.utils import httpx

    said = without_tokens(error, token) or type(error).__name__
    if isinstance(error, (httpx.TimeoutException, TooSlow)):
        return HubUnreachable(f"{where}: the Hub did not answer in time: try again, or set {VARIABLE}")
    if isinstance(error, TooLong):
        return RegistryError(f"{where}: {said}: the server is broken or hostile: nothing of it is used")
    refused = isinstance(error, (HFValidationError, LocalEntryNotFoundError)) or said.startswith("Invalid metadata")
    if isinstance(error, (NotAHub, FileMetadataError)) or (isinstance(error, _OF_ANSWERS) and not refused):
        return RegistryError(f"{where}: not a Hub's answer ({said[:200]}): check HF_ENDPOINT")
    from_xet = type(error) is RuntimeError
    if from_xet and (status := re.search(r"HTTP status \w+ error \((\d{3})", said)) and int(status[1]) in IN_PASSING:
        return HubUnreachable(f"{where}: the Hub's storage cannot answer now ({status[1]}): try again later")
    if isinstance(error, (httpx.TransportError, ConnectionError)) or from_xet:
        advice = "check the network and HF_ENDPOINT; on a server without Xet set HF_HUB_DISABLE_XET=1"
        return HubUnreachable(f"{where}: the connection failed ({said[:200]}): {advice}")
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        return RegistryError(f"{where}: the disk is full: make room, or choose another with HF_HOME or cache_dir")
    if isinstance(error, OSError) and error.errno is None:  # the client's own check of lengths
        return HubUnreachable(f"{where}: arrived incomplete: {said[:200]}: try again")
    if isinstance(error, OSError):
        advice = "check that the cache (HF_HOME or cache_dir) can be written"
        place = f" ({for_terminal(error.filename)[-300:]})" if error.filename else ""
        return RegistryError(f"{where}: {error.strerror or said}{place}: {advice}")
    return RegistryError(f"{where}: the Hub refuses: {said}")
