"""One file from one address, against a real server that misbehaves."""

import errno
import hashlib
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hgzoo import download
from hgzoo.errors import DownloadError
from tests.hub_server import Cut, HubServer, Stall, Status, Wrong

CONTENT = np.random.default_rng(0).bytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = bytes(reversed(CONTENT))


@pytest.fixture
def url(hub_server: HubServer) -> str:
    return hub_server.serve("/releases/a.pth", CONTENT, etag="one")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "files" / "a.pth"


def fetch(url: str, path: Path, **options: Any) -> str:
    return download.fetch(url, path, timeout=0.5, show=False, **options)


def ranges(server: HubServer) -> list[str | None]:
    return [request.headers.get("Range") for request in server.requests]


def test_a_file_arrives_whole_and_alone(url: str, path: Path) -> None:
    assert fetch(url, path) == SHA256
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("digits", [8, 64])
def test_a_published_hash_is_checked(url: str, path: Path, digits: int) -> None:
    assert fetch(url, path, sha256=SHA256[:digits]) == SHA256


def test_wrong_bytes_are_refused_and_not_kept(url: str, path: Path, hub_server: HubServer) -> None:
    hub_server.fail("/releases/*", Wrong(OTHER))
    with pytest.raises(DownloadError, match="other bytes than expected"):
        fetch(url, path, sha256=SHA256[:8])
    assert list(path.parent.iterdir()) == []
    assert fetch(url, path, sha256=SHA256[:8]) == SHA256


@pytest.mark.parametrize("after", [0, 1, 1_500_000, 2_999_999])
def test_a_cut_connection_is_resumed(
    url: str, path: Path, hub_server: HubServer, after: int
) -> None:
    hub_server.fail("/releases/*", Cut(after))
    assert fetch(url, path, sha256=SHA256) == SHA256
    assert ranges(hub_server) == [None, f"bytes={after}-" if after else None]


def test_a_later_call_goes_on_where_the_first_stopped(
    url: str, path: Path, hub_server: HubServer
) -> None:
    hub_server.fail("/releases/*", Cut(1_000_000), times=1)
    hub_server.fail("/releases/*", Status(404), times=1)
    with pytest.raises(DownloadError, match="404"):
        fetch(url, path)
    assert not path.exists()
    assert fetch(url, path) == SHA256
    assert ranges(hub_server)[-1] == "bytes=1000000-"


def test_a_file_that_changed_meanwhile_is_not_mixed(
    url: str, path: Path, hub_server: HubServer
) -> None:
    hub_server.fail("/releases/*", Cut(1_000_000), times=1)
    hub_server.fail("/releases/*", Status(404), times=1)
    with pytest.raises(DownloadError):
        fetch(url, path)
    hub_server.serve("/releases/a.pth", OTHER, etag="two")
    assert fetch(url, path) == hashlib.sha256(OTHER).hexdigest()
    assert path.read_bytes() == OTHER


def test_a_server_that_cannot_resume_begins_anew(path: Path, hub_server: HubServer) -> None:
    url = hub_server.serve("/plain/a.pth", CONTENT, ranges=False)
    hub_server.fail("/plain/*", Cut(1_000_000))
    assert fetch(url, path) == SHA256


def test_an_older_part_of_another_file_is_thrown_away(url: str, path: Path) -> None:
    path.parent.mkdir()
    path.with_name("a.pth.part").write_bytes(b"x" * 1000)
    path.with_name("a.pth.part.mark").write_text('"one"')
    assert fetch(url, path, sha256=SHA256) == SHA256


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_a_server_that_stumbles_is_asked_again(
    url: str, path: Path, hub_server: HubServer, code: int
) -> None:
    hub_server.fail("/releases/*", Status(code), times=2)
    assert fetch(url, path) == SHA256
    assert len(hub_server.requests) == 3


def test_a_server_that_stays_down_is_given_up(url: str, path: Path, hub_server: HubServer) -> None:
    hub_server.fail("/releases/*", Status(503), times=None)
    with pytest.raises(DownloadError, match="HTTP 503"):
        fetch(url, path)
    assert len(hub_server.requests) == 1 + len(download.WAITS)


