"""Sharing networks on the Hugging Face Hub: one network, or the whole zoo."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from hgzoo import directories, factory
from hgzoo.download import sha256_of
from hgzoo.errors import ConfigError, HgzooError, WeightsError
from hgzoo.model import StackedHourglass
from hgzoo.sources import hub_failures

logger = logging.getLogger(__name__)


def push_to_hub(
    model: StackedHourglass,
    repo_id: str,
    *,
    revision: str = "",
    private: bool = False,
    half: bool = False,
    token: str | None = None,
    message: str = "Upload weights, config and card",
) -> str:
    """Publish a network: model.safetensors, config.json, a model card and its picture.

    Args:
        model: The network.
        repo_id: "owner/name"; made where it does not exist.
        revision: A tag to put on the commit, such as "v1"; "" for none.
        private: Make a new repository private.
        half: Store the weights in half precision (half the size).
        token: Permission to write; None takes that of `hf auth login` or HF_TOKEN.
        message: Of the commit.

    Returns:
        The address of the commit.

    Raises:
        ConfigError: That is no name of a repository.
        WeightsError: Not logged in, no permission, or no connection.

    Examples:
        >>> import hgzoo
        >>> model = hgzoo.create_model("hg1_nano", pretrained=True)
        >>> hgzoo.push_to_hub(model, "me/my-hourglass", revision="v1")
        'http.../me/my-hourglass/commit/...'
        >>> hgzoo.create_model("hf-hub:me/my-hourglass@v1", pretrained=True).config == model.config
        True
    """
    _check_id(repo_id)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model.save_pretrained(folder, half=half, address=f"hf-hub:{repo_id}")
        return upload(
            folder, repo_id, revision=revision, private=private, token=token, message=message
        )


def upload(
    folder: Path,
    repo_id: str,
    *,
    revision: str = "",
    private: bool = False,
    token: str | None = None,
    message: str = "Upload weights, config and card",
) -> str:
    """Publish a folder that `save_pretrained` wrote; arguments as for `push_to_hub`.

    Examples:
        >>> from pathlib import Path
        >>> import hgzoo
        >>> from hgzoo.hub import upload
        >>> hgzoo.create_model("hg1_nano").save_pretrained("mine")
        >>> upload(Path("mine"), "me/my-hourglass")
        'http.../me/my-hourglass/commit/...'
    """
    from huggingface_hub import HfApi, constants

    api = HfApi(endpoint=constants.ENDPOINT, token=token)
    try:
        api.create_repo(repo_id, private=private, exist_ok=True)
        commit = api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message=message)
        if revision:
            api.create_tag(repo_id, tag=revision, revision=commit.oid, exist_ok=True)
    except hub_failures() as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise WeightsError(
            f"cannot publish to {constants.ENDPOINT}/{repo_id}: {reason}. Log in with "
            "`hf auth login`, or set HF_TOKEN to a token that may write there"
        ) from error
    return str(commit.commit_url)


def _check_id(repo_id: str) -> None:
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repo_id)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{repo_id!r} cannot be a repository on the Hub: {error}") from error


@dataclass(frozen=True, kw_only=True)
class Published:
    """What became of one tag of the zoo.

    Attributes:
        name: The weights, such as "hg2_tiny.people".
        repo_id: Where they went, or would go.
        result: "published", "prepared", "refused" or "failed".
        detail: The address, the folder, or the reason.
        sha256: Of model.safetensors, for the recipe; "" where there is none.
    """

    name: str
    repo_id: str
    result: str
    detail: str
    sha256: str = ""


def publish_zoo(
    owner: str,
    folder: Path,
    *,
    names: list[str] | None = None,
    dry_run: bool = False,
    restricted: bool = False,
    private: bool = False,
) -> Iterator[Published]:
    """Publish pretrained weights of the zoo, one after the other.

    Args:
        owner: User or organization on the Hub.
        folder: Where each network's folder is prepared; it stays.
        names: Which weights; None takes all.
        dry_run: Prepare everything and upload nothing.
        restricted: Also publish weights whose licence does not let hgzoo pass them on.
        private: Make new repositories private.

    Yields:
        What became of each, as soon as it is known; one that fails does not stop the others.

    Examples:
        >>> from pathlib import Path
        >>> from hgzoo.hub import publish_zoo
        >>> (one,) = publish_zoo("me", Path("zoo"), names=["hg1_nano"], dry_run=True)
        >>> one.result, one.repo_id
        ('prepared', 'me/hg1_nano.people')
        >>> (one,) = publish_zoo("me", Path("zoo"), names=["hg8"], dry_run=True)
        >>> one.result
        'refused'
    """
    _check_id(f"{owner}/name")
    for name in names or factory.list_models(pretrained=True):
        full, weights = factory.weights_info(name)
        repo_id = f"{owner}/{full}"
        if not (weights.redistributable or restricted):
            yield Published(name=full, repo_id=repo_id, result="refused", detail=weights.licence)
            continue
        prepared = folder / full
        try:
            model = factory.create_model(full, pretrained=True)
            # What ships in half precision is published so: the same numbers, the same size.
            half = bool(weights.file)
            model.save_pretrained(prepared, half=half, address=f"hf-hub:{repo_id}")
            sha256 = sha256_of(prepared / directories.WEIGHTS_FILES[0])
            detail = str(prepared)
            if not dry_run:
                detail = upload(prepared, repo_id, revision=weights.revision, private=private)
        except HgzooError as error:
            yield Published(name=full, repo_id=repo_id, result="failed", detail=str(error))
            continue
        result = "prepared" if dry_run else "published"
        yield Published(name=full, repo_id=repo_id, result=result, detail=detail, sha256=sha256)
