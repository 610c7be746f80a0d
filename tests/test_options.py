"""What the command line says to a mistyped command, option or value; nothing runs."""

import argparse
from collections.abc import Iterator
from contextlib import suppress

import pytest

from hgzoo.cli import parser
from hgzoo.data import DATASETS


def refused(words: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stop:
        parser().parse_args(words.split())
    assert stop.value.code == 2
    return capsys.readouterr().err


def leaves(parent: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parent
    for action in parent._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from leaves(child)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("predict a.png --thresh 0.3", "unknown option '--thresh'; did you mean --threshold?"),
        ("predict a.png --thresh=0.3", "unknown option '--thresh'; did you mean --threshold?"),
        ("predict a.png --smoooth", "unknown option '--smoooth'; did you mean --smooth?"),
        ("train hg2 --dat x", "unknown option '--dat'; did you mean --data?"),
        ("export hg2 a.onnx --num 2", "unknown option '--num'; did you mean --num-stacks?"),
        ("benchmark models hg2 --repeat 2", "did you mean --repeats?"),
        ("--verson", "unknown option '--verson'; did you mean --version?"),
    ],
)
def test_a_mistyped_option_says_which_was_meant(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(words, capsys)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("predit a.png", "hgzoo: error: unknown command 'predit'; did you mean predict?"),
        ("benchmark decoder", "unknown command 'decoder'; did you mean decoders?"),
    ],
)
def test_a_mistyped_command_says_which_was_meant(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(words, capsys)


def test_no_option_may_be_abbreviated() -> None:
    assert not [one.prog for one in leaves(parser()) if one.allow_abbrev]


def test_values_and_names_of_files_are_not_taken_for_options() -> None:
    options = parser().parse_args(["predict", "--boxes=-5,0,20,30", "--", "--odd.png"])
    assert options.boxes == ["-5,0,20,30"]
    assert options.pictures == ["--odd.png"]
    assert parser().parse_args(["info", "list"]).model == "list"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("benchmark train --batch 4,x", "--batch: expects whole numbers such as 1,8; got '4,x'"),
        ("benchmark train --batch 2,0", "--batch: must be at least 1, got 0"),
        ("benchmark train --workers 0,-1", "--workers: must be at least 0, got -1"),
        ("benchmark train --size big", "--size: expects a whole number such as 1; got 'big'"),
        ("benchmark models hg2 --threads 0", "--threads: must be at least 1, got 0"),
        ("benchmark search --data x --pictures 0", "--pictures: must be at least 1, got 0"),
        ("predict --frames 0", "--frames: must be at least 1, got 0"),
        ("predict --threshold low", "--threshold: expects a number such as 0.5; got 'low'"),
        (
            "score coco --annotations a --predictions b --sigmas x",
            "--sigmas: expects numbers such as 0.03 or 0.026,0.025; got 'x'",
        ),
        *(
            (f"benchmark {part} --repeats 0", "--repeats: must be at least 1, got 0")
            for part in ("train", "models hg2", "around", "startup", "zoo")
        ),
    ],
)
def test_a_value_that_cannot_be_read_says_what_is_expected(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(words, capsys)


@pytest.mark.parametrize("value", ["4,x", ""])
def test_no_error_shows_the_name_of_a_function(value: str) -> None:
    """Where the type of an option raises ValueError, argparse shows the type's name."""
    for one in leaves(parser()):
        for action in one._actions:
            if callable(action.type):
                with suppress(argparse.ArgumentTypeError):
                    action.type(value)


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("data", list(DATASETS)),
        ("evaluate", [name for name, one in DATASETS.items() if one.validation]),
    ],
)
def test_help_names_every_dataset(
    command: str, names: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args([command, "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert f" {', '.join(names)}, or a JSON in COCO's format" in shown
