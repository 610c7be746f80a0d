"""hgzoo score: figures of predictions that anybody made."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hgzoo.cli.shared import command
from hgzoo.errors import UnknownNameError
from hgzoo.files import atomic, write_text

if TYPE_CHECKING:
    from hgzoo.scoring import Score

EXAMPLES = """\
hgzoo score mpii --annotations valid.h5 --predictions preds.h5
hgzoo score mpii --annotations valid.h5 --predictions preds.mat --json scores.json --plot pckh.png
hgzoo score flic --annotations valid.h5 --predictions preds.npz"""


def add_commands(commands: Any) -> None:
    """Add `score`."""
    text = "score predictions that anybody made, with every mean in use"
    add = command(commands, "score", _score, text, examples=EXAMPLES).add_argument
    add("dataset", help="mpii or flic")
    add("--annotations", required=True, metavar="FILE", help="as published: h5, or MPII's mat")
    add("--predictions", required=True, metavar="FILE", help="h5, mat, npz, npy or JSON")
    add("--json", metavar="FILE", help="write every figure there")
    add("--plot", metavar="FILE", help="draw the curve of each row over the threshold there")


def _score(options: argparse.Namespace) -> int:
    from hgzoo import scoring

    if options.dataset not in scoring.BENCHMARKS:
        raise UnknownNameError("dataset", options.dataset, scoring.BENCHMARKS)
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
        _plot(score, Path(options.plot))
    return 0


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


def _plot(score: Score, path: Path) -> None:
    from PIL import Image

    from hgzoo.visualize import draw_curves

    curves = {name: values for name, values in score.curve.items() if name != "thresholds"}
    drawn = draw_curves(
        score.curve["thresholds"], curves, x_label=f"distance, as {score.metric} measures it"
    )
    with atomic(path) as temporary:
        Image.fromarray(drawn).save(temporary, format="PNG")
