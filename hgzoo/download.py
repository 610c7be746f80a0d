"""One file from one address: resumed where it stopped, checked, and never half there.

Used for the original checkpoints. What lies on the Hugging Face Hub is fetched by huggingface_hub.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

from hgzoo.errors import DownloadError
from hgzoo.files import write_text
from hgzoo.progress import bar

WAITS = (1.0, 2.0, 4.0)
"""Seconds before each new try."""

LONGEST_WAIT = 30.0
"""Seconds that a server may ask us to wait."""

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers after which another try makes sense."""

CHUNK = 1 << 20
AGENT = "hgzoo (https://pypi.org/project/hgzoo)"


def fetch(
    url: str, path: Path, *, sha256: str = "", timeout: float = 10.0, show: bool = True
) -> str:
    """Download a file; where an earlier try stopped half-way, go on from there.

    Args:
        url: Its address, http or https.
        path: Where to; appears only whole and checked. What has come so far lies beside it as
            `.part`, and so is not fetched again.
        sha256: What the file's SHA-256 must begin with; "" for any.
        timeout: Seconds without a byte after which a try is given up.
        show: Whether to draw a progress bar.

    Returns:
        The file's SHA-256, 64 hex digits.

    Raises:
        DownloadError: The address did not answer, refused, or gave other bytes; says which.
    """
    if not url.startswith(("http://", "https://")):
        raise DownloadError(f"{url} is no address of the web; it must begin with https://")
    part = path.with_name(f"{path.name}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        resumed = _receive(url, part, timeout=timeout, show=show)
        found = sha256_of(part)
        if resumed and not found.startswith(sha256):  # the older half was of another file
            part.unlink()
            _receive(url, part, timeout=timeout, show=show)
            found = sha256_of(part)
        if not found.startswith(sha256):
            _discard(part)
            raise DownloadError(
                f"{url} gave other bytes than expected: SHA-256 {found}, expected {sha256}…"
            )
        _validator(part).unlink(missing_ok=True)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            _discard(part)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "the disk is full" if full else error.strerror or str(error)
        raise DownloadError(f"cannot write {path}: {reason}") from error
    return found


def problem(url: str, *, timeout: float) -> str:
    """Ask an address for a sign of life.

    Args:
        url: The address; redirects are an answer and are not followed.
        timeout: Seconds to wait.

    Returns:
        "" where a server answered, whatever it said, else what is wrong.
    """

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:  # Any: urllib's own signature
            return None

    request = urllib.request.Request(url, method="HEAD", headers={"User-Agent": AGENT})
    try:
        with urllib.request.build_opener(Stay).open(request, timeout=timeout):
            return ""
    except urllib.error.HTTPError as error:
        error.close()
        return ""
    except (OSError, http.client.HTTPException, ValueError) as error:
        return _reason(error)


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Failure(Exception):  # noqa: N818
    """A try that failed.

    Args:
        reason: What to tell the user.
        passing: Whether another try makes sense.
        absent: Nobody is there: after a good beginning that may pass too.
        wait: Seconds the server asked for.
    """

    def __init__(
        self, reason: str, *, passing: bool, absent: bool = False, wait: float = 0.0
    ) -> None:
        super().__init__(reason)
        self.passing = passing
        self.absent = absent
        self.wait = wait


class _Stale(_Failure):
    """The server has nothing to add to the part: it was whole, or of another version."""


def _receive(url: str, part: Path, *, timeout: float, show: bool) -> bool:
    """Fill the part file, trying again after what may pass; tell whether an older part was used."""
    resumed = _size(part) > 0
    begun = False
    for wait in (*WAITS, None):
        try:
            _receive_once(url, part, timeout=timeout, show=show)
            return resumed
        except _Failure as failure:
            if isinstance(failure, _Stale):
                _discard(part)
            begun |= failure.passing
            if wait is None or not (failure.passing or (begun and failure.absent)):
                raise DownloadError(f"{url}: {failure}") from failure
            time.sleep(max(wait, failure.wait))
    raise AssertionError("the last try returns or raises")


def _receive_once(url: str, part: Path, *, timeout: float, show: bool) -> None:
    """Append what is missing, or begin anew where the server does not resume."""
    have, validator = _size(part), _validator(part)
    headers = {"User-Agent": AGENT}
    if have and (version := _version(validator)):
        headers |= {"Range": f"bytes={have}-", "If-Range": version}
    with _open(url, headers, timeout) as response:
        if response.status != HTTPStatus.PARTIAL_CONTENT:
            have = 0
            mark = response.headers.get("ETag") or response.headers.get("Last-Modified")
            if mark and not mark.startswith("W/"):
                write_text(validator, mark)
            else:
                validator.unlink(missing_ok=True)
        length = str(response.headers.get("Content-Length", ""))
        total = have + int(length) if length.isdecimal() else None
        with (
            part.open("ab" if have else "wb") as file,
            bar((), Path(url).name, show=show, total=total, unit="B") as shown,
        ):
            shown.update(have)
            for chunk in _chunks(response):
                file.write(chunk)
                shown.update(len(chunk))
    if total is not None and _size(part) < total:
        raise _Failure(
            f"the connection ended after {_size(part):,} of {total:,} bytes", passing=True
        )


def _open(url: str, headers: dict[str, str], timeout: float) -> http.client.HTTPResponse:
    """Ask for the file.

    Raises:
        _Failure: No answer, or one without the file.
    """
    try:
        request = urllib.request.Request(url, headers=headers)
        response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=timeout)
        return response
    except urllib.error.HTTPError as error:
        error.close()
        asked = str(error.headers.get("Retry-After", ""))
        wait = min(float(asked), LONGEST_WAIT) if asked.isdecimal() else 0.0
        reason = f"HTTP {error.code} {error.reason}"
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise _Stale(reason, passing=True) from error
        raise _Failure(reason, passing=error.code in PASSING, wait=wait) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        # urllib wraps what happens before a connection stands: nobody is there, or we are offline.
        absent = isinstance(error, urllib.error.URLError)
        passing = not (absent or isinstance(error, ValueError))
        raise _Failure(_reason(error), passing=passing, absent=absent) from error


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Read a body to its end.

    Raises:
        _Failure: The connection broke or fell silent.
    """
    try:
        while chunk := response.read(CHUNK):
            yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise _Failure(_reason(error), passing=True) from error


def _reason(error: Exception) -> str:
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(inner, TimeoutError):
        return "no answer in time"
    return f"no connection ({inner})" if inner is not error else str(inner) or type(inner).__name__


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _validator(part).unlink(missing_ok=True)


def _version(validator: Path) -> str:
    """Return which version of the file a part is of; "" where that is not known."""
    if not validator.exists():
        return ""
    text = validator.read_text(encoding="ascii", errors="replace").strip()
    return text if text.isascii() and text.isprintable() else ""


def _validator(part: Path) -> Path:
    """Where the mark (ETag) of the version that a part belongs to is kept."""
    return part.with_name(f"{part.name}.mark")
