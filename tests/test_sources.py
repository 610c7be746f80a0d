"""Where weights come from, against a Hub and an original address that misbehave."""

import hashlib
import json
import logging
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

from hgzoo import checkpoints, recipes, sources
from hgzoo.config import Weights
from hgzoo.convert import LAYOUTS
from hgzoo.errors import DownloadError, WeightsError
from hgzoo.model import StackedHourglass
from tests.conftest import small_model
from tests.hub_server import Cut, HubServer, Stall, Status, Wrong
from tests.upstream import as_theirs

NAME = "hg2.test"
REPO = "hgzoo/hg2.test"
ORIGINAL = "/releases/hg2.pth"
FILE = f"/{REPO}/resolve/*/model.safetensors"


@pytest.fixture(scope="module")
def model() -> StackedHourglass:
    torch.manual_seed(0)
    return small_model().eval()


@pytest.fixture(scope="module")
def ours(model: StackedHourglass, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("ours") / "model.safetensors"
    checkpoints.write(model.checkpoint(), path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def theirs(model: StackedHourglass, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("theirs") / "a.pth"
    torch.save({"state_dict": as_theirs(model, LAYOUTS[0])}, path)
    return path.read_bytes()


@pytest.fixture
def on_hub(hub_server: HubServer, ours: bytes) -> Weights:
    hub_server.put(REPO, {"model.safetensors": ours, "config.json": b"{}"}, tag="v1")
    return Weights(hub_id=REPO, revision="v1", licence="l", source="s")


@pytest.fixture
def at_address(hub_server: HubServer, theirs: bytes) -> Weights:
    url = hub_server.serve(ORIGINAL, theirs, etag="one")
    sha256 = hashlib.sha256(theirs).hexdigest()
    return Weights(url=url, url_sha256=sha256[:8], licence="l", source="s")


def same(path: Path, model: StackedHourglass) -> bool:
    """Tell whether a file holds this network."""
    tensors = checkpoints.read(path).tensors
    return all(torch.equal(tensors[key], value) for key, value in model.state_dict().items())


def leftovers(cache: Path) -> list[str]:
    """Name what a failed download may have left."""
    return [path.name for path in cache.rglob("*") if path.suffix in (".incomplete", ".pth")]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_the_hub_is_asked_once_and_then_the_cache(
    on_hub: Weights, hub_server: HubServer, model: StackedHourglass
) -> None:
    assert same(sources.fetch(NAME, on_hub), model)
    asked = len(hub_server.requests)
    assert same(sources.fetch(NAME, on_hub), model)
    assert len(hub_server.requests) == asked


def test_the_address_is_asked_once_and_the_result_is_kept(
    at_address: Weights, hub_server: HubServer, model: StackedHourglass, cache: Path
) -> None:
    path = sources.fetch(NAME, at_address)
    assert same(path, model)
    assert path.suffix == ".safetensors"
    assert sources.fetch(NAME, at_address) == path
    assert len(hub_server.requests) == 1
    assert leftovers(cache) == []
    converted = checkpoints.read(path)
    assert (converted.name, converted.weights) == (NAME, at_address)
    assert converted.input.mean == (0.4404, 0.4440, 0.4327)


def test_the_hub_comes_before_the_address(
    on_hub: Weights, at_address: Weights, hub_server: HubServer
) -> None:
    sources.fetch(NAME, replace(at_address, hub_id=REPO, revision="v1"))
    assert not any(request.path == ORIGINAL for request in hub_server.requests)


def test_without_our_repository_the_address_is_taken(
    at_address: Weights, model: StackedHourglass
) -> None:
    both = replace(at_address, hub_id="hgzoo/none", revision="v1")
    assert same(sources.fetch(NAME, both), model)


def test_a_folder_of_ones_own_holds_all_that_is_downloaded(
    on_hub: Weights, at_address: Weights, tmp_path: Path, cache: Path
) -> None:
    mine = tmp_path / "mine"
    assert sources.fetch(NAME, on_hub, cache_dir=mine).is_relative_to(mine)
    assert sources.fetch("hg2.other", at_address, cache_dir=mine).is_relative_to(mine)
    assert not cache.exists()


def test_a_folder_that_cannot_be_made_is_told(at_address: Weights, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WeightsError, match="cannot be written"):
        sources.fetch(NAME, at_address, cache_dir=tmp_path / "file")


# The Hub misbehaves.


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "fault",
    [
        Cut(0),
        Cut(1000),
        Status(429, {"Retry-After": "0"}),
        Status(500),
        Status(503),
        Stall(60),
        Stall(60, after_bytes=1000),
    ],
    ids=str,
)
def test_what_passes_on_the_hub_is_tried_again(
    on_hub: Weights, hub_server: HubServer, model: StackedHourglass, fault: Cut, cache: Path
) -> None:
    hub_server.fail(FILE, fault, method="GET")
    assert same(sources.fetch(NAME, on_hub), model)
    assert leftovers(cache) == []


def test_wrong_bytes_from_the_hub_are_fetched_again(
    on_hub: Weights, hub_server: HubServer, model: StackedHourglass
) -> None:
    hub_server.fail(FILE, Wrong(b"wrong"))
    assert same(sources.fetch(NAME, on_hub), model)


def test_wrong_bytes_for_ever_are_refused_and_not_kept(
    on_hub: Weights, hub_server: HubServer, model: StackedHourglass
) -> None:
    hub_server.fail(FILE, Wrong(b"wrong"), times=4)
    with pytest.raises(DownloadError, match="not those that the Hub's own hash says"):
        sources.fetch(NAME, on_hub)
    assert same(sources.fetch(NAME, on_hub), model)


def test_other_bytes_than_the_recipe_says_are_refused(on_hub: Weights) -> None:
    with pytest.raises(DownloadError, match="expected SHA-256 0000"):
        sources.fetch(NAME, replace(on_hub, sha256="0" * 64))


@pytest.mark.parametrize("code", [401, 403, 404])
def test_a_refusal_of_the_hub_is_final(on_hub: Weights, hub_server: HubServer, code: int) -> None:
    hub_server.fail(f"/{REPO}/*", Status(code), times=None)
    with pytest.raises(DownloadError, match=f"HTTP {code}"):
        sources.fetch(NAME, on_hub)


def test_an_unknown_revision_is_told(on_hub: Weights) -> None:
    with pytest.raises(DownloadError, match=r"revision v2\): HTTP 404"):
        sources.fetch(NAME, replace(on_hub, revision="v2"))


def test_a_private_repository_needs_its_token(
    hub_server: HubServer, ours: bytes, model: StackedHourglass, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub_server.put(REPO, {"model.safetensors": ours}, tag="v1", token="secret")
    weights = Weights(hub_id=REPO, revision="v1", licence="l", source="s")
    with pytest.raises(DownloadError, match="HF_TOKEN"):
        sources.fetch(NAME, weights)
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert same(sources.fetch(NAME, weights), model)


def test_a_damaged_hub_cache_is_replaced(
    on_hub: Weights, model: StackedHourglass, hub_server: HubServer
) -> None:
    blob = sources.fetch(NAME, on_hub).resolve()
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)
    assert same(sources.fetch(NAME, on_hub), model)


# The original address misbehaves.


@pytest.mark.parametrize(
    "fault", [Cut(0), Cut(1000), Status(429), Status(503), Stall(60), Stall(60, after_bytes=1000)]
)
def test_what_passes_at_the_address_is_tried_again(
    at_address: Weights, hub_server: HubServer, model: StackedHourglass, fault: Cut
) -> None:
    hub_server.fail(ORIGINAL, fault)
    assert same(sources.fetch(NAME, at_address), model)


def test_wrong_bytes_from_the_address_are_refused_and_not_kept(
    at_address: Weights, hub_server: HubServer, model: StackedHourglass, cache: Path
) -> None:
    hub_server.fail(ORIGINAL, Wrong(b"wrong"))
    with pytest.raises(DownloadError, match="other bytes than expected"):
        sources.fetch(NAME, at_address)
    assert leftovers(cache) == []
    assert same(sources.fetch(NAME, at_address), model)


def test_a_damaged_conversion_is_replaced(at_address: Weights, model: StackedHourglass) -> None:
    path = sources.fetch(NAME, at_address)
    path.write_bytes(path.read_bytes()[:-10])
    assert same(sources.fetch(NAME, at_address), model)


def test_two_addresses_under_one_name_are_two_files(
    at_address: Weights, hub_server: HubServer, tmp_path: Path
) -> None:
    other = tmp_path / "other.pth"
    torch.save(as_theirs(small_model(num_keypoints=5), LAYOUTS[0]), other)
    url = hub_server.serve("/other.pth", other.read_bytes())
    sources.fetch(NAME, at_address)
    second = sources.fetch(NAME, replace(at_address, url=url, url_sha256=""))
    assert checkpoints.read(second).model.num_keypoints == 5


def test_a_hash_that_a_newer_recipe_corrects_is_checked_again(at_address: Weights) -> None:
    sources.fetch(NAME, at_address)
    with pytest.raises(DownloadError, match="other bytes than expected"):
        sources.fetch(NAME, replace(at_address, url_sha256="0" * 8))


def test_no_name_leads_out_of_the_cache(at_address: Weights, cache: Path) -> None:
    path = sources.fetch("../../../evil\0" + "x" * 300, at_address)
    assert path.parent == cache / "assets" / "hgzoo" / "weights" / "converted"


def test_a_recipe_says_what_an_original_of_our_own_layout_expects(
    hub_server: HubServer, model: StackedHourglass, tmp_path: Path
) -> None:
    torch.save(model.state_dict(), tmp_path / "bare.pth")
    url = hub_server.serve("/bare.pth", (tmp_path / "bare.pth").read_bytes())
    weights = Weights(url=url, licence="l", source="s")
    recipe = recipes.read("hg2_tiny")
    path = sources.fetch(NAME, weights, like=recipe)
    assert checkpoints.read(path).input == recipe.input


def test_a_lost_record_is_written_anew(at_address: Weights, model: StackedHourglass) -> None:
    path = sources.fetch(NAME, at_address)
    path.with_suffix(".json").write_text("[")
    assert same(sources.fetch(NAME, at_address), model)
    assert json.loads(path.with_suffix(".json").read_text())["url"] == at_address.url


def test_an_address_without_hash_is_trusted_once_and_says_so(
    at_address: Weights,
    hub_server: HubServer,
    model: StackedHourglass,
    caplog: pytest.LogCaptureFixture,
) -> None:
    unknown = replace(at_address, url_sha256="")
    with caplog.at_level(logging.WARNING):
        path = sources.fetch(NAME, unknown)
    assert "no published hash" in caplog.text
    caplog.clear()
    path.write_bytes(b"damaged")
    with caplog.at_level(logging.WARNING):
        assert same(sources.fetch(NAME, unknown), model)
    assert "no published hash" not in caplog.text


def test_an_address_that_changed_after_it_was_trusted_is_refused(
    at_address: Weights, hub_server: HubServer, tmp_path: Path
) -> None:
    unknown = replace(at_address, url_sha256="")
    path = sources.fetch(NAME, unknown)
    other = tmp_path / "other.pth"
    torch.save(as_theirs(small_model(), LAYOUTS[0]), other)
    hub_server.serve(ORIGINAL, other.read_bytes(), etag="two")
    path.write_bytes(b"damaged")
    with pytest.raises(DownloadError, match="other bytes than expected"):
        sources.fetch(NAME, unknown)


def test_an_original_that_is_no_hourglass_is_refused_and_not_kept(
    at_address: Weights, hub_server: HubServer, cache: Path, tmp_path: Path
) -> None:
    torch.save({"fc.weight": torch.zeros(2)}, tmp_path / "other.pth")
    url = hub_server.serve("/other.pth", (tmp_path / "other.pth").read_bytes())
    with pytest.raises(DownloadError, match="no stacked hourglass"):
        sources.fetch(NAME, replace(at_address, url=url, url_sha256=""))
    assert leftovers(cache) == []


@contextmanager
def small_files(most: int) -> Iterator[None]:
    """Let the kernel refuse to write files beyond a size, as a quota or a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_told_and_leaves_nothing(
    at_address: Weights, on_hub: Weights, cache: Path, model: StackedHourglass
) -> None:
    for weights in (at_address, on_hub):
        with small_files(20_000), pytest.raises(DownloadError, match="File too large"):
            sources.fetch(NAME, weights)
        assert leftovers(cache) == []
        assert not list(cache.rglob("*.safetensors"))
    assert same(sources.fetch(NAME, at_address), model)
    assert same(sources.fetch("hg2.other", on_hub), model)


def test_a_disk_that_fills_while_converting_leaves_nothing(
    at_address: Weights, cache: Path, monkeypatch: pytest.MonkeyPatch, model: StackedHourglass
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "save_file", full)
        with pytest.raises(DownloadError, match="No space left"):
            sources.fetch(NAME, at_address)
    assert leftovers(cache) == []
    assert not list(cache.rglob("*.safetensors"))
    assert same(sources.fetch(NAME, at_address), model)


# Nobody is there.


def test_offline_with_a_warm_cache_works(
    on_hub: Weights, at_address: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [sources.fetch(NAME, on_hub), sources.fetch("hg2.other", at_address)]
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert [sources.fetch(NAME, on_hub), sources.fetch("hg2.other", at_address)] == paths


def test_offline_with_a_cold_cache_says_at_once_what_to_do(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setattr(constants, "ENDPOINT", nobody)
    weights = Weights(
        hub_id=REPO, revision="v1", url=f"{nobody}/hg2-12345678.pth", licence="l", source="s"
    )
    begin = time.monotonic()
    with pytest.raises(DownloadError) as error:
        sources.fetch(NAME, weights)
    assert time.monotonic() - begin < 2.0
    text = str(error.value)
    assert f"{nobody}/{REPO} (revision v1): no connection" in text
    assert f"{nobody}/hg2-12345678.pth: no connection" in text
    assert f"curl -LO {nobody}/hg2-12345678.pth" in text
    assert "hgzoo convert hg2-12345678.pth hg2.test" in text
    assert 'create_model("local-dir:hg2.test", pretrained=True)' in text


def test_offline_by_choice_asks_nobody(
    on_hub: Weights, at_address: Weights, hub_server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE is set"):
        sources.fetch(NAME, replace(at_address, hub_id=REPO, revision="v1"))
    assert hub_server.requests == []


def test_without_an_address_the_hubs_own_command_is_told(
    on_hub: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match=f"hf download {REPO} --revision v1 --local-dir hg2"):
        sources.fetch(NAME, on_hub)


# Several processes at once.

FETCH = """
import os, sys
from hgzoo import sources
from hgzoo.config import Weights
weights = Weights(url=sys.argv[1], url_sha256=sys.argv[2], licence="l", source="s")
started = []
for _ in range(8):
    child = os.fork()
    if not child:
        os.write(1, f"{sources.fetch('hg2.test', weights)}\\n".encode())
        os._exit(0)
    started.append(child)
sys.exit(any(os.waitpid(child, 0)[1] for child in started))
"""
"""Forks when everything is imported, so that all eight begin at once."""


def test_eight_processes_at_once_leave_one_good_file(
    at_address: Weights, hub_server: HubServer, model: StackedHourglass, tmp_path: Path
) -> None:
    environment = {**os.environ, **hub_server.environment, "HF_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", FETCH, at_address.url, at_address.url_sha256]
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, timeout=120, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 8
    assert len(set(lines)) == 1
    path = Path(lines[0])
    assert path.is_relative_to(tmp_path / "home")
    assert same(path, model)
    assert sum(request.path == ORIGINAL for request in hub_server.requests) == 1


# Networks on the Hub, and in the wheel.


def test_a_folder_of_the_hub_is_of_one_commit(
    on_hub: Weights, hub_server: HubServer, ours: bytes
) -> None:
    folder = sources.hub_folder(REPO)
    assert (folder / "model.safetensors").read_bytes() == ours
    assert (folder / "config.json").read_bytes() == b"{}"


def test_only_the_config_is_fetched_where_weights_are_not_asked_for(
    on_hub: Weights, hub_server: HubServer
) -> None:
    sources.hub_folder(REPO, weights=False)
    assert not any("safetensors" in request.path for request in hub_server.requests)


def test_a_branch_is_looked_up_anew_and_kept_for_bad_days(
    on_hub: Weights, hub_server: HubServer, ours: bytes
) -> None:
    before = sources.hub_folder(REPO)
    hub_server.put(REPO, {"model.safetensors": ours, "config.json": b"{ }"})
    after = sources.hub_folder(REPO)
    assert (after / "config.json").read_bytes() == b"{ }"
    assert before != after
    hub_server.fail("/*", Status(503), times=None)
    assert sources.hub_folder(REPO) == after


def test_a_missing_repository_says_how_to_fetch_it_elsewhere(hub_server: HubServer) -> None:
    with pytest.raises(DownloadError, match=r"HTTP 401.*hf download me/none --revision main"):
        sources.hub_folder("me/none")


@pytest.mark.parametrize("repo_id", ["", "a/b/c", "../x", "a b"])
def test_what_is_no_repository_is_refused(hub_server: HubServer, repo_id: str) -> None:
    with pytest.raises(DownloadError):
        sources.hub_folder(repo_id)


def test_packaged_weights_are_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sources, "files", lambda package: tmp_path)
    weights = Weights(file="a.safetensors", sha256="0" * 64, licence="l", source="s")
    with pytest.raises(WeightsError, match="install hgzoo again"):
        sources.fetch(NAME, weights)
    checkpoints.write(small_model().checkpoint(), tmp_path / "weights" / "a.safetensors")
    with pytest.raises(WeightsError, match="SHA-256 differs"):
        sources.fetch(NAME, weights)
