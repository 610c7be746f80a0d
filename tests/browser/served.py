"""The built site, served on the loopback."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Site:
    """A folder of built pages and where it is served.

    Attributes:
        folder: What `mkdocs build` wrote.
        url: Its address on the loopback, ending in a slash.
    """

    folder: Path
    url: str

    @property
    def pages(self) -> list[str]:
        """Return the paths of all pages below `url`, as links write them: "" is the first."""
        files = sorted(self.folder.rglob("*.html"))
        return sorted(
            path.relative_to(self.folder).as_posix().removesuffix("index.html") for path in files
        )

    def file(self, page: str) -> Path:
        """Return the file that is served for a path below `url`."""
        path = self.folder / page
        return path / "index.html" if path.is_dir() else path


def build(folder: Path) -> None:
    """Build the site as CI does; a warning of mkdocs is an error."""
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing of each request."""


@contextmanager
def serve(folder: Path) -> Iterator[Site]:
    """Serve a folder on a free port of the loopback."""
    handler = partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield Site(folder=folder, url=f"http://127.0.0.1:{server.server_port}/")
        server.shutdown()
        thread.join()
