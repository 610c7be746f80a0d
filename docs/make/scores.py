"""What docs/results.md tells of scores and of left and right, from what commands wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from docs.make.pages import ROOT, Make
from docs.make.results import OWN, SHIPPED, read, rows
from docs.make.svg import Axes, Drawing, key

WHOLE: dict[str, Make] = {}

CALIBRATED = tuple(
    model for model in SHIPPED if (ROOT / f"docs/results/{model}.calibration.json").is_file()
)
"""The shipped weights that `hgzoo calibrate` has measured."""

SETS = {"people_by_hand": "everyday people", "lsp": "LSP"}
"""The sets that weights are calibrated on, and what the page calls them."""

ORDERS = {
    "as found": "as found",
    "body": "better order of each body",
    "limbs": "better order of each limb",
    "pairs": "better order of each pair",
}


def _calibration(model: str) -> dict[str, Any]:  # Any: JSON
    return read(f"{model}.calibration")


def errors() -> str:
    """Return how far heights of peaks and scores are from the share that is right."""
    lines = []
    for model in CALIBRATED:
        found = _calibration(model)
        parts = {
            **{words: found["by_dataset"][name] for name, words in SETS.items()},
            "both": found,
            "both, without the flip test": found["no_flip"],
        }
        lines += [[f"{model}, {words}", *_error(part)] for words, part in parts.items()]
    head = ["weights, people", "keypoints", "right, percent", "error of peaks", "error of scores"]
    return rows(head, lines)


def _error(part: Mapping[str, Any]) -> list[str]:  # Any: JSON
    before, after = part["before"]["error"], part["after"]["error"]
    return [f"{part['keypoints']}", f"{part['right']:.2f}", f"{before:.2f}", f"{after:.2f}"]


def diagram() -> str:
    """Draw the share of right keypoints over what peaks and scores of hg2_tiny promise."""
    found = _calibration("hg2_tiny")
    drawing = Drawing(
        width=680,
        height=420,
        title="Share of right keypoints of hg2_tiny over their score",
        least=520,
    )
    axes = Axes(drawing=drawing, left=46, right=402, top=44, bottom=360, x=(0.0, 1.0), y=(0.0, 1.0))
    ticks = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    axes.grid(ticks, ticks, x_label="mean score", y_label="share right")
    drawing.line([axes.place(0.0, 0.0), axes.place(1.0, 1.0)], kind="base", arrow=False)
    for series, name in enumerate(("after", "before"), 1):
        bins = found[name]
        axes.curve(bins["scores"], bins["right"], series=series)
        for x, y in zip(bins["scores"], bins["right"], strict=True):
            drawing.dot(axes.place(x, y), kind=f"mark s{series}")
    after, before = found["after"]["error"], found["before"]["error"]
    drawing.text((428, 52), "expected calibration error", kind="note", anchor="start")
    key(drawing, (428, 78), [f"score: {after:.2f} %", f"height of the peak: {before:.2f} %"])
    return drawing.figure(
        f"Reliability of hg2_tiny: {found['keypoints']} keypoints of held-out people in ten bins "
        "of equal width. On the diagonal a score is the share that is right."
    )


def bins() -> str:
    """Return the ten bins of hg2_tiny's scores."""
    after = _calibration("hg2_tiny")["after"]
    return rows(
        ["mean score", "share right", "keypoints"],
        [
            [f"{score:.3f}", f"{right:.3f}", str(count)]
            for score, right, count in zip(
                after["scores"], after["right"], after["counts"], strict=True
            )
        ],
    )


def drawn() -> str:
    """Return what is drawn from a score on."""
    lines = []
    for model in CALIBRATED:
        for row in _calibration(model)["drawn"]:
            shares = [f"{row[name]:.1f}" for name in ("drawn", "precision", "recall")]
            lines.append([f"{model}, {row['threshold']:.1f}", *shares])
    return rows(["weights, smallest score", "drawn", "right among them", "right ones drawn"], lines)


def _sides() -> dict[str, dict[str, Any]]:  # Any: JSON
    files = {"people_by_hand": "hg2_tiny.people_by_hand", "lsp": f"hg2_tiny.{OWN}"}
    return {words: read(files[name])["sides"] for name, words in SETS.items()}


def exchanged() -> str:
    """Return how many joints lie at the other side's joint."""
    found = _sides()
    joints = next(iter(found.values()))["exchanged"]
    lines = [
        [words, *(f"{one['exchanged'][joint]:.1f}" for joint in joints)]
        for words, one in found.items()
    ]
    return rows(["percent of joints", *joints], lines)


def orders() -> str:
    """Return what somebody would gain who knew where sides are exchanged."""
    found = _sides()
    lines = [
        [words, *(f"{one['orders'][name]:.1f}" for name in ORDERS), *_together(one["together"])]
        for words, one in found.items()
    ]
    head = ["percent", *ORDERS.values(), "pairs at one place", "the same in truth"]
    return rows(head, lines)


def _together(found: Mapping[str, float]) -> list[str]:
    return [f"{found[name]:.1f}" for name in ("as found", "truth")]


PARTS: dict[tuple[str, str], Make] = {
    ("docs/results.md", "calibration errors"): errors,
    ("docs/results.md", "reliability"): diagram,
    ("docs/results.md", "reliability bins"): bins,
    ("docs/results.md", "drawn"): drawn,
    ("docs/results.md", "exchanged"): exchanged,
    ("docs/results.md", "orders"): orders,
}
