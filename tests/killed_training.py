"""Trains in a process that is killed again and again; the tests run it.

The training forks from a process that has imported everything, so that it begins at once.
"""

import os
import random
import signal
import sys
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from hgzoo import engine
from hgzoo.config import Options
from hgzoo.data import DATASETS
from tests.test_engine import RECIPE, held_out, network

LATE = ("accelerate", "timm.optim", "timm.scheduler", "torch.utils.tensorboard", "scipy.io.matlab")
"""What a training imports when it begins: too late for the fork."""


def train(root: Path, out: Path) -> None:
    """Train for two epochs, or go on where the folder stands."""
    people = DATASETS["lsp"].train(root)
    engine.fit(
        replace(RECIPE, train=replace(RECIPE.train, epochs=2)),
        network(RECIPE),
        train=[(people, 1)],
        validation=held_out(people[:5]),
        out=out,
        resume=(out / "last.pt").exists(),
        options=Options(progress=False, save_every=2),
    )


def killed(root: Path, out: Path, *, after: float) -> bool:
    """Train in a process of its own, killed after so many seconds; tell whether it was."""
    child = os.fork()
    if child == 0:
        train(root, out)
        os._exit(0)
    end = time.monotonic() + after
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert status == 0, "the training failed"
            return False
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def main(root: Path, folder: Path, *, kills: int) -> None:
    """Train undisturbed into "whole"; into "parts" with kills at random moments; count them."""
    for name in LATE:
        import_module(name)
    begun = time.monotonic()
    assert not killed(root, folder / "whole", after=600.0)
    whole = time.monotonic() - begun
    draw, done = random.Random(0), 0
    while done < kills:
        done += killed(root, folder / "parts", after=draw.uniform(0.05, 0.4) * whole)
    assert not killed(root, folder / "parts", after=600.0)
    sys.stdout.write(f"{done}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), kills=int(sys.argv[3]))
