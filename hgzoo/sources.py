"""Where weights come from: the wheel, the cache, the Hub, the original authors' address.

Each is tried in that order, every file is checked against its SHA-256 before it is used, and what
cannot be had is an error that says what was tried and how to fetch it on another machine.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from hgzoo import checkpoints, download
from hgzoo.config import Recipe, Weights
from hgzoo.directories import CONFIG_FILE, WEIGHTS_FILES
from hgzoo.errors import DownloadError, WeightsError
from hgzoo.files import is_folder, write_text

HUB = "hf-hub:"
FOLDER = "local-dir:"

OFFLINE = "HF_HUB_OFFLINE is set"

logger = logging.getLogger(__name__)


def fetch(
    name: str,
    weights: Weights,
    *,
    like: Recipe | None = None,
    cache_dir: str | Path | None = None,
) -> Path:
    """Return the path of pretrained weights as a checked safetensors file of ours.

    Args:
        name: Their full name, such as "hg8.bearpaw_mpii".
        weights: Where they are.
        like: The recipe they belong to, for originals that do not say what they expect.
        cache_dir: Folder for what is downloaded; None takes the Hugging Face cache.

    Raises:
        WeightsError: No source gave them; the message lists each and what to do.
    """
    found = at_hand(name, weights, cache_dir=cache_dir)
    tried: dict[str, str] = {}
    if not found and weights.hub_id:
        found = _from_hub(name, weights, cache_dir, tried)
    if not found and weights.url:
        found = _from_url(name, weights, like, cache_dir, tried)
    if not found:
        raise DownloadError(_how_to_get(name, weights, tried))
    return found


def at_hand(name: str, weights: Weights, *, cache_dir: str | Path | None = None) -> Path | None:
    """Return the path of pretrained weights that need no download, or None.

    Args:
        name: Their full name, such as "hg8.bearpaw_mpii".
        weights: Where they are.
        cache_dir: Folder for what is downloaded; None takes the Hugging Face cache.

    Raises:
        WeightsError: Those that came with the package are damaged, or the cache cannot be used.
    """
    if weights.file:
        return _packaged(weights)
    found = _in_hub_cache(weights, cache_dir)
    if not found and weights.url:
        found = _converted(name, weights, cache_dir)
    return found


def hub_file(
    repo_id: str, filename: str, *, revision: str, cache_dir: str | Path | None = None
) -> Path:
    """Return a file of a repository on the Hub, downloaded or from the cache.

    Args:
        repo_id: "owner/name".
        filename: Its path in the repository.
        revision: A commit, tag or branch; a branch is looked up anew where there is a connection.
        cache_dir: Folder for what is downloaded; None takes the Hugging Face cache.

    Raises:
        DownloadError: No such repository, revision or file, no permission, no connection, or
            damaged on its way.
    """
    from huggingface_hub import hf_hub_download

    damaged = False
    for wait in (*download.WAITS, None):
        try:
            _check_connection(repo_id, filename, revision, cache_dir)
            path = Path(
                hf_hub_download(
                    repo_id,
                    filename,
                    revision=revision,
                    cache_dir=cache_dir,
                    force_download=damaged,
                )
            )
        except hub_failures() as error:
            if wait is None or not _passing(error):
                raise DownloadError(_reason(error)) from error
            time.sleep(wait)
            continue
        if _is_whole(path):
            return path
        logger.warning("%s is damaged; fetching it again", path)
        damaged = True
    path.resolve().unlink(missing_ok=True)
    raise DownloadError("the bytes are not those that the Hub's own hash says")


def _check_connection(
    repo_id: str, filename: str, revision: str, cache_dir: str | Path | None
) -> None:
    """Tell at once that nobody is there, where huggingface_hub would try for half a minute."""
    from huggingface_hub import constants, hf_hub_url

    if constants.HF_HUB_OFFLINE or _cached(repo_id, filename, revision, cache_dir):
        return
    url = hf_hub_url(repo_id, filename, revision=revision)
    if reason := download.problem(url, timeout=constants.HF_HUB_ETAG_TIMEOUT):
        raise DownloadError(reason)


def hub_failures() -> tuple[type[Exception], ...]:
    """Return what huggingface_hub raises when something is wrong.

    Whatever library it speaks HTTP with, that library's errors are the base of its own.
    """
    from huggingface_hub.errors import HfHubHTTPError

    return (OSError, ValueError, *HfHubHTTPError.__mro__[1:2])


def folder_of(
    source: str | Path, *, revision: str = "main", cache_dir: str | Path | None = None
) -> Path:
    """Return a folder, or the folder of a repository on the Hub.

    Args:
        source: A folder, or "owner/name"; with the prefix "local-dir:" or "hf-hub:" it can only be
            that.
        revision: Of the repository, where the source names none after "@".
        cache_dir: Folder for what is downloaded; None takes the Hugging Face cache.

    Raises:
        WeightsError: There is no such folder, or the repository cannot be had.
    """
    text = str(source)
    if text.startswith(FOLDER) or is_folder(source):
        folder = text.removeprefix(FOLDER)
        if not folder or not is_folder(folder):
            raise WeightsError(f"there is no folder {folder!r}")
        return Path(folder)
    repo_id, _, named = text.removeprefix(HUB).partition("@")
    if not text.startswith(HUB) and repo_id.count("/") != 1:
        raise WeightsError(f"there is no folder {text!r}, and a repository is named owner/name")
    return hub_folder(repo_id, revision=named or revision, cache_dir=cache_dir)


def hub_folder(
    repo_id: str,
    *,
    revision: str = "main",
    cache_dir: str | Path | None = None,
    weights: bool = True,
) -> Path:
    """Return the folder of a network on the Hub: config.json, and its weights.

    Args:
        repo_id: "owner/name".
        revision: A commit, tag or branch.
        cache_dir: Folder for what is downloaded; None takes the Hugging Face cache.
        weights: Whether the weights are needed too.

    Raises:
        DownloadError: It cannot be had; says why.
    """
    file = CONFIG_FILE
    try:
        config = hub_file(repo_id, file, revision=revision, cache_dir=cache_dir)
        if weights:
            # Of the same commit, should somebody push in between.
            commit, file = config.parent.name, WEIGHTS_FILES[0]
            hub_file(repo_id, file, revision=commit, cache_dir=cache_dir)
    except DownloadError as error:
        raise DownloadError(
            f"cannot get {file} of {repo_id} (revision {revision}) from the Hub: {error}. On a "
            f"machine with a connection: hf download {repo_id} --revision {revision} --local-dir "
            'FOLDER; then: create_model("local-dir:FOLDER", pretrained=True)'
        ) from error
    return config.parent


def _packaged(weights: Weights) -> Path:
    """Return weights that came with the package."""
    path = Path(str(files("hgzoo"))) / "weights" / weights.file
    if not path.is_file():
        raise WeightsError(f"{path} is missing; install hgzoo again")
    if download.sha256_of(path) != weights.sha256:
        raise WeightsError(f"{path} is damaged (its SHA-256 differs); install hgzoo again")
    return path


def _cached(
    repo_id: str, filename: str, revision: str, cache_dir: str | Path | None
) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repo_id, filename, cache_dir=cache_dir, revision=revision)
    return Path(found) if isinstance(found, str) else None


def _in_hub_cache(weights: Weights, cache_dir: str | Path | None) -> Path | None:
    """Return weights that were downloaded from the Hub before, if they are still whole."""
    if not weights.hub_id:
        return None
    path = _cached(weights.hub_id, WEIGHTS_FILES[0], weights.revision, cache_dir)
    return path if path and _is_whole(path, weights.sha256) else None


def _is_whole(path: Path, sha256: str = "") -> bool:
    """Compare with a known hash, else with the name that the cache gave the file: its hash."""
    blob = path.resolve().name
    expected = sha256 or (blob if len(blob) == 64 else "")
    return not expected or download.sha256_of(path) == expected


def _from_hub(
    name: str, weights: Weights, cache_dir: str | Path | None, tried: dict[str, str]
) -> Path | None:
    from huggingface_hub import constants

    address = f"{constants.ENDPOINT}/{weights.hub_id} (revision {weights.revision})"
    if constants.HF_HUB_OFFLINE:
        tried[address] = OFFLINE
        return None
    try:
        path = hub_file(
            weights.hub_id, WEIGHTS_FILES[0], revision=weights.revision, cache_dir=cache_dir
        )
    except DownloadError as error:
        tried[address] = str(error)
        return None
    if not weights.sha256:
        logger.warning(
            "%s: no SHA-256 of ours is known; the file is trusted as %s has it", name, address
        )
    if not _is_whole(path, weights.sha256):
        tried[address] = f"has other bytes than expected; expected SHA-256 {weights.sha256}"
        return None
    return path


def _converted(name: str, weights: Weights, cache_dir: str | Path | None) -> Path | None:
    """Return an original that was converted before, if it is still whole and the one meant."""
    path = _conversion(name, weights, cache_dir)
    record = _record(path)
    if not path.is_file() or not record["url_sha256"].startswith(weights.url_sha256):
        return None
    if download.sha256_of(path) != record["sha256"]:
        logger.warning("%s is damaged; fetching it again", path)
        return None
    return path


def _from_url(
    name: str,
    weights: Weights,
    like: Recipe | None,
    cache_dir: str | Path | None,
    tried: dict[str, str],
) -> Path | None:
    """Download the original, convert it, and keep only the result."""
    from huggingface_hub import constants
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]

    if constants.HF_HUB_OFFLINE:
        tried[weights.url] = OFFLINE
        return None
    path = _conversion(name, weights, cache_dir)
    original = path.with_suffix(Path(weights.url).suffix[:8] or ".pth")
    with _cache_errors(path), WeakFileLock(path.with_suffix(".lock")):
        if ready := _converted(name, weights, cache_dir):  # another process was faster
            return ready
        first_seen = _record(path)["url_sha256"]
        expected = weights.url_sha256 or first_seen
        timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
        try:
            sha256 = download.fetch(weights.url, original, sha256=expected, timeout=timeout)
            if not expected:
                logger.warning(
                    "%s has no published hash; it is trusted as it came, and its SHA-256 %s is "
                    "what later downloads must match",
                    *(weights.url, sha256),
                )
            checkpoint = checkpoints.read(original, like=like)
            checkpoints.write(replace(checkpoint, name=name, weights=weights), path)
        except WeightsError as error:
            tried[weights.url] = str(error).removeprefix(f"{weights.url}: ")
            return None
        finally:
            original.unlink(missing_ok=True)
        record = {"sha256": download.sha256_of(path), "url": weights.url, "url_sha256": sha256}
        write_text(_record_path(path), json.dumps(record, indent=2))
    logger.info("%s: converted from %s, kept as %s", name, weights.url, path)
    return path


def _conversion(name: str, weights: Weights, cache_dir: str | Path | None) -> Path:
    """Return where the conversion of an address is kept, in the folder for libraries' own files."""
    from huggingface_hub import cached_assets_path, constants

    inside = Path(cache_dir) / "assets" if cache_dir else constants.HF_ASSETS_CACHE
    safe = re.sub(r"[^\w.-]", "_", name)[:80]
    address = hashlib.sha256(weights.url.encode()).hexdigest()[:8]
    with _cache_errors(Path(inside)):
        folder = cached_assets_path("hgzoo", "weights", "converted", assets_dir=inside)
        return folder / f"{safe}-{address}.safetensors"


