"""The tables of the zoo and of the decoders, and the page of the zoo."""

from __future__ import annotations

import json
from functools import cache
from pathlib import PurePosixPath
from types import SimpleNamespace

import hgzoo
from docs.make.pages import ROOT, Make
from hgzoo.benchmark import times_faster
from hgzoo.cli.benchmark import decoders_table
from hgzoo.cli.zoo import zoo_table
from hgzoo.config import Recipe, Weights
from hgzoo.factory import num_parameters

WHOLE: dict[str, Make] = {}

SPEED = PurePosixPath("docs/results/relative_speed.json")
"""Written by `hgzoo benchmark zoo --json`."""

SIZES_HEAD = """\
| variant | stacks | features | residuals | input | keypoints | parameters | 10⁹ products | time |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"""

WEIGHTS_HEAD = """\
| weights | keypoints | from | licence | measured here | reported by others |
| --- | --- | --- | --- | --- | --- |"""


def table() -> str:
    """Return the table that `hgzoo list --markdown` prints."""
    return zoo_table(hgzoo.list_models(), markdown=True)


@cache
def _speed() -> tuple[dict[str, SimpleNamespace], str, str]:
    """Return what was measured of each variant, what they are compared with, and where."""
    content = json.loads((ROOT / SPEED).read_text(encoding="utf-8"))
    rows = {row["name"]: SimpleNamespace(**row) for row in content["variants"]}
    if sorted(rows) != hgzoo.list_models():
        raise ValueError(f"{SPEED} has other variants than the zoo; hgzoo benchmark zoo --json it")
    conditions = f"threads {content['threads']}, torch {content['torch']}, {content['processor']}"
    return rows, content["base"], conditions


def sizes() -> str:
    """Return what each variant comes to, as a Markdown table."""
    rows, base, _ = _speed()
    lines = [SIZES_HEAD]
    for name in hgzoo.list_models():
        recipe, row = hgzoo.model_info(name), rows[name]
        ratio = times_faster(rows[base], row)
        height, width = recipe.input.size
        cells = (
            name,
            recipe.model.num_stacks,
            recipe.model.num_feats,
            recipe.model.num_blocks,
            f"{height}x{width}",
            recipe.model.num_keypoints,
            f"{num_parameters(recipe):,}",
            f"{row.macs / 1e9:.2f}",
            f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.3f}",
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def conditions() -> str:
    """Return what the seconds were measured on."""
    rows, _, text = _speed()
    rounds = {len(row.seconds) for row in rows.values()}
    return f"Measured in {max(rounds)} rounds; {text}."


def weights() -> str:
    """Return what weights there are, as a Markdown table."""
    lines = [WEIGHTS_HEAD]
    for name in hgzoo.list_models():
        recipe = hgzoo.model_info(name)
        lines += [_weights(recipe, tag, one) for tag, one in recipe.weights.items()]
    return "\n".join(lines)


def _weights(recipe: Recipe, tag: str, one: Weights) -> str:
    name = f"{recipe.name}.{tag}"
    measured = [f"{figure.value:.2f} {figure.metric}" for figure in one.measured]
    reported = [f"{figure.value:g} {figure.metric} ({figure.source})" for figure in one.reported]
    cells = (
        f"[{name}](models/{name}.md)",
        f"{recipe.model.num_keypoints}, {recipe.output.skeleton.name}",
        "the package" if one.file else "their authors",
        one.spdx,
        "; ".join(measured) or "nothing",
        "; ".join(reported) or "nothing",
    )
    return f"| {' | '.join(cells)} |"


def summaries() -> str:
    """Return what each variant is, and which have no weights, as a list."""
    lines = []
    for name in hgzoo.list_models():
        recipe = hgzoo.model_info(name)
        tags = ", ".join(f"`{name}.{tag}`" for tag in recipe.weights)
        lines.append(f"- **{name}**: {recipe.summary} {tags or 'No weights exist'}.")
    return "\n".join(lines)


PARTS: dict[tuple[str, str], Make] = {
    ("README.md", "zoo"): table,
    ("docs/index.md", "zoo"): table,
    ("docs/decoding.md", "decoders"): decoders_table,
    ("docs/zoo.md", "summaries"): summaries,
    ("docs/zoo.md", "sizes"): sizes,
    ("docs/zoo.md", "conditions"): conditions,
    ("docs/zoo.md", "weights"): weights,
}
