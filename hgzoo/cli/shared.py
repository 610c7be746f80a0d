"""Words and small deeds that several commands have in common."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection
from functools import wraps
from itertools import takewhile
from typing import Any

from hgzoo.config import SAVE_EVERY
from hgzoo.errors import ConfigError, UnknownNameError

Run = Callable[[argparse.Namespace], int]


class Parser(argparse.ArgumentParser):
    """A parser that answers a mistyped command or option with the one that was meant."""

    _commands: Collection[str] = ()

    def add_parts(self, *, title: str, metavar: str) -> Any:  # Any: argparse does not name this
        """Let commands follow, one of which must be given; what comes back is for `command`."""
        parts = self.add_subparsers(title=title, required=True, metavar=metavar)
        self._commands = parts.choices
        return parts

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # argparse's own
        """Refuse a mistyped word before argparse does, which tells neither where nor the fix."""
        words = sys.argv[1:] if args is None else list(args)
        for word in takewhile(lambda word: word != "--", words):
            option = word.partition("=")[0]
            if option.startswith("--") and " " not in option:
                self._refuse_unknown("option", option, self._option_string_actions)
            elif self._commands and not word.startswith("-"):
                self._refuse_unknown("command", word, self._commands)
                break
        return super().parse_known_args(words, namespace)

    def _refuse_unknown(self, kind: str, word: str, known: Collection[str]) -> None:
        if word not in known:
            names = [name for name in known if len(name) > 2]
            longer = [name for name in names if name.startswith(word)]
            self.error(str(UnknownNameError(kind, word, longer or names)))


def command(
    commands: Any,  # Any: argparse does not name this type
    name: str,
    run: Run,
    text: str,
    *,
    examples: str,
) -> Parser:
    """Add a command whose help ends in examples.

    Args:
        commands: What `Parser.add_parts` gave.
        name: The word.
        run: Runs it; returns the exit code.
        text: What it does, without a full stop.
        examples: Lines that a user could type.
    """
    lines = "\n".join(f"  {line}" for line in examples.splitlines())
    parser: Parser = commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=f"examples:\n{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    return parser


def together(run: Run) -> Run:
    """Let a command share its work with the other processes of a launcher."""

    @wraps(run)
    def shared(options: argparse.Namespace) -> int:
        from hgzoo import processes

        with processes.together():
            return run(options)

    return shared


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add what concerns reading keypoints from a network."""
    add = parser.add_argument
    add("--no-flip", action="store_true", help="do not average with the mirrored picture")
    add("--decoder", default="", help="how keypoints are read from heatmaps (as the weights say)")
    add("--device", default="cpu", help="cpu, cuda, … (%(default)s)")


def add_machine(parser: argparse.ArgumentParser) -> None:
    """Add what concerns the machine that trains or judges."""
    add = parser.add_argument
    add(
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        default="float32",
        help="number format of the forward pass; auto takes the faster one (%(default)s)",
    )
    add("--workers", type=int, default=0, help="processes that read pictures (%(default)s)")


def add_run(parser: argparse.ArgumentParser, *, out: str, changes: str) -> None:
    """Add what every training run takes.

    Args:
        parser: The command's.
        out: The run folder where none is named.
        changes: Examples of a change.
    """
    add = parser.add_argument
    add("--out", metavar="DIR", help=f"the run folder ({out})")
    add("--resume", action="store_true", help="go on where the run folder stands")
    add(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=f"change a key of the training, such as {changes}",
    )
    add(
        "--save-every",
        type=int,
        default=SAVE_EVERY,
        metavar="N",
        help="write a checkpoint after so many batches, and after each epoch (%(default)s)",
    )


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Add the switch that silences progress bars."""
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def whole_numbers(text: str) -> list[int]:
    """Read "4,8"."""
    return [int(number) for number in text.split(",")]


def set_threads(number: int | None) -> None:
    """Let torch compute in so many threads; None leaves torch its own choice.

    Raises:
        ConfigError: There are less than one.
    """
    import torch

    if number is not None:
        if number < 1:
            raise ConfigError(f"--threads must be at least 1, got {number}")
        torch.set_num_threads(number)
