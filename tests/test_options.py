"""What the command line says to a mistyped command, option or value; nothing runs."""

import argparse
from collections.abc import Iterator
from contextlib import suppress

import pytest

from hgzoo.cli import parser


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
