"""The commands of the quickstart, one after the other, as a newcomer types them."""

import re
import shlex
from pathlib import Path

import pytest

from hgzoo import engine
from hgzoo.cli import main
from tests.people import write_example_folder
from tests.training import short

ROOT = Path(__file__).parent.parent
INSTALLS = ("python3 -m venv", "pip install")


def commands() -> list[str]:
    text = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line for line in lines if not line.startswith(INSTALLS)]


def test_every_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the training is shorter."""
    monkeypatch.setattr(engine, "fit", short(engine.fit))
    write_example_folder(tmp_path)
    monkeypatch.chdir(tmp_path)
    for line in commands():
        program, *words = shlex.split(line)
        assert program == "hgzoo", line
        assert main(words) == 0, line
    for made in ("photo.jsonl", "out.mp4", "predictions/photo.jpg.pose.png", "mine.onnx"):
        assert (tmp_path / made).stat().st_size, made


def test_the_quickstart_shows_every_kind_of_command() -> None:
    assert {line.split()[1] for line in commands()} == {"predict", "finetune", "export"}
