"""hgzoo benchmark: figures that the documentation quotes."""

from __future__ import annotations

import argparse
from typing import Any

from hgzoo.cli.shared import command

DECODERS_HEAD = """\
| heatmaps | decoder | bias x | bias y | mean error | largest error | score |
| --- | --- | ---: | ---: | ---: | ---: | ---: |"""


def add_commands(commands: Any) -> None:
    """Add `benchmark`."""
    text = "measure what the documentation claims"
    parser = command(commands, "benchmark", _benchmark, text, examples="hgzoo benchmark decoders")
    parser.add_argument("what", choices=("decoders",), help="decoders: their error on drawn peaks")


def _benchmark(options: argparse.Namespace) -> int:
    print(decoders_table())
    return 0


def decoders_table() -> str:
    """Return the error of each decoder in crop pixels, as a Markdown table."""
    from hgzoo.benchmark import decoder_errors

    rows = [
        f"| {row.heatmaps} | {row.decoder} | {_signed(row.bias_x)} | {_signed(row.bias_y)} "
        f"| {row.mean:.2f} | {row.largest:.2f} | {row.score:.2f} |"
        for row in decoder_errors()
    ]
    return "\n".join([DECODERS_HEAD, *rows])


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"
