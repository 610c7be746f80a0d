"""The work of `hgzoo calibrate`: people looked at, lines fitted and judged, weights written."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hgzoo import calibration, checkpoints, directories, engine
from hgzoo.checkpoints import Checkpoint
from hgzoo.cli.train import machine, usable_people
from hgzoo.config import EvalConfig
from hgzoo.engine import Report
from hgzoo.model import StackedHourglass

THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
"""Smallest scores to draw whose precision and recall are told."""


@dataclass(frozen=True, kw_only=True)
class Keypoints:
    """Annotated keypoints of held-out people, N of them, and what a network makes of them.

    Attributes:
        peaks: Heights of their peaks, [N].
        right: Which are right, [N].
        first: Which belong to the first half of the images, [N].
    """

    peaks: NDArray[np.float64]
    right: NDArray[np.bool_]
    first: NDArray[np.bool_]


def judged(
    model: StackedHourglass, name: str, options: argparse.Namespace, *, flip: bool
) -> Keypoints:
    """Read a set's held-out people; tell which keypoints are right."""
    people, dataset = usable_people(name, "validation", options.data)
    config = EvalConfig(metric=dataset.metric, threshold=dataset.threshold, flip=flip)
    report = engine.evaluate(
        model,
        people,
        config,
        skeleton=dataset.skeleton,
        decoder=options.decoder,
        options=machine(options),
    )
    first = calibration.halves([str(person.path) for person in people])
    return _counted(report, first, threshold=dataset.threshold)


def _counted(report: Report, first: NDArray[np.bool_], *, threshold: float) -> Keypoints:
    counts = report.truth.visible
    right = report.truth.hits(report.predicted, threshold=threshold)
    return Keypoints(
        peaks=report.peaks[counts],
        right=right[counts],
        first=np.broadcast_to(first[:, None], counts.shape)[counts],
    )


def joined(parts: Sequence[Keypoints]) -> Keypoints:
    """Take keypoints of several sets together."""
    return Keypoints(
        peaks=np.concatenate([part.peaks for part in parts]),
        right=np.concatenate([part.right for part in parts]),
        first=np.concatenate([part.first for part in parts]),
    )


def figures(
    everybody: Keypoints, each: Mapping[str, Keypoints], plain: Keypoints
) -> dict[str, Any]:
    """Fit on each half of the images and judge on the other; return what is told of it.

    Args:
        everybody: Of all sets, with the flip test: fitted on, and judged.
        each: The same, by set.
        plain: Of all sets, without the flip test: only judged.
    """
    fitted = [
        calibration.fit(everybody.peaks[half], everybody.right[half])
        for half in (~everybody.first, everybody.first)
    ]

    def scores(part: Keypoints) -> NDArray[np.float64]:
        by_second, by_first = (calibration.calibrated(part.peaks, one) for one in fitted)
        return np.where(part.first, by_second, by_first)

    def both(part: Keypoints) -> dict[str, Any]:
        return {
            "keypoints": len(part.peaks),
            "right": float(100.0 * part.right.mean()),
            "before": asdict(calibration.reliability(part.peaks, part.right)),
            "after": asdict(calibration.reliability(scores(part), part.right)),
        }

    judged = scores(everybody)
    return {
        **both(everybody),
        "by_dataset": {name: both(part) for name, part in each.items()},
        "no_flip": both(plain),
        "drawn": [_drawn(judged, everybody.right, least) for least in THRESHOLDS],
    }


def _drawn(scores: NDArray[np.float64], right: NDArray[np.bool_], least: float) -> dict[str, float]:
    """Tell what is drawn from a score on: precision and recall, percent."""
    drawn = scores >= least
    return {
        "threshold": least,
        "drawn": float(100.0 * drawn.mean()),
        "precision": float(100.0 * right[drawn].mean()) if drawn.any() else 100.0,
        "recall": float(100.0 * right[drawn].sum() / max(1, right.sum())),
    }


def write(checkpoint: Checkpoint, path: Path) -> None:
    """Write a network as one .safetensors, or as a folder with config.json, card and picture."""
    if path.suffix == ".safetensors":
        checkpoints.write(checkpoint, path)
        return
    model = StackedHourglass.from_checkpoint(checkpoint, where=str(path))
    directories.write(checkpoint, path, picture=directories.picture_of(model))
