"""The tables and figures of docs/results.md, from the JSON files that commands wrote.

The page tells the commands; `docs/results/` holds what they wrote.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from docs.make.pages import ROOT, Make
from docs.make.svg import Axes, Drawing, key
from hgzoo.decoders import DECODERS

WHOLE: dict[str, Make] = {}

SHIPPED = ("hg2_tiny", "hg1_nano")
OWN = "taylor"
"""The decoder that the shipped weights come with."""


@cache
def read(name: str) -> dict[str, Any]:  # Any: JSON
    """Read a file of docs/results."""
    table: dict[str, Any] = json.loads((ROOT / f"docs/results/{name}.json").read_text("utf-8"))
    return table


def judged(model: str) -> dict[str, Any]:  # Any: JSON
    """Read how a network was judged with the decoder of its weights."""
    return read(f"{model}.{OWN}")


def rows(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Write a table whose first column is text and whose others are numbers."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *lines))


def _mean(figures: Mapping[str, float]) -> float:
    return sum(figures.values()) / len(figures)


def shipped() -> str:
    """Return the usual rows of the shipped weights, a column each."""
    columns = []
    for model in SHIPPED:
        found = judged(model)
        strict, area = found["strict"]["14 pooled, PCK@0.1"], found["area"]["14 pooled"]
        more = {"mean": _mean(found["groups"]), "pooled PCK@0.1": strict}
        columns.append({**found["groups"], **more, "area under the curve": area})
    lines = [[row, *(f"{column[row]:.2f}" for column in columns)] for row in columns[0]]
    return rows(["PCK@0.2", *SHIPPED], lines)


ROWS = ("head", "shoulder", "elbow", "wrist", "hip", "knee", "ankle", "mean", "limbs")


def everyday(labels: str) -> str:
    """Return how good the shipped weights are on everyday people, by source.

    Args:
        labels: "by_hand" or "movenet".
    """
    lines = []
    for model in SHIPPED:
        found = read(f"{model}.people_{labels}")
        everybody = {**found["groups"], "mean": _mean(found["groups"]), "limbs": found["limbs"]}
        total = {"all": {"people": found["people"], **everybody}}
        for source, row in {**found["sources"], **total}.items():
            numbers = [f"{row[name]:.1f}" for name in ROWS]
            lines.append([f"{model}, {source}", f"{row['people']:.0f}", *numbers])
    return rows(["PCK@0.2", "people", *ROWS], lines)


def curves(name: str, *, most: float, title: str, caption: str) -> str:
    """Draw the share of hits of each row over the threshold."""
    found = read(name)
    curve = dict(found["curve"])
    thresholds = curve.pop("thresholds")
    drawing = Drawing(width=680, height=372, title=title, least=520)
    axes = Axes(
        drawing=drawing, left=46, right=510, top=44, bottom=312, x=(0.0, most), y=(0.0, 100.0)
    )
    steps = [most * step / 5 for step in range(6)]
    axes.grid(
        steps,
        [0.0, 20.0, 40.0, 60.0, 80.0, 100.0],
        x_label=f"distance, as {found['metric']} measures it",
        y_label="keypoints within it, percent",
    )
    order = sorted(curve, key=lambda row: -curve[row][-1])
    for series, row in enumerate(order, 1):
        axes.curve(thresholds, curve[row], series=series)
    drawing.text((528, 52), f"at {most:g}", kind="note", anchor="start")
    key(drawing, (528, 78), [f"{row}: {curve[row][-1]:.2f}" for row in order])
    return drawing.figure(caption)


def lsp_curves() -> str:
    """Draw the curves of hg2_tiny."""
    return curves(
        f"hg2_tiny.{OWN}",
        most=0.2,
        title="PCK of hg2_tiny on LSP over the threshold, a curve a row",
        caption="hg2_tiny on the 200 people, a curve for each row of the table: the share of "
        "keypoints within a distance, as a fraction of the torso.",
    )


def mpii_curves() -> str:
    """Draw the curves of the published predictions for MPII."""
    return curves(
        "mpii_example.valid",
        most=0.5,
        title="PCKh of the published predictions on MPII over the threshold, a curve a row",
        caption="The published predictions on MPII's validation people: the share of keypoints "
        "within a distance, as a fraction of the head's size.",
    )


def stacks() -> str:
    """Draw the mean after each stack as bars, for each decoder."""
    found = {name: read(f"hg2_tiny.{name}")["stacks"] for name in DECODERS}
    drawing = Drawing(
        width=680,
        height=340,
        title="Pooled PCK@0.2 of hg2_tiny after each stack, for each decoder",
        least=480,
    )
    axes = Axes(
        drawing=drawing, left=46, right=560, top=44, bottom=290, x=(0.0, 4.0), y=(0.0, 100.0)
    )
    axes.grid([], [0.0, 20.0, 40.0, 60.0, 80.0, 100.0], x_label="", y_label="PCK@0.2, percent")
    for place, (name, means) in enumerate(found.items()):
        middle, _ = axes.place(place + 0.5, 0.0)
        drawing.text((middle, axes.bottom + 16), name)
        for stack, mean in enumerate(means):
            left = place + 0.5 + (stack - len(means) / 2) * 0.32
            axes.bar(left, 36, mean, series=stack + 1)
            x, y = axes.place(left, mean)
            drawing.text((x + 18, y - 10), f"{mean:.2f}")
    names = [f"stack {stack + 1}" for stack in range(len(means))]
    key(drawing, (574, 60), names, kind="bar")
    return drawing.figure(
        "Pooled PCK@0.2 of hg2_tiny read from the heatmaps of its first stack and of its second, "
        "with the flip test."
    )


def visibility() -> str:
    """Return how many keypoints are right among those to be seen and among hidden ones."""
    files = {
        "hg2_tiny on LSP, PCK@0.2": f"hg2_tiny.{OWN}",
        "hg1_nano on LSP, PCK@0.2": f"hg1_nano.{OWN}",
        "published predictions on MPII, PCKh@0.5": "mpii_example.valid",
    }
    found = {name: read(file)["visibility"] for name, file in files.items()}
    return rows(
        ["what", "seen", "hidden"],
        [[name, f"{one['seen']:.2f}", f"{one['hidden']:.2f}"] for name, one in found.items()],
    )


def decoders() -> str:
    """Return what each decoder and the flip test are worth."""
    lines = []
    for model in SHIPPED:
        for name in DECODERS:
            both = [read(f"{model}.{name}{end}") for end in (".no_flip", "")]
            figures = [one[kind]["14 pooled" + tail] for kind, tail in KINDS for one in both]
            lines.append([f"{model}, {name}", *(f"{figure:.2f}" for figure in figures)])
    head = ["weights, decoder", "PCK@0.2", "with flip", "PCK@0.1", "with flip"]
    return rows(head, lines)


KINDS = (("means", ""), ("strict", ", PCK@0.1"))


def agreement() -> str:
    """Return our figures beside the known ones, and what they differ by."""
    lines = []
    for truth, file in (("valid", "valid.h5"), ("detections", "detections_our_format.mat")):
        ours, known = read(f"mpii_example.{truth}"), read("mpii_example.known")[truth]
        for kind in ("groups", "keypoints", "means"):
            for name, figure in known[kind].items():
                mine = ours[kind][name]
                off = abs(round(mine, 2) - figure)
                words = name.replace("_", " ")
                lines.append([f"{file}: {words}", f"{figure:.2f}", f"{mine:.2f}", f"{off:.2f}"])
    return rows(["judged by", "known", "hgzoo", "difference"], lines)


PARTS: dict[tuple[str, str], Make] = {
    ("docs/results.md", "shipped"): shipped,
    ("docs/results.md", "everyday by hand"): lambda: everyday("by_hand"),
    ("docs/results.md", "everyday movenet"): lambda: everyday("movenet"),
    ("docs/results.md", "lsp curves"): lsp_curves,
    ("docs/results.md", "stacks"): stacks,
    ("docs/results.md", "visibility"): visibility,
    ("docs/results.md", "decoders"): decoders,
    ("docs/results.md", "agreement"): agreement,
    ("docs/results.md", "mpii curves"): mpii_curves,
}
