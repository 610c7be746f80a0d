"""Words and small deeds that several commands have in common."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection
from functools import wraps
from itertools import takewhile
from typing import Any

from hgzoo.config import SAVE_EVERY
from hgzoo.errors import UnknownNameError

Run = Callable[[argparse.Namespace], int]

ALL_DATASETS = "{datasets}"
"""Stands in an option's help for the names of all datasets."""

HELD_OUT_DATASETS = "{held-out datasets}"
"""For those that have a validation part."""


class Parser(argparse.ArgumentParser):
    """A parser that answers a mistyped command or option with the one that was meant."""

    _commands: Collection[str] = ()

    def add_parts(self, *, title: str, metavar: str) -> Any:  # Any: argparse does not name this
        """Let commands follow, one of which must be given; what comes back is for `command`."""
        parts = self.add_subparsers(title=title, required=True, metavar=metavar)
        self._commands = parts.choices
        return parts

    def format_help(self) -> str:
        """Return the help, with the names of the datasets, which to look up takes torch."""
        for action in self._actions:
            for token, held_out in ((ALL_DATASETS, False), (HELD_OUT_DATASETS, True)):
                if action.help and token in action.help:
                    action.help = action.help.replace(token, _datasets(held_out=held_out))
        return super().format_help()

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


def _datasets(*, held_out: bool) -> str:
    from hgzoo.data import DATASETS

    return ", ".join(name for name, one in DATASETS.items() if one.validation or not held_out)


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
    add("--workers", type=at_least(0), default=0, help="processes that read pictures (%(default)s)")


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
        type=at_least(1),
        default=SAVE_EVERY,
        metavar="N",
        help="write a checkpoint after so many batches, and after each epoch (%(default)s)",
    )


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Add the switch that silences progress bars."""
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def at_least(least: int) -> Callable[[str], int]:
    """Return what reads a whole number from an option, and refuses smaller ones."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError as error:
            expected = f"expects a whole number such as {max(least, 1)}; got {text!r}"
            raise argparse.ArgumentTypeError(expected) from error
        if number < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, got {number}")
        return number

    return read


def whole_numbers(least: int) -> Callable[[str], list[int]]:
    """Return what reads "4,8" from an option, and refuses numbers that are smaller."""

    def read(text: str) -> list[int]:
        try:
            numbers = [int(number) for number in text.split(",")]
        except ValueError as error:
            expected = f"expects whole numbers such as 1,8; got {text!r}"
            raise argparse.ArgumentTypeError(expected) from error
        if min(numbers) < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, got {min(numbers)}")
        return numbers

    return read


def number(text: str) -> float:
    """Read "0.5"."""
    try:
        return float(text)
    except ValueError as error:
        expected = f"expects a number such as 0.5; got {text!r}"
        raise argparse.ArgumentTypeError(expected) from error


def numbers(text: str) -> list[float]:
    """Read "0.03" or "0.026,0.025"."""
    try:
        return [float(one) for one in text.split(",")]
    except ValueError as error:
        expected = f"expects numbers such as 0.03 or 0.026,0.025; got {text!r}"
        raise argparse.ArgumentTypeError(expected) from error


def set_threads(number: int | None) -> None:
    """Let torch compute in so many threads; None leaves torch its own choice."""
    import torch

    if number is not None:
        torch.set_num_threads(number)
