"""hgzoo demo: a page that shows what the network sees."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from hgzoo.cli.shared import at_least, command
from hgzoo.errors import ConfigError

DEFAULT = "hg2_tiny"
EVERYWHERE = ("0.0.0.0", "::")

EXAMPLES = """\
hgzoo demo
hgzoo demo --model runs/mine --port 8000 --no-browser
hgzoo demo --export-space my_space"""


def add_commands(commands: Any) -> None:
    """Add `demo`."""
    text = "open a page that shows keypoints and the heatmaps of every hourglass"
    add = command(commands, "demo", _demo, text, examples=EXAMPLES).add_argument
    add(
        "--model",
        action="append",
        default=[],
        metavar="NAME|FILE",
        help=f"offer this network first; repeat it for more ({DEFAULT})",
    )
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s: only this machine)")
    add("--port", type=at_least(1), help="port to listen on (the first free one from 7860)")
    add("--no-browser", action="store_true", help="do not open a browser")
    add(
        "--export-space",
        metavar="DIR",
        help="write the page as a Hugging Face Space into a new folder, and end",
    )


def _demo(options: argparse.Namespace) -> int:
    named = options.model or [DEFAULT]
    if options.port is not None and options.port > 65535:
        raise ConfigError(f"--port takes 1 to 65535, got {options.port}")
    if options.export_space:
        from hgzoo.webdemo import space

        for path in space.write(Path(options.export_space), named):
            print(path)
        return 0

    from hgzoo.webdemo import server
    from hgzoo.webdemo.networks import Networks

    networks = Networks(named)
    for name in networks.names[: len(named)]:
        # What is wrong with it, or its detector, is told here, and not to the first visitor.
        _ = networks.predictor(name).detector
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # clean up then, too
    with server.running(
        networks, host=options.host, port=options.port, browser=not options.no_browser
    ) as url:
        print(url, flush=True)
        if options.host in EVERYWHERE:
            print("hgzoo: everybody who reaches this machine can use the page", file=sys.stderr)
        print("hgzoo: Ctrl-C ends it", file=sys.stderr)
        threading.Event().wait()
    raise AssertionError("only a signal ends the wait")
