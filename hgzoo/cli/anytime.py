"""hgzoo benchmark anytime: what leaving early saves and costs."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hgzoo.cli.shared import add_quiet, command, number
from hgzoo.errors import ConfigError
from hgzoo.files import write_text

if TYPE_CHECKING:
    from hgzoo.anytime import Exit

EXAMPLES = """\
hgzoo benchmark anytime --data datasets
hgzoo benchmark anytime runs/hg8 --data datasets --dataset mpii --loss 0.2 --plot anytime.png"""

HEAD = """\
| pictures | threshold | stacks | correct |
| --- | ---: | ---: | ---: |"""

SHOWN = 11
"""Thresholds in the table, evenly spread over what is saved."""


def add_commands(parts: Any) -> None:
    """Add `anytime` to what can be measured."""
    text = "leaving after the first sure stack: what it saves, what it costs"
    parser = command(parts, "anytime", _anytime, text, examples=EXAMPLES)
    add = parser.add_argument
    add("model", nargs="?", default="hg2_tiny", help="a network with weights (%(default)s)")
    add("--data", required=True, metavar="DIR", help="the folder that holds the datasets")
    add("--dataset", default="lsp", help="whose held-out people are judged (%(default)s)")
    add("--loss", type=number, default=0.5, help="points that may be lost (%(default)s)")
    add("--plot", metavar="FILE", help="draw the trade-off there")
    add("--json", metavar="FILE", help="write the figures there")
    add_quiet(parser)


def _anytime(options: argparse.Namespace) -> int:
    from hgzoo.anytime import calibrate, exits
    from hgzoo.benchmark.leaving import stacks_judged
    from hgzoo.data import find, matched
    from hgzoo.factory import load_model

    dataset, read = find(options.dataset, "validation")
    model = load_model(options.model)
    if model.config.num_stacks < 2:
        raise ConfigError(f"{options.model} has one stack: there is nowhere to leave early")
    own = model.output.skeleton_for(model.config.num_keypoints)
    everybody = matched(read(Path(options.data)), dataset.skeleton, own, where=str(options.dataset))
    people = [one for one in everybody if one.visible.any() and one.reference > 0]
    sure, right = stacks_judged(
        model, people, threshold=dataset.threshold, progress=not options.quiet
    )
    first, others = slice(0, None, 2), slice(1, None, 2)
    chosen = calibrate(exits(sure[:, first], right[:, first]), loss=options.loss)
    found = exits(sure[:, others], right[:, others])
    reached = [one for one in found if one.threshold >= chosen.threshold]
    kept = min(reached, key=lambda one: one.stacks)
    print(table(found, chosen, kept))
    if options.plot:
        _plot(found, Path(options.plot))
    if options.json:
        record = {
            "calibrated": _plain(chosen),
            "judged": _plain(kept),
            "exits": [_plain(one) for one in found],
        }
        write_text(Path(options.json), json.dumps(record, indent=2))
    return 0


def table(found: Sequence[Exit], chosen: Exit, kept: Exit) -> str:
    """Return the trade-off as a Markdown table.

    Args:
        found: What thresholds give on every second person.
        chosen: The threshold chosen on the others, and what it gives there.
        kept: What that threshold gives on the former.
    """
    step = max(1, (len(found) - 1) // (SHOWN - 1))
    rows = [("judged", one) for one in [*found[:-1:step], found[-1]]]
    rows += [("calibrated on", chosen), ("judged, as calibrated", kept)]
    return "\n".join(
        [
            HEAD,
            *(
                f"| {text} | {one.threshold:.3f} | {one.stacks:.2f} | {one.correct:.2f} |"
                for text, one in rows
            ),
        ]
    )


def _plain(one: Exit) -> dict[str, float | None]:
    """Return an exit as JSON, which knows no infinity."""
    return {**asdict(one), "threshold": one.threshold if math.isfinite(one.threshold) else None}


def _plot(found: Sequence[Exit], path: Path) -> None:
    from hgzoo.pictures import save
    from hgzoo.visualize import draw_curves

    found = found[::-1]
    picture = draw_curves(
        [one.stacks for one in found],
        {"correct, %": [one.correct for one in found]},
        x_label="stacks a picture passes, in the mean",
    )
    save(path, picture)
