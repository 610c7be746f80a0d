"""hgzoo benchmark models, around, startup: how fast pictures are read, and the first one."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hgzoo.cli.shared import add_quiet, at_least, command, set_threads, whole_numbers
from hgzoo.errors import ConfigError
from hgzoo.files import write_text

if TYPE_CHECKING:
    from hgzoo.benchmark import Around, Made, Speed, Start, Subject
    from hgzoo.data import Sample

MODELS = """\
hgzoo benchmark models hg2
hgzoo benchmark models hg1 hg8.bearpaw_mpii --batch 1 --threads 1 --json speed.json
hgzoo benchmark models hg2_tiny --data datasets --plot speed.png"""

SUBJECTS_HEAD = """\
| model | weights | parameters | 10⁹ multiplications a picture |
| --- | --- | ---: | ---: |"""

SPEED_HEAD = """\
| model | batch | network | milliseconds | pictures a second | times faster | of the ceiling |
| --- | ---: | --- | ---: | ---: | ---: | ---: |"""

CEILINGS_HEAD = """\
| model | batch | matrix product | 10⁹ operations a second |
| --- | ---: | --- | ---: |"""

MADE_HEAD = """\
| model | network | seconds to prepare | deviation | MiB alive a picture | PCK@0.2 | less |
| --- | --- | ---: | ---: | ---: | ---: | ---: |"""

START_HEAD = """\
| process | seconds | times `import torch` |
| --- | ---: | ---: |"""

AROUND_HEAD = """\
| step | method | milliseconds | times hgzoo's |
| --- | --- | ---: | ---: |"""

NONE = "–"  # noqa: RUF001


def add_commands(parts: Any) -> None:
    """Add `models`, `around` and `startup` to the parts of `hgzoo benchmark`."""
    text = "the speed of networks: the plain one and what hgzoo.optimize makes of it, in turns"
    parser = command(parts, "models", _models, text, examples=MODELS)
    add = parser.add_argument
    add(
        "models",
        nargs="+",
        metavar="MODEL",
        help="a variant or a recipe (with random weights, unless its own come with hgzoo), "
        "VARIANT.TAG or a weights file",
    )
    add("--backend", type=_words, default=[], metavar="NAME,NAME", help="all that are installed")
    add("--precision", type=_words, default=[], metavar="NAME,NAME", help="float32,bfloat16,int8")
    add(
        "--batch",
        type=whole_numbers(1),
        default=[1, 8],
        metavar="N,N",
        help="pictures a call (1,8)",
    )
    add("--threads", type=at_least(1), help="threads of every engine (torch's default)")
    add("--repeats", type=at_least(1), default=7, help="rounds that count (%(default)s)")
    add(
        "--data",
        metavar="DIR",
        help="the folder that holds lsp/: its training pictures calibrate int8, and its held-out "
        "pictures judge networks with weights for its keypoints",
    )
    add("--json", metavar="FILE", help="write the figures there, with each round's seconds")
    add("--plot", metavar="FILE", help="draw how many times faster each network is there")
    add_quiet(parser)
    text = "the steps around the network: cutting crops and decoding heatmaps"
    parser = command(parts, "around", _around, text, examples="hgzoo benchmark around")
    add = parser.add_argument
    add("--threads", type=at_least(1), help="threads of torch (its default)")
    add("--repeats", type=at_least(1), default=7, help="rounds that count (%(default)s)")
    add("--json", metavar="FILE", help="write the figures there, with each round's seconds")
    add_quiet(parser)
    text = "the start of a cold process, until it has keypoints"
    parser = command(parts, "startup", _startup, text, examples="hgzoo benchmark startup")
    add = parser.add_argument
    add("--model", default="hg2_tiny", help="a model with weights (%(default)s)")
    add("--repeats", type=at_least(1), default=5, help="rounds that count (%(default)s)")
    add("--json", metavar="FILE", help="write the figures there, with each process's seconds")
    add_quiet(parser)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


def _models(options: argparse.Namespace) -> int:
    from hgzoo import benchmark

    ways, missing = benchmark.ways(options.backend, options.precision)
    set_threads(options.threads)
    people, judges = _people(options.data) if options.data else ([], [])
    subjects = [benchmark.subject(name) for name in options.models]
    for backend, extra in missing.items():
        text = f'{backend} is not installed and left out: pip install "hgzoo[{extra}]"'
        print(text, file=sys.stderr)
    made: list[Made] = []
    speeds: list[Speed] = []
    for one in subjects:
        spec, shown = one.model.input, not options.quiet
        crops = benchmark.training_crops(people, spec) if people else benchmark.demo_crops(spec)
        networks, rows = benchmark.make(
            one,
            ways,
            calibration=crops,
            judges=judges if benchmark.has_lsp_keypoints(one) else (),
            progress=shown,
        )
        made += rows
        for batch in options.batch:
            speeds += benchmark.speeds(
                one, networks, batch=batch, repeats=options.repeats, progress=shown
            )
    _report(options, subjects, made, speeds)
    return 0


def _people(data: str) -> tuple[list[Sample], list[Sample]]:
    """Read LSP's people to calibrate on, and those to judge by."""
    from hgzoo.data import find, usable

    root = Path(data)
    train, held_out = (usable(find("lsp", part)[1](root))[0] for part in ("train", "validation"))
    if not train or not held_out:
        raise ConfigError(f"{root / 'lsp' / 'images'} lacks the pictures of LSP")
    return train, held_out


