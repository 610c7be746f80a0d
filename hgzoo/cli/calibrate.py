"""hgzoo calibrate: what scores are worth, measured on held-out people."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hgzoo.cli.shared import add_machine, add_quiet, command
from hgzoo.files import write_text

if TYPE_CHECKING:
    from hgzoo.config import Calibration

EXAMPLES = """\
hgzoo calibrate hg2_tiny --data datasets
hgzoo calibrate runs/mine --data datasets --dataset people_by_hand --dataset lsp --out mine
hgzoo calibrate runs/mine/release.safetensors --data datasets --out calibrated.safetensors"""


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
    from hgzoo.cli import calibrating
    from hgzoo.factory import find_weights
    from hgzoo.inference import move
    from hgzoo.model import StackedHourglass

    checkpoint = find_weights(options.model)
    checkpoint = replace(checkpoint, output=checkpoint.output.uncalibrated())
    model = StackedHourglass.from_checkpoint(checkpoint, where=options.model)
    model = move(model, options.device)
    names = options.dataset or ["lsp"]
    each = {name: calibrating.judged(model, name, options, flip=True) for name in names}
    plain = calibrating.joined(
        [calibrating.judged(model, name, options, flip=False) for name in names]
    )
    everybody = calibrating.joined(list(each.values()))
    found = calibration.fit(everybody.peaks, everybody.right)
    table = calibrating.figures(everybody, each, plain)
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
        calibrating.write(replace(checkpoint, output=output), Path(options.out))
    return 0


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
