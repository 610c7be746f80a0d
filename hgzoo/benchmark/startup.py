"""How long a cold process takes until it has keypoints, as ratios to one that imports torch."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from hgzoo.backends import installed
from hgzoo.errors import ConfigError, HgzooError
from hgzoo.export import export
from hgzoo.factory import load_model
from hgzoo.progress import bar

IMPORT = "import torch"
"""What the others are held against."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """What the processes of one command took.

    Attributes:
        command: What they did.
        seconds: From start to end, of each; those of one place ran in one round with the others.
    """

    command: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Of the seconds."""
        return median(self.seconds)


def start_commands(model: str, folder: Path) -> dict[str, list[str]]:
    """Return what is compared, each as the words of a process.

    Writes an ONNX file for the one that reads it; without onnxruntime there is none.

    Args:
        model: As for `hgzoo.factory.load_model`.
        folder: Where files go.

    Raises:
        UnknownNameError: There is no such model.
        WeightsError: It has no weights.
    """
    network = load_model(model)
    predict = [sys.executable, "-m", "hgzoo", "predict", "--demo", "--quiet"]
    out = ["--out", str(folder / "drawn")]
    commands = {
        IMPORT: [sys.executable, "-c", IMPORT],
        f"hgzoo predict --demo --model {model}": [*predict, "--model", model, *out],
    }
    if installed("onnxruntime"):
        file = folder / "network.onnx"
        export(network, file, flip=True)
        commands["the same from an ONNX file"] = [*predict, "--model", str(file), *out]
    return commands


def start_seconds(
    commands: Mapping[str, Sequence[str]], *, repeats: int, progress: bool = True
) -> list[Start]:
    """Start the processes in turns; a first round, which fills the disk's cache, does not count.

    Args:
        commands: The words of each process, by what they do.
        repeats: Rounds that count, 1 or more.
        progress: Show a progress bar.

    Returns:
        A row for each.

    Raises:
        ConfigError: `repeats` is below 1.
        HgzooError: A process failed.
    """
    if repeats < 1:
        raise ConfigError(f"repeats must be at least 1, got {repeats}")
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    turns = [(turn, name) for turn in range(repeats + 1) for name in commands]
    for turn, name in bar(turns, "starting", show=progress, unit="process"):
        taken = _seconds(commands[name])
        if turn:
            seconds[name].append(taken)
    return [Start(command=name, seconds=tuple(taken)) for name, taken in seconds.items()]


def _seconds(words: Sequence[str]) -> float:
    begin = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    taken = time.perf_counter() - begin
    if done.returncode:
        raise HgzooError(f"{' '.join(words)} failed: {done.stderr.strip()}")
    return taken