def _report(
    options: argparse.Namespace,
    subjects: Sequence[Subject],
    made: Sequence[Made],
    speeds: Sequence[Speed],
) -> None:
    from hgzoo.benchmark import CALIBRATION, conditions

    now = conditions()
    print(", ".join(f"{name} {value}" for name, value in now.items()))
    calibrated = "the picture that comes with hgzoo, cut at seven boxes"
    if options.data:
        calibrated = f"{CALIBRATION} of LSP's training pictures"
    if any(row.way.precision == "int8" for row in made):
        print(f"int8 calibrated on {calibrated}")
    described = [describe(one) for one in subjects]
    print(f"\n{subjects_table(described)}\n\n{speed_table(speeds)}\n\n{ceilings_table(speeds)}")
    print(f"\n{made_table(made)}")
    if options.json:
        table = {
            **now,
            "calibration": calibrated,
            "models": described,
            "networks": [{**asdict(row), "way": row.way._asdict()} for row in made],
            "speeds": [{**asdict(row), "way": row.way._asdict()} for row in speeds],
        }
        write_text(Path(options.json), json.dumps(table, indent=2))
    if options.plot:
        _plot(speeds, Path(options.plot))


def describe(one: Subject) -> dict[str, Any]:
    """Return what a network comes to, and whether its weights are anybody's."""
    return {
        "name": one.name,
        "weights": "its own" if one.trained else "random weights",
        "parameters": one.parameters,
        "multiplications": one.macs,
    }


def subjects_table(described: Sequence[Mapping[str, Any]]) -> str:
    """Return what `describe` told of networks, as a Markdown table."""
    rows = [
        f"| {one['name']} | {one['weights']} | {one['parameters']:,} "
        f"| {one['multiplications'] / 1e9:.2f} |"
        for one in described
    ]
    return "\n".join([SUBJECTS_HEAD, *rows])


def speed_table(speeds: Sequence[Speed]) -> str:
    """Return the speed of each network, as a Markdown table."""
    from hgzoo.benchmark import CEILINGS, PLAIN, ceiling_reached, times_faster

    by_way = {(row.model, row.batch, row.way): row for row in speeds}
    ceilings = {way.precision: way for way in CEILINGS}
    rows = []
    for row in speeds:
        if row.way in CEILINGS:
            continue
        plain, share = by_way[row.model, row.batch, PLAIN], NONE
        if row.way.precision in ceilings:
            ceiling = by_way[row.model, row.batch, ceilings[row.way.precision]]
            share = f"{ceiling_reached(row, ceiling):.0%}"
        rows.append(
            f"| {row.model} | {row.batch} | {', '.join(row.way)} "
            f"| {1e3 * row.batch / row.rate:.1f} | {row.rate:.2f} "
            f"| {times_faster(row, plain):.2f} | {share} |"
        )
    return "\n".join([SPEED_HEAD, *rows])


