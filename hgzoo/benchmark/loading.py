"""How fast training pictures are read, and whether training waits for them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hgzoo.benchmark.steps import seconds_when_done
from hgzoo.data import Batch, EpochBatches, Sample, loader, sample_from_keypoints
from hgzoo.run import Run

PICTURES = 64
"""Made-up photographs, and so the largest batch."""

WIDTH, HEIGHT = 600, 450
QUALITY = 90
LEAST_SHOWINGS = 4


@dataclass(frozen=True, kw_only=True)
class Loading:
    """How fast crops come, with a number of workers.

    Attributes:
        workers: Processes that read; 0 reads in the training process.
        rate: Pictures a second while nothing else runs.
        waiting: Part of the time that training spends waiting for pictures, 0..1.
    """

    workers: int
    rate: float
    waiting: float


def write_people(folder: Path, *, keypoints: int) -> list[Sample]:
    """Write 64 made-up photographs of 600x450 pixels, each of one person.

    Args:
        folder: Where the JPEG files go.
        keypoints: K, keypoints a person.
    """
    random = np.random.default_rng(0)
    people = []
    for number in range(PICTURES):
        path = folder / f"{number:02d}.jpg"
        Image.fromarray(_photograph(random)).save(path, quality=QUALITY)
        xy = random.uniform((150, 50), (450, 400), (keypoints, 2))
        people.append(sample_from_keypoints(path, xy, np.ones(keypoints, np.bool_)))
    return people


def _photograph(random: np.random.Generator) -> NDArray[np.uint8]:
    """Add smooth noise of every size, coarser being stronger, as in photographs."""
    picture = np.full((HEIGHT, WIDTH, 3), 128.0)
    for cells in (3, 6, 12, 24, 48, 96, 192):
        noise = random.normal(0.0, 150.0 / cells**0.7, (cells, cells, 3))
        picture += cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return picture.clip(0, 255).astype(np.uint8)


def loading_speeds(run: Run, workers: list[int], *, steps: int) -> Iterator[Loading]:
    """Read a run's training pictures, alone and while it trains.

    Args:
        run: Whose pictures and batches they are.
        workers: Numbers of worker processes to try, each 0 or more.
        steps: Training steps to watch, 1 or more.

    Yields:
        A row for each number of workers.
    """
    crops, batch = run.crops, run.config.batch_size
    showings = max(LEAST_SHOWINGS, math.ceil((steps + 1) * batch / len(crops)))
    for number in workers:
        shown = EpochBatches([showings] * len(crops), batch_size=batch, seed=run.config.seed)
        batches = loader(crops, shown, workers=number)
        next(iter(batches))  # the workers begin
        begin = time.perf_counter()
        read = sum(len(one.images) for one in _batches(batches))
        rate = read / (time.perf_counter() - begin)
        yield Loading(workers=number, rate=rate, waiting=_waiting(run, _batches(batches), steps))


def _batches(batches: Any) -> Iterator[Batch]:  # Any: torch types a loader by its items
    return iter(batches)


def _waiting(run: Run, batches: Iterator[Batch], steps: int) -> float:
    """Return the part of the time that a run spends waiting for its next batch."""
    device = run.accelerator.device
    run.step(next(batches).to(device))
    waited, begin = 0.0, seconds_when_done(device)
    for _ in range(steps):
        asked = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - asked
        run.step(batch.to(device))
    return waited / (seconds_when_done(device) - begin)