@contextmanager
def _cache_errors(path: Path) -> Iterator[None]:
    """Say what to do about a cache that cannot be used."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"the cache {path} cannot be written ({error}); name another one by HF_HOME or "
            "cache_dir="
        ) from error


def _record_path(path: Path) -> Path:
    return path.with_suffix(".json")


def _record(path: Path) -> dict[str, str]:
    """Read what was written down about a converted file: its hash, and the original's."""
    try:
        record = json.loads(_record_path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        record = {}
    table = record if isinstance(record, dict) else {}
    return {key: str(table.get(key, "")) for key in ("sha256", "url_sha256")}


def _passing(error: Exception) -> bool:
    """Tell whether another try makes sense: the server stumbled, or the connection broke."""
    code = _status(error)
    if code is not None:
        return code in download.PASSING
    return not isinstance(error, FileNotFoundError | ValueError) and not _is_local(error)


def _is_local(error: Exception) -> bool:
    """Tell an error of the disk, which the operating system numbers."""
    return isinstance(error, OSError) and error.errno is not None


def _status(error: BaseException) -> int | None:
    response = getattr(error, "response", None)
    return getattr(response, "status_code", None)


def _reason(error: Exception) -> str:
    told = error.__cause__ or error
    code = _status(told)
    if code in (401, 403, 404):
        return f"HTTP {code}: no such repository, revision or file, or no permission (HF_TOKEN)"
    if code is not None:
        return f"HTTP {code}"
    lines = str(told).strip().splitlines()
    return lines[0] if lines else type(told).__name__


def _how_to_get(name: str, weights: Weights, tried: dict[str, str]) -> str:
    """Say what failed, and how to bring the file here by hand."""
    lines = [f"cannot get the weights {name}. Tried:"]
    lines += [f"  {address}: {reason}" for address, reason in tried.items()]
    if not tried:
        return f"nothing says where the weights {name} are: the recipe needs file, hub_id or url"
    lines += ["On a machine with a connection:"]
    if weights.url:
        file = Path(weights.url).name
        lines += [f"  curl -LO {weights.url}", f"and here: hgzoo convert {file} {name}"]
    else:
        command = f"hf download {weights.hub_id} --revision {weights.revision} --local-dir {name}"
        lines += [f"  {command}", "and bring the folder here."]
    lines += [f'Then: hgzoo.create_model("local-dir:{name}", pretrained=True)']
    return "\n".join(lines)
