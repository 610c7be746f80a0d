"""Serves the page from a temporary folder that is gone when it ends."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hgzoo.errors import ConfigError, require
from hgzoo.webdemo.chosen import MOST_BYTES
from hgzoo.webdemo.networks import Networks

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SESSIONS = 16
"""Visitors whose pictures are kept in memory; the oldest makes room."""

POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",  # gradio's page needs both
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' blob: data:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
    )
)
"""Browsers refuse to ask any other host for anything on the page's behalf."""

ADDRESSES = ("/gradio_api/file=http", "/gradio_api/proxy=")
"""Where gradio would fetch an address from the web for whoever asks."""

MOST_QUESTION = 2**20
"""Bytes of a question in JSON: pictures are sent otherwise."""


@contextmanager
def running(
    networks: Networks, *, host: str = "127.0.0.1", port: int | None = None, browser: bool = False
) -> Iterator[str]:
    """Serve the page while the block runs.

    What visitors send, and what is written for them, lies in one temporary folder, which is
    removed at the end. Nothing is shared, and no usage is reported.

    Args:
        networks: What visitors may choose from.
        host: Address to listen on; "0.0.0.0" is every one of this machine's.
        port: Port to listen on; None takes the first free one from 7860.
        browser: Whether to open a browser.

    Yields:
        The page's address.

    Raises:
        MissingExtraError: gradio is not installed.
        ConfigError: The address cannot be listened on.
    """
    with tempfile.TemporaryDirectory(prefix="hgzoo-demo-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        # Read by gradio when it is imported, and when it writes.
        os.environ["GRADIO_TEMP_DIR"] = str(folder)
        os.environ["GRADIO_EXAMPLES_CACHE"] = str(folder / "examples")
        require("gradio", extra="demo")
        from starlette.middleware import Middleware

        from hgzoo.webdemo import page

        blocks = page.make(networks, folder)
        try:
            _, url, _ = blocks.launch(
                server_name=host,
                server_port=port,
                inbrowser=browser,
                inline=False,
                prevent_thread_lock=True,
                quiet=True,
                share=False,
                enable_monitoring=False,
                run_history=False,
                mcp_server=False,
                ssr_mode=False,
                pwa=False,
                num_workers=0,
                max_file_size=MOST_BYTES,
                state_session_capacity=SESSIONS,
                footer_links=[],
                theme=page.theme(),
                css=page.CSS,
                app_kwargs={"middleware": [Middleware(_Guard)]},
            )
        except OSError as error:
            where = host if port is None else f"{host}:{port}"
            raise ConfigError(
                f"cannot listen on {where}; name another address by --host or --port"
            ) from error
        try:
            yield url
        finally:
            blocks.close(verbose=False)


class _Guard:
    """Fetches no address for visitors, and has browsers keep to this host.

    Args:
        app: The page's server.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refused = any(path in scope["path"].lower() for path in ADDRESSES)
        if scope["method"] == "POST" and b"multipart" not in dict(scope["headers"]).get(
            b"content-type", b""
        ):
            body = await _body(receive)
            refused |= body is None or names_address(body)
            receive = _again(body or b"", receive)
        if refused:
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b"refused"})
        else:
            await self.app(scope, receive, _with_policy(send))


def names_address(body: bytes) -> bool:
    """Tell whether a question of the page names a file by an address, which gradio would fetch."""
    try:
        todo = [json.loads(body or b"null")]
    except (ValueError, RecursionError):
        return False  # gradio refuses it, too
    while todo:
        part = todo.pop()
        if isinstance(part, dict):
            if "://" in str(part.get("path", "")):
                return True
            todo += part.values()
        elif isinstance(part, list):
            todo += part
    return False


async def _body(receive: Receive) -> bytes | None:
    """Read a whole question; None if it is too long."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MOST_QUESTION:
            return None
    return body


def _again(body: bytes, receive: Receive) -> Receive:
    """Give a question that was read once more, then whatever comes."""
    left = [body]

    async def given() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return given


def _with_policy(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            added = ((b"content-security-policy", POLICY), (b"referrer-policy", "no-referrer"))
            headers = [*message["headers"], *((name, value.encode()) for name, value in added)]
            message = {**message, "headers": headers}
        await send(message)

    return guarded
