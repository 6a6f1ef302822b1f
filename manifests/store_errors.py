"""Errors at a path or URL opened by fsspec: whether they are transient, and the sentence for the user."""

import errno
import socket
import ssl
from collections.abc import Iterator
from typing import Any

_FINAL = (
    FileNotFoundError,
    FileExistsError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
    ImportError,
    ValueError,
)
_FINAL_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENAMETOOLONG)
_UNKNOWN_HOST = (socket.EAI_NONAME, socket.EAI_NODATA)

# A protocol's packages may not be installed, so their errors are matched by name.
_AWAY = ("EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectError", "ServerTimeoutError")
_NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError", "UnauthorizedSSOTokenError")
_PASSING_REFUSALS = ("BadDigest", "IncompleteBody", "RequestTimeout", "OperationAborted", "ConditionalRequestConflict")


def is_transient(error: BaseException) -> bool:
    """Whether the operation may succeed if retried."""
    if not isinstance(error, Exception) or _is_unknown_host(error) or _holds(error, ssl.SSLCertVerificationError):
        return False
    if is_away(error):
        return True
    if isinstance(error, _FINAL) or _is_named(error, *_NO_CREDENTIALS, "ParamValidationError"):
        return False
    return getattr(error, "errno", None) not in _FINAL_ERRNOS and not _is_refusal(error)


def is_away(error: BaseException) -> bool:
    """Whether the store was not reached."""
    return _holds(error, socket.gaierror, ConnectionError, TimeoutError) or _is_named(error, *_AWAY)


def is_missing(error: BaseException) -> bool:
    """Whether the store was reached and has no such file or folder. For an unreachable web server or a missing bucket,
    fsspec raises the same error."""
    return isinstance(error, FileNotFoundError | NotADirectoryError) and not (is_away(error) or _no_bucket(error))


def _no_bucket(error: BaseException) -> bool:
    return _is_named(error, "NoSuchBucket")


def explain(subject: str, error: BaseException) -> str:
    """The error message for `subject`, such as "The input s3://bucket/chat.jsonl"."""
    detail = _detail(error)
    if isinstance(error, ImportError):
        mend = "run pip install '.[s3]'" if "s3fs" in detail else detail
        return f"{subject} needs a package that is not installed; {mend}."
    if is_away(error):
        return f"{subject} can't be reached: {detail}; check the address and the network."
    if _holds(error, PermissionError) or _is_named(error, *_NO_CREDENTIALS):
        return f"{subject} can't be used: {detail}; check the credentials and permissions."
    if _no_bucket(error):
        return f"{subject} can't be used: the bucket does not exist; create it or check its name."
    if isinstance(error, FileNotFoundError):
        return f"{subject} does not exist; check the path."
    if isinstance(error, IsADirectoryError):
        return f"{subject} is a folder; name the files in it."
    return f"{subject} can't be used: {detail}."


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        yield error
        seen.append(error)
        error = error.__cause__ or error.__context__


def _holds(error: BaseException, *kinds: type[BaseException]) -> bool:
    return any(isinstance(one, kinds) for one in _chain(error))


def _is_named(error: BaseException, *names: str) -> bool:
    return any(type(one).__name__ in names for one in _chain(error))


def _is_unknown_host(error: BaseException) -> bool:
    return any(isinstance(one, socket.gaierror) and one.errno in _UNKNOWN_HOST for one in _chain(error))


def _is_refusal(error: BaseException) -> bool:
    """Whether an S3 server rejected the request permanently."""
    for one in _chain(error):
        answer: Any = getattr(one, "response", None)
        if isinstance(answer, dict) and "ResponseMetadata" in answer:
            status = answer["ResponseMetadata"].get("HTTPStatusCode", 500)
            passing = status in (408, 429) or answer["Error"].get("Code") in _PASSING_REFUSALS
            return 400 <= status < 500 and not passing
    return False


def _detail(error: BaseException) -> str:
    """One line of the first error that says more than that a file does not exist."""
    first = next((one for one in _chain(error) if not isinstance(one, FileNotFoundError)), error)
    return (" ".join(str(first).split()) or type(first).__name__).rstrip(".")
