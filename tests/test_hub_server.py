"""The test Hub against the installed huggingface_hub."""

import hashlib
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.hub_server import UPLOAD_WARNING, Cut, HubServer, Stall, Status, Wrong

BIG = bytes(range(256)) * 8192  # 2 MiB
FILES = {"config.json": b'{"a": 1}', "model.safetensors": BIG, "sub/notes.txt": "grün\n".encode()}


@pytest.fixture
def server() -> Iterator[HubServer]:
    before = running()
    with HubServer() as server:
        yield server
    assert running() == before


def running() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if not thread.daemon}


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Collect the library's waits instead of sitting them out."""
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    return waits


def get(server: HubServer, folder: Path, name: str, **options: Any) -> bytes:
    options = {"token": False, **options}
    path = hf_hub_download("o/n", name, endpoint=server.url, cache_dir=folder, **options)
    return Path(path).read_bytes()


def test_another_process_finds_it(server: HubServer, tmp_path: Path) -> None:
    server.put("o/n", FILES)
    code = "import huggingface_hub as h; print(h.hf_hub_download('o/n', 'config.json'))"
    environment = {**os.environ, **server.environment, "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()).read_bytes() == FILES["config.json"]
    assert [asked.method for asked in server.requests] == ["HEAD", "GET"]


def fetch(url: str, **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=5) as response:
        return response.status, response.read()


def test_files_small_and_large_come_down(server: HubServer, tmp_path: Path) -> None:
    commit = server.put("o/n", FILES, tag="v1")
    for revision in (None, "main", "v1", commit):
        folder = tmp_path / str(revision)
        assert {name: get(server, folder, name, revision=revision) for name in FILES} == FILES
    blobs = {path.name for path in (tmp_path / "v1/models--o--n/blobs").iterdir()}
    assert hashlib.sha256(BIG).hexdigest() in blobs
    del server.requests[:]
    assert get(server, tmp_path / "v1", "config.json", revision=commit) == FILES["config.json"]
    assert not server.requests


def test_listings(server: HubServer, tmp_path: Path) -> None:
    commit = server.put("o/n", FILES, tag="v1")
    api = HfApi(endpoint=server.url, token=False)
    assert api.list_repo_files("o/n") == sorted(FILES)
    info = api.model_info("o/n", revision="v1", files_metadata=True)
    assert (info.sha, info.private) == (commit, False)
    assert [file.rfilename for file in info.siblings or []] == sorted(FILES)
    assert (api.file_exists("o/n", "config.json"), api.file_exists("o/n", "x")) == (True, False)
    assert [tag.name for tag in api.list_repo_refs("o/n").tags] == ["v1"]
    folder = snapshot_download("o/n", endpoint=server.url, cache_dir=tmp_path, token=False)
    assert {name: (Path(folder) / name).read_bytes() for name in FILES} == FILES


def test_a_cut_download_is_resumed(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1 << 16)
    server.put("o/n", FILES)
    server.fail("*/model.safetensors", Cut(1 << 20))
    assert get(server, tmp_path, "model.safetensors") == BIG
    ranges = [asked.headers.get("Range") for asked in server.requests if asked.method == "GET"]
    assert ranges == [None, f"bytes={1 << 20}-"]
    assert waits == [1]


def test_what_is_not_there(server: HubServer, tmp_path: Path) -> None:
    server.put("o/n", FILES)
    with pytest.raises(EntryNotFoundError):
        get(server, tmp_path, "none.txt")
    with pytest.raises(RevisionNotFoundError):
        get(server, tmp_path, "config.json", revision="v9")
    for token, status in ((False, 401), (server.token, 404)):
        with pytest.raises(RepositoryNotFoundError) as error:
            HfApi(endpoint=server.url, token=token).model_info("o/none")
        assert error.value.response.status_code == status


def test_tokens(server: HubServer, tmp_path: Path) -> None:
    server.put("o/n", FILES, token="hf_reader")
    with pytest.raises(RepositoryNotFoundError):
        get(server, tmp_path, "config.json")
    with pytest.raises(HfHubHTTPError, match="Invalid credentials"):
        get(server, tmp_path, "config.json", token="hf_wrong")
    assert get(server, tmp_path, "config.json", token="hf_reader") == FILES["config.json"]
    assert server.requests[-1].headers["authorization"] == "Bearer hf_reader"
    assert HfApi(endpoint=server.url, token=server.token).whoami()["name"] == "tester"
    for token in ("hf_wrong", "hf_reader"):
        api = HfApi(endpoint=server.url, token=token)
        with pytest.raises(HfHubHTTPError, match=r"401|403"):
            api.create_repo("o/new")
    server.put("o/open", {})
    with pytest.raises(HfHubHTTPError, match="401"):
        HfApi(endpoint=server.url, token=False).create_tag("o/open", tag="v1")


@pytest.mark.filterwarnings(UPLOAD_WARNING)
def test_what_is_uploaded_comes_back(server: HubServer, tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / "up" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "up" / name).write_bytes(content)
    api = HfApi(endpoint=server.url, token=server.token)
    assert api.create_repo("o/n", private=True).repo_id == "o/n"
    api.create_repo("o/n", exist_ok=True)
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_repo("o/n")
    commit = api.upload_folder(repo_id="o/n", folder_path=tmp_path / "up").oid
    assert server.files("o/n") == FILES
    assert sum(asked.method == "PUT" for asked in server.requests) == 1
    assert api.upload_folder(repo_id="o/n", folder_path=tmp_path / "up").oid == commit
    api.create_tag("o/n", tag="v1")
    api.create_tag("o/n", tag="v1", exist_ok=True)
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_tag("o/n", tag="v1")
    card = b"---\nlicense: mit\n---\n"
    api.upload_file(repo_id="o/n", path_or_fileobj=card, path_in_repo="README.md")
    api.delete_file("config.json", "o/n")
    assert server.files("o/n", commit) == server.files("o/n", "v1") == FILES
    assert set(server.files("o/n")) == {"README.md", "model.safetensors", "sub/notes.txt"}
    assert get(server, tmp_path, "model.safetensors", revision="v1", token=server.token) == BIG


def test_faults(server: HubServer, tmp_path: Path, waits: list[float]) -> None:
    server.put("o/n", FILES)
    server.fail("/o/n/*", Status(429, {"Retry-After": "3"}), times=2)
    server.fail("/o/n/*", Status(503), times=1)
    assert get(server, tmp_path / "a", "config.json") == FILES["config.json"]
    assert waits == [4, 2]
    server.fail("*.safetensors", Wrong(b"no"))
    wrong = get(server, tmp_path / "b", "model.safetensors")
    assert wrong == b"no" * (len(BIG) // 2)  # the library does not check the SHA-256
    server.fail("*/config.json", Status(403), times=None)
    with pytest.raises(LocalEntryNotFoundError):
        get(server, tmp_path / "c", "config.json")


@pytest.mark.parametrize("after", [0, 10])
def test_closing_does_not_wait_for_a_stall(after: int) -> None:
    def ask() -> None:
        with pytest.raises((OSError, HTTPException)):
            fetch(url)

    with HubServer() as server:
        url = server.serve("/a", b"x" * 100)
        server.fail("/a", Stall(60, after))
        client = threading.Thread(target=ask)
        client.start()
        while not server.requests:
            time.sleep(0.01)
        begun = time.monotonic()
    client.join()
    assert time.monotonic() - begun < 2


def test_plain_files_and_ranges(server: HubServer) -> None:
    url = server.serve("/releases/v0/a.pth", b"0123456789", etag="e")
    assert fetch(url) == (200, b"0123456789")
    assert fetch(url, Range="bytes=4-") == (206, b"456789")
    assert fetch(url, Range="bytes=4-5") == (206, b"45")
    assert fetch(url, Range="bytes=-3") == (206, b"789")
    assert fetch(url, **{"Range": "bytes=4-", "If-Range": '"e"'}) == (206, b"456789")
    assert fetch(url, **{"Range": "bytes=4-", "If-Range": '"old"'}) == (200, b"0123456789")
    with pytest.raises(urllib.error.HTTPError, match="416") as error:
        fetch(url, Range="bytes=10-")
    error.value.close()
    server.fail("/releases/*", Stall(0.1, after_bytes=3))
    assert fetch(url) == (200, b"0123456789")
    server.serve("/releases/v0/a.pth", b"0123456789", ranges=False)
    assert fetch(url, Range="bytes=4-") == (200, b"0123456789")
    assert [asked.path for asked in server.requests] == ["/releases/v0/a.pth"] * 9