def ceilings_table(speeds: Sequence[Speed]) -> str:
    """Return how fast large matrices were multiplied in between, as a Markdown table."""
    from hgzoo.benchmark import CEILINGS

    rows = [
        f"| {row.model} | {row.batch} | {row.way.precision} "
        f"| {row.operations * row.rate / row.batch / 1e9:.0f} |"
        for row in speeds
        if row.way in CEILINGS
    ]
    return "\n".join([CEILINGS_HEAD, *rows])


def made_table(made: Sequence[Made]) -> str:
    """Return what each network costs besides time, as a Markdown table."""
    from hgzoo.benchmark import PLAIN

    plain = {row.model: row.pck for row in made if row.way == PLAIN}
    rows = []
    for row in made:
        live = NONE if row.live is None else f"{row.live / 2**20:.1f}"
        pck, less, best = NONE, NONE, plain[row.model]
        if row.pck is not None and best is not None:
            pck, less = f"{row.pck:.2f}", f"{round(best - row.pck, 2) + 0.0:.2f}"
        rows.append(
            f"| {row.model} | {', '.join(row.way)} | {row.seconds:.1f} | {row.deviation:.1g} "
            f"| {live} | {pck} | {less} |"
        )
    return "\n".join([MADE_HEAD, *rows])


def _plot(speeds: Sequence[Speed], path: Path) -> None:
    """Draw a group of bars for each model, batch and precision, a bar a backend."""
    from hgzoo.benchmark import CEILINGS, PLAIN, times_faster
    from hgzoo.pictures import save
    from hgzoo.visualize import draw_bars

    plain = {(row.model, row.batch): row for row in speeds if row.way == PLAIN}
    groups: dict[str, dict[str, float]] = {}
    for row in speeds:
        if row.way != PLAIN and row.way not in CEILINGS:
            group = groups.setdefault(f"{row.model} {row.way.precision}, {row.batch}", {})
            group[row.way.backend] = times_faster(row, plain[row.model, row.batch])
    label = "times faster than the plain network, by model, precision and pictures a call"
    size = (480, max(720, 230 + 190 * len(groups)))
    drawn = draw_bars(groups, label=label, line=1.0, size=size)
    save(path, drawn)


def _around(options: argparse.Namespace) -> int:
    from hgzoo.benchmark import around, conditions

    set_threads(options.threads)
    rows = around(repeats=options.repeats, progress=not options.quiet)
    now = conditions()
    print(", ".join(f"{name} {value}" for name, value in now.items()))
    print(f"\n{around_table(rows)}")
    if options.json:
        table = {**now, "around": [asdict(row) for row in rows]}
        write_text(Path(options.json), json.dumps(table, indent=2))
    return 0


def around_table(rows: Sequence[Around]) -> str:
    """Return what each method takes for each step, as a Markdown table."""
    from hgzoo.benchmark import OURS, times_faster

    ours = {row.step: row for row in rows if row.method == OURS}
    lines = [
        f"| {row.step} | {row.method} | {1e3 * median(row.seconds):.1f} "
        f"| {times_faster(ours[row.step], row):.1f} |"
        for row in rows
    ]
    return "\n".join([AROUND_HEAD, *lines])


def _startup(options: argparse.Namespace) -> int:
    from hgzoo.benchmark import conditions, start_commands, start_seconds

    with TemporaryDirectory() as folder:
        commands = start_commands(options.model, Path(folder))
        starts = start_seconds(commands, repeats=options.repeats, progress=not options.quiet)
    now = conditions()
    print(", ".join(f"{name} {value}" for name, value in now.items()))
    print(f"\n{start_table(starts)}")
    if len(starts) < 3:
        print('\nan ONNX file was not tried: pip install "hgzoo[onnx]"', file=sys.stderr)
    if options.json:
        table = {**now, "starts": [asdict(start) for start in starts]}
        write_text(Path(options.json), json.dumps(table, indent=2))
    return 0


def start_table(starts: Sequence[Start]) -> str:
    """Return how long each process took, as a Markdown table."""
    from hgzoo.benchmark import IMPORT, times_faster

    base = next(start for start in starts if start.command == IMPORT)
    rows = [
        f"| {start.command} | {start.median:.2f} | {times_faster(base, start):.2f} |"
        for start in starts
    ]
    return "\n".join([START_HEAD, *rows])
