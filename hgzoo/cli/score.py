"""hgzoo score: figures of predictions that anybody made."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hgzoo.cli.shared import command, numbers
from hgzoo.errors import ConfigError, UnknownNameError
from hgzoo.files import write_text

if TYPE_CHECKING:
    from hgzoo.oks import Precision
    from hgzoo.scoring import Score

EXAMPLES = """\
hgzoo score mpii --annotations valid.h5 --predictions preds.h5
hgzoo score mpii --annotations valid.h5 --predictions preds.mat --json scores.json --plot pckh.png
hgzoo score flic --annotations valid.h5 --predictions preds.npz
hgzoo score coco --annotations person_keypoints_val2017.json --predictions results.json
hgzoo score coco --annotations cats.json --predictions results.json --sigmas 0.03"""


def add_commands(commands: Any) -> None:
    """Add `score`."""
    text = "score predictions that anybody made, with every mean in use"
    add = command(commands, "score", _score, text, examples=EXAMPLES).add_argument
    add("dataset", help="mpii, flic or coco (anybody's keypoints in COCO's format)")
    add(
        "--annotations",
        required=True,
        metavar="FILE",
        help="as published: h5, MPII's mat, or COCO's JSON",
    )
    add(
        "--predictions",
        required=True,
        metavar="FILE",
        help="h5, mat, npz, npy or JSON; for coco its results format",
    )
    add(
        "--sigmas",
        type=numbers,
        default=[],
        metavar="NUMBERS",
        help="for coco: one for all keypoints or one for each, with commas (COCO's own for its 17 "
        "keypoints, 0.05 for others)",
    )
    add("--category", default="", help="for coco: which one, where several have keypoints")
    add("--json", metavar="FILE", help="write every figure there")
    add(
        "--plot",
        metavar="FILE",
        help="draw curves there: hits over the threshold, or precision over recall (coco)",
    )


def _score(options: argparse.Namespace) -> int:
    from hgzoo import scoring

    scorers = {**dict.fromkeys(scoring.BENCHMARKS, _by_distance), "coco": _by_oks}
    if options.dataset not in scorers:
        raise UnknownNameError("dataset", options.dataset, scorers)
    return scorers[options.dataset](options)


def _by_oks(options: argparse.Namespace) -> int:
    from hgzoo import oks
    from hgzoo.data.coco import read_annotations

    truth = read_annotations(Path(options.annotations), category=options.category)
    results = oks.read_results(Path(options.predictions), truth)
    found = oks.precision(truth, results, boxes=oks.ANY_BOXES, sigmas=options.sigmas)
    print(precision_table(found))
    if options.json:
        write_text(Path(options.json), json.dumps(asdict(found), indent=2))
    if options.plot:
        _plot(found.curve, Path(options.plot), along="recall", label="recall; upwards: precision")
    return 0


def precision_table(found: Precision) -> str:
    """Return OKS average precision as text for a terminal, two decimals each."""
    return "\n".join(
        [
            f"OKS average precision of {found.predictions} predictions for {found.people} people,",
            f"{found.boxes}; {found.sigmas}",
            "",
            *(f"  {name:<24} {value:6.2f}" for name, value in found.figures.items()),
        ]
    )


def _by_distance(options: argparse.Namespace) -> int:
    from hgzoo import scoring

    if options.sigmas or options.category:
        raise ConfigError(f"--sigmas and --category are for coco; {options.dataset} has neither")
    benchmark = scoring.BENCHMARKS[options.dataset]
    truth = benchmark.read(Path(options.annotations))
    people, num_keypoints = truth.visible.shape
    predicted = scoring.read_predictions(
        Path(options.predictions), people=people, num_keypoints=num_keypoints
    )
    score = scoring.score(truth, predicted, metric=benchmark.metric, threshold=benchmark.threshold)
    print(score_table(score))
    if options.json:
        write_text(Path(options.json), json.dumps(asdict(score), indent=2))
    if options.plot:
        plot_score(score, Path(options.plot))
    return 0


def plot_score(score: Score, path: Path) -> None:
    """Draw the curve of each row over the threshold, and the row's figure beside its name."""
    rows = {
        f"{row} {score.groups[row]:.2f}" if row in score.groups else row: values
        for row, values in score.curve.items()
    }
    _plot(rows, path, along="thresholds", label=f"distance, as {score.metric} measures it")


def score_table(score: Score) -> str:
    """Return every figure as text for a terminal, two decimals each."""
    lines = [f"{score.metric} of {score.people} people", ""]
    for title, figures in (
        ("keypoint", score.keypoints),
        ("row", score.groups),
        ("mean", score.means),
        ("stricter mean", score.strict),
        ("area under the curve", score.area),
        ("by visibility, pooled", score.visibility),
    ):
        if figures:
            lines += [title, *(f"  {name:<24} {value:6.2f}" for name, value in figures.items()), ""]
    return "\n".join(lines).rstrip()


def _plot(curve: Mapping[str, Sequence[float]], path: Path, *, along: str, label: str) -> None:
    """Draw curves over the one of them that is the horizontal axis."""
    from hgzoo.pictures import save
    from hgzoo.visualize import draw_curves

    curves = {name: values for name, values in curve.items() if name != along}
    drawn = draw_curves(curve[along], curves, x_label=label)
    save(path, drawn)
