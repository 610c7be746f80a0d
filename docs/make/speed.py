"""The tables of the page about speed, from what `hgzoo benchmark` wrote."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, NamedTuple

from docs.make.pages import ROOT, Make
from hgzoo.benchmark import CEILINGS, PLAIN, Around, Made, Speed, Start, Way, times_faster
from hgzoo.cli.speed import (
    NONE,
    around_table,
    ceilings_table,
    made_table,
    speed_table,
    start_table,
    subjects_table,
)

PAGE = "docs/speed.md"

NETWORKS = ("hg1", "hg2", "hg8", "hg2_tiny")
"""Each has a file in docs/results."""

ONE_THREAD = "hg2_one_thread"


class Report(NamedTuple):
    """What `hgzoo benchmark models` wrote."""

    table: dict[str, Any]  # Any: JSON
    made: list[Made]
    speeds: list[Speed]


def read(name: str) -> Report:
    """Read a file in docs/results."""
    table = _json(name)
    made = [Made(**{**row, "way": Way(**row["way"])}) for row in table["networks"]]
    speeds = [Speed(**{**row, "way": Way(**row["way"])}) for row in table["speeds"]]
    return Report(table, made, speeds)


def _json(name: str) -> dict[str, Any]:
    path = ROOT / "docs" / "results" / f"speed_{name}.json"
    table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return table


def summary() -> str:
    """Draw how many times faster each way is, a column a network and batch."""
    speeds = [row for name in NETWORKS for row in read(name).speeds]
    found = {(row.way, row.model, row.batch): row for row in speeds if row.way not in CEILINGS}
    ways = dict.fromkeys(way for way, _, _ in found if way != PLAIN)
    columns = dict.fromkeys((model, batch) for _, model, batch in found)
    head = " | ".join(f"{model}, {batch}" for model, batch in columns)
    rows = [f"| network | {head} |", f"| --- |{' ---: |' * len(columns)}"]
    for way in ways:
        cells = [
            f"{times_faster(found[way, *column], found[PLAIN, *column]):.2f}"
            if (way, *column) in found
            else NONE
            for column in columns
        ]
        rows.append(f"| {', '.join(way)} | {' | '.join(cells)} |")
    return "\n".join(rows)


def conditions(name: str) -> str:
    """Tell under which conditions a file was written."""
    table = read(name).table
    known = ("threads", "torch", "onnxruntime", "openvino", "processor", "allocator")
    return f"Conditions: {', '.join(f'{key} {table[key]}' for key in known)}."


def whole(name: str) -> str:
    """Draw all tables of one file."""
    table, made, speeds = read(name)
    return "\n\n".join(
        [
            subjects_table(table["models"]),
            speed_table(speeds),
            made_table(made),
            ceilings_table(speeds),
        ]
    )


def one_thread() -> str:
    """Draw the speeds on one thread."""
    return speed_table(read(ONE_THREAD).speeds)


def precision() -> str:
    """Draw what the number formats cost."""
    return made_table(read("hg2_tiny").made)


def around() -> str:
    """Draw what the steps around the network take."""
    return around_table([Around(**row) for row in _json("around")["around"]])


def start() -> str:
    """Draw how long cold processes take."""
    starts = _json("startup")["starts"]
    return start_table([Start(command=one["command"], seconds=one["seconds"]) for one in starts])


WHOLE: dict[str, Make] = {}

PARTS: dict[tuple[str, str], Make] = {
    (PAGE, "summary"): summary,
    (PAGE, "conditions"): partial(conditions, "hg2"),
    (PAGE, "precision"): precision,
    (PAGE, "one thread"): one_thread,
    (PAGE, "around"): around,
    (PAGE, "start"): start,
    **{(PAGE, name): partial(whole, name) for name in NETWORKS},
}