def test_the_server_says_how_long_to_wait(
    url: str, path: Path, hub_server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    hub_server.fail("/releases/*", Status(429, {"Retry-After": "7"}))
    hub_server.fail("/releases/*", Status(429, {"Retry-After": "9999"}))
    fetch(url, path)
    assert waited == [7.0, download.LONGEST_WAIT]


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_a_refusal_is_final(url: str, path: Path, hub_server: HubServer, code: int) -> None:
    hub_server.fail("/releases/*", Status(code), times=None)
    with pytest.raises(DownloadError, match=str(code)):
        fetch(url, path)
    assert len(hub_server.requests) == 1


@pytest.mark.parametrize("after", [0, 1_000_000])
def test_a_silent_server_is_asked_again(
    url: str, path: Path, hub_server: HubServer, after: int
) -> None:
    hub_server.fail("/releases/*", Stall(60, after_bytes=after))
    assert fetch(url, path) == SHA256
    assert len(hub_server.requests) == 2


def test_a_server_that_stays_silent_is_given_up(
    url: str, path: Path, hub_server: HubServer
) -> None:
    hub_server.fail("/releases/*", Stall(60), times=None)
    with pytest.raises(DownloadError, match="no answer in time"):
        fetch(url, path)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_nobody_there_is_told_at_once(path: Path, cache: Path) -> None:
    begin = time.monotonic()
    with pytest.raises(DownloadError, match="no connection"):
        fetch(f"http://127.0.0.1:{free_port()}/a.pth", path)
    assert time.monotonic() - begin < 1.0


@pytest.mark.parametrize("url", ["nonsense", "file:///etc/passwd", "http://[::bad/a.pth"])
def test_what_is_no_address_of_the_web_is_refused(url: str, path: Path) -> None:
    with pytest.raises(DownloadError):
        fetch(url, path)


class FullDisk:
    """Lets a file open take so many bytes."""

    def __init__(self, room: int) -> None:
        self.room = room

    def __call__(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def opened(path: Path, mode: str = "r", **options: Any) -> Any:
            file = original(path, mode, **options)
            if path.suffix == ".part" and mode != "rb":
                write = file.write

                def limited(chunk: bytes) -> int:
                    self.room -= len(chunk)
                    if self.room < 0:
                        raise OSError(errno.ENOSPC, "No space left on device")
                    return int(write(chunk))

                file = _Writer(file, limited)
            return file

        return opened


class _Writer:
    def __init__(self, file: Any, write: Callable[[bytes], int]) -> None:
        self.file, self.write = file, write

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


def test_a_full_disk_is_told_and_leaves_nothing(
    url: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "open", FullDisk(1_200_000)(Path.open))
    with pytest.raises(DownloadError, match="the disk is full"):
        fetch(url, path)
    assert not path.exists()
    assert not path.with_name("a.pth.part").exists()


def test_an_interrupted_download_leaves_no_half_file(
    url: str, path: Path, hub_server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    hub_server.fail("/releases/*", Cut(1_000_000))
    with monkeypatch.context() as patched:
        patched.setattr(time, "sleep", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fetch(url, path)
    assert not path.exists()
    assert fetch(url, path) == SHA256
    assert ranges(hub_server) == [None, "bytes=1000000-"]


def test_a_sign_of_life_is_any_answer(url: str, hub_server: HubServer) -> None:
    assert download.problem(url, timeout=1.0) == ""
    hub_server.fail("/releases/*", Status(503))
    assert download.problem(url, timeout=1.0) == ""
    hub_server.fail("/releases/*", Status(302, {"Location": "http://192.0.2.1/"}))
    assert download.problem(url, timeout=1.0) == ""


def test_no_sign_of_life_says_why(hub_server: HubServer) -> None:
    nobody = f"http://127.0.0.1:{free_port()}/"
    assert "no connection" in download.problem(nobody, timeout=1.0)
    hub_server.fail("/slow", Stall(60), times=None)
    assert download.problem(f"{hub_server.url}/slow", timeout=0.2) == "no answer in time"


@pytest.mark.parametrize("extra", [b"", b"more"])
def test_a_part_that_is_whole_already_does_not_block(url: str, path: Path, extra: bytes) -> None:
    path.parent.mkdir()
    path.with_name("a.pth.part").write_bytes(CONTENT + extra)
    path.with_name("a.pth.part.mark").write_text('"one"')
    assert fetch(url, path, sha256=SHA256) == SHA256


def test_a_damaged_mark_does_not_block(url: str, path: Path) -> None:
    path.parent.mkdir()
    path.with_name("a.pth.part").write_bytes(CONTENT[:1000])
    path.with_name("a.pth.part.mark").write_bytes(b"\xff\r\nX-Evil: 1")
    assert fetch(url, path, sha256=SHA256) == SHA256


def test_a_folder_that_cannot_be_made_is_told(url: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DownloadError, match="cannot write"):
        fetch(url, tmp_path / "file" / "a.pth")
