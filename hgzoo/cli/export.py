"""hgzoo export: networks as files that run without hgzoo."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hgzoo.cli.predict import pictures_in
from hgzoo.cli.shared import add_quiet, at_least, command
from hgzoo.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hgzoo.config import InputSpec
    from hgzoo.export import Exported

EXAMPLES = """\
hgzoo export hg2_tiny hg2_tiny.onnx
hgzoo export runs/mine mine.onnx --flip --decoder taylor
hgzoo export hg8 hg8.onnx --precision float16 --num-stacks 4
hgzoo export hg2_tiny small.onnx --precision int8 --calibrate pictures/
hgzoo export hg2_tiny hg2_tiny.pt2 --raw"""

MOST = 500
"""Pictures that are used for calibration at most, evenly spread over those given."""


def add_commands(commands: Any) -> None:
    """Add `export`."""
    text = "write a network as ONNX or .pt2, pixels in and keypoints out"
    parser = command(commands, "export", _export, text, examples=EXAMPLES)
    add = parser.add_argument
    add("model", help="a name of the zoo, a weights file or a run folder")
    add("out", help="the file; its ending, .onnx or .pt2, says which kind")
    add("--flip", action="store_true", help="average with the mirrored crop: twice the time")
    add("--decoder", default="", help="how keypoints are read from heatmaps (as the weights say)")
    add(
        "--raw",
        action="store_true",
        help="the bare network: normalized pictures in, the last heatmaps out",
    )
    add(
        "--precision",
        choices=("float32", "float16", "int8"),
        default="float32",
        help="of the weights (float16), or of the work too (int8); ONNX only (%(default)s)",
    )
    add(
        "--calibrate",
        nargs="+",
        default=[],
        metavar="PICTURE",
        help="for int8: pictures, folders or wildcards, each picture showing a person",
    )
    add("--num-stacks", type=at_least(1), metavar="N", help="write only the first stacks (all)")
    add_quiet(parser)


def _export(options: argparse.Namespace) -> int:
    from hgzoo.export import export
    from hgzoo.factory import load_model

    if bool(options.calibrate) != (options.precision == "int8"):
        raise ConfigError("--precision int8 and --calibrate PICTURE go together")
    model = load_model(options.model)
    report = export(
        model,
        options.out,
        flip=options.flip,
        decoder=options.decoder,
        raw=options.raw,
        precision=options.precision,
        num_stacks=options.num_stacks,
        calibration=_crops(options.calibrate, model.input, show=not options.quiet),
    )
    print(report.path)
    print(_told(report), file=sys.stderr)
    return 0


def _crops(words: Sequence[str], spec: InputSpec, *, show: bool) -> list[NDArray[np.uint8]]:
    """Read pictures whole, as the network is shown them."""
    from hgzoo.geometry import Crop
    from hgzoo.pictures import load
    from hgzoo.progress import bar

    paths = list(pictures_in(words)) if words else []
    chosen = paths[:: max(1, -(-len(paths) // MOST))]
    crops = []
    for path in bar(chosen, "reading", show=show and bool(chosen), unit=" pictures"):
        pixels = load(Path(path))
        box = (0.0, 0.0, float(pixels.shape[1]), float(pixels.shape[0]))
        crops.append(Crop.from_box(box, size=spec.size).warp(pixels))
    return crops


def _told(report: Exported) -> str:
    text = (
        f"{report.size:,} bytes; on four crops of hgzoo's picture, its heatmaps differ from the "
        f"network's by at most {report.heatmaps:.2g} of the highest"
    )
    moved = report.keypoints
    return text if moved != moved else f"{text}, and sure keypoints by {moved:.2g} crop pixels"
