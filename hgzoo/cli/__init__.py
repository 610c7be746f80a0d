"""The command line. Only this package prints; heavy imports wait until a command needs them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from hgzoo import __version__
from hgzoo.cli import (
    benchmark,
    calibrate,
    data,
    demo,
    export,
    finetune,
    predict,
    score,
    share,
    train,
    zoo,
)
from hgzoo.cli.shared import Parser
from hgzoo.errors import HgzooError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Words after "hgzoo"; None takes the process's own.

    Returns:
        Exit code: 0 done, 1 failed (the reason is on the error stream), 130 stopped by Ctrl-C.
    """
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("hgzoo").setLevel(logging.INFO)
    try:
        code: int = options.run(options)
    except HgzooError as error:
        print(f"hgzoo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("hgzoo: stopped", file=sys.stderr)
        return 130
    return code


def parser() -> Parser:
    """Return the parser of every command, for whoever completes, documents or checks words."""
    text = "Stacked hourglass networks: keypoints from pictures."
    top = Parser("hgzoo", description=text, allow_abbrev=False)
    top.add_argument("--version", action="version", version=f"hgzoo {__version__}")
    commands = top.add_parts(title="commands", metavar="COMMAND")
    modules = (
        zoo,
        predict,
        demo,
        export,
        data,
        train,
        calibrate,
        finetune,
        score,
        share,
        benchmark,
    )
    for module in modules:
        module.add_commands(commands)
    return top
