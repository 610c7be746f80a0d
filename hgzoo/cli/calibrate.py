"""hgzoo calibrate: what scores are worth, measured on held-out people."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hgzoo.cli.shared import add_machine, add_quiet, command
from hgzoo.cli.train import machine, usable_people
from hgzoo.files import write_text

if TYPE_CHECKING:
    from hgzoo.checkpoints import Checkpoint
    from hgzoo.config import Calibration
    from hgzoo.engine import Report

EXAMPLES = """\
hgzoo calibrate hg2_tiny --data datasets
hgzoo calibrate runs/mine --data datasets --dataset people_by_hand --dataset lsp --out mine
hgzoo calibrate runs/mine/release.safetensors --data datasets --out calibrated.safetensors"""

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


def add_commands(commands: Any) -> None:
    """Add `calibrate`."""
    text = "measure on held-out people how likely keypoints of each score are right"
    parser = command(commands, "calibrate", _calibrate, text, examples=EXAMPLES)
    add = parser.add_argument
    add("model", help="a name of the zoo, a weights file or a run folder")
    add("--data", required=True, metavar="DIR", help="the folder that holds the datasets' folders")
    add(
        "--dataset",
        action="append",
        default=[],
        metavar="NAME",
        help="which set, or a JSON in COCO's format; repeat it to take several together (lsp)",
    )
    add(
        "--out",
        metavar="PATH",
        help="write the weights with what was measured: a .safetensors, or a folder",
    )
    add("--json", metavar="FILE", help="write the figures there")
    add("--decoder", default="", help="how keypoints are read from heatmaps (as the weights say)")
    add("--device", default="cpu", help="cpu, cuda, … (%(default)s)")
    add_machine(parser)
    add_quiet(parser)


def _calibrate(options: argparse.Namespace) -> int:
    from hgzoo import calibration
    from hgzoo.factory import find_weights
    from hgzoo.inference import move
    from hgzoo.model import StackedHourglass

    checkpoint = find_weights(options.model)
    checkpoint = replace(checkpoint, output=checkpoint.output.uncalibrated())
    model = StackedHourglass.from_checkpoint(checkpoint, where=options.model)
    model = move(model, options.device)
    names = options.dataset or ["lsp"]
    each = {name: _judged(model, name, options, flip=True) for name in names}
    plain = _joined([_judged(model, name, options, flip=False) for name in names])
    everybody = _joined(list(each.values()))
    found = calibration.fit(everybody.peaks, everybody.right)
    table = _figures(everybody, each, plain)
    _print(table)
    print(recipe_lines(found))
    if options.json:
        head = {
            "model": str(options.model),
            "datasets": names,
            "decoder": options.decoder or checkpoint.output.decoder,
            "calibration": asdict(found),
        }
        write_text(Path(options.json), json.dumps({**head, **table}, indent=2))
    if options.out:
        output = replace(checkpoint.output, calibration=found)
        _write(replace(checkpoint, output=output), Path(options.out))
    return 0


def _judged(model: Any, name: str, options: argparse.Namespace, *, flip: bool) -> Keypoints:
    """Read a set's held-out people; tell which keypoints are right."""
    from hgzoo import calibration, engine
    from hgzoo.config import EvalConfig

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


def _joined(parts: Sequence[Keypoints]) -> Keypoints:
    return Keypoints(
        peaks=np.concatenate([part.peaks for part in parts]),
        right=np.concatenate([part.right for part in parts]),
        first=np.concatenate([part.first for part in parts]),
    )


def _figures(
    everybody: Keypoints, each: Mapping[str, Keypoints], plain: Keypoints
) -> dict[str, Any]:
    """Fit on each half of the images and judge on the other; return what is told of it.

    Args:
        everybody: Of all sets, with the flip test: fitted on, and judged.
        each: The same, by set.
        plain: Of all sets, without the flip test: only judged.
    """
    from hgzoo import calibration

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


def _print(table: Mapping[str, Any]) -> None:
    print(f"{table['keypoints']} keypoints, {table['right']:.2f} % of them right\n")
    print("calibration error, percent: of heights of peaks, and of scores")
    rows = {"all": table, **table["by_dataset"], "all, without the flip test": table["no_flip"]}
    for name, row in rows.items():
        print(f"  {name:<28} {row['before']['error']:6.2f} {row['after']['error']:6.2f}")
    print("\nmean score, share right, keypoints")
    after = table["after"]
    for score, right, count in zip(after["scores"], after["right"], after["counts"], strict=True):
        print(f"  {score:.3f} {right:.3f} {count:6d}")
    print("\ndrawn from this score on: keypoints drawn, precision, recall, percent")
    for row in table["drawn"]:
        shares = (row["drawn"], row["precision"], row["recall"])
        print(f"  {row['threshold']:.1f} " + " ".join(f"{share:6.2f}" for share in shares))
    print()


def recipe_lines(found: Calibration) -> str:
    """Return what a recipe says of it, as TOML."""
    return f"[output.calibration]\npeaks = {list(found.peaks)}\nright = {list(found.right)}"


def _write(checkpoint: Checkpoint, path: Path) -> None:
    from hgzoo import checkpoints, directories
    from hgzoo.model import StackedHourglass

    if path.suffix == ".safetensors":
        checkpoints.write(checkpoint, path)
        return
    model = StackedHourglass.from_checkpoint(checkpoint, where=str(path))
    directories.write(checkpoint, path, picture=directories.picture_of(model))
