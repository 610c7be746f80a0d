"""hgzoo benchmark: figures that the documentation quotes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hgzoo.cli import anytime, speed, variants
from hgzoo.cli.shared import add_quiet, at_least, command, set_threads, whole_numbers
from hgzoo.errors import ConfigError
from hgzoo.files import write_text

if TYPE_CHECKING:
    from hgzoo.benchmark import Loading, PeopleFound, Step, WayFound
    from hgzoo.benchmark.people import Crowd
    from hgzoo.config import Recipe
    from hgzoo.model import StackedHourglass

DECODERS_HEAD = """\
| heatmaps | decoder | bias x | bias y | mean error | largest error | score |
| --- | --- | ---: | ---: | ---: | ---: | ---: |"""

STEPS_HEAD = """\
| batch | step | seconds | pictures a second | times the baseline |
| ---: | --- | ---: | ---: | ---: |"""

MEMORY_HEAD = """\
| batch | step | MiB kept a picture | with checkpointing | times less | times the seconds |
| ---: | --- | ---: | ---: | ---: | ---: |"""

SEARCH_HEAD = """\
| pictures | boxes | people | PCK@0.2 | loss | boxes found | poses | forwards | seconds |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"""

FOUND_HEAD = """\
| images | number | boxes | people | found | boxes an image | false | without a box |
| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |"""

LOADING_HEAD = """\
| workers | pictures read a second | times the fastest step | training waits |
| ---: | ---: | ---: | ---: |"""

EXAMPLES = """\
hgzoo benchmark decoders
hgzoo benchmark train
hgzoo benchmark models hg2
hgzoo benchmark zoo
hgzoo benchmark around
hgzoo benchmark search --data datasets
hgzoo benchmark startup"""

SEARCH = """\
hgzoo benchmark search --data datasets
hgzoo benchmark search --data datasets --pictures 50 --json search.json"""

TRAIN = """\
hgzoo benchmark train
hgzoo benchmark train --model hg8 --batch 2 --repeats 3 --json speed.json"""


def add_commands(commands: Any) -> None:
    """Add `benchmark`."""
    text = "measure what the documentation claims"
    parser = command(commands, "benchmark", _decoders, text, examples=EXAMPLES)
    parts = parser.add_parts(title="what to measure", metavar="WHAT")
    anytime.add_commands(parts)
    text = "the decoders' error on drawn peaks"
    command(parts, "decoders", _decoders, text, examples="hgzoo benchmark decoders")
    text = "the speed of training: steps in turns, memory, and the reading of pictures"
    parser = command(parts, "train", _train, text, examples=TRAIN)
    add = parser.add_argument
    add("--model", default="hg2", help="a variant, or the path of a recipe (%(default)s)")
    add(
        "--batch",
        type=whole_numbers(1),
        default=[4, 8],
        metavar="N,N",
        help="pictures a step (4,8)",
    )
    add(
        "--size",
        type=at_least(1),
        metavar="PIXELS",
        help="height and width of the crops (the recipe's)",
    )
    add(
        "--repeats", type=at_least(1), default=5, help="steps of each kind that count (%(default)s)"
    )
    add("--threads", type=at_least(1), help="threads of the training process (torch's default)")
    add(
        "--workers", type=whole_numbers(0), default=[0, 1, 2], metavar="N,N", help="readers (0,1,2)"
    )
    add("--json", metavar="FILE", help="write the figures there, with each step's seconds")
    add_quiet(parser)
    text = "keypoints without boxes: true boxes, whole pictures and the search side by side"
    parser = command(parts, "search", _search, text, examples=SEARCH)
    add = parser.add_argument
    add("--data", required=True, metavar="DIR", help="holds lsp, lspet, people, background")
    add("--model", default="hg2_tiny", help="weights with LSP's keypoints (%(default)s)")
    add("--pictures", type=at_least(1), metavar="N", help="only the first so many of each set")
    add("--json", metavar="FILE", help="write the figures there")
    add_quiet(parser)
    speed.add_commands(parts)
    variants.add_commands(parts)


def _decoders(options: argparse.Namespace) -> int:
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


def _train(options: argparse.Namespace) -> int:
    import torch

    from hgzoo import factory
    from hgzoo.benchmark import allocator

    _check(options)
    set_threads(options.threads)
    recipe = factory.model_info(options.model)
    if options.size:
        size = (options.size, options.size)
        recipe = replace(recipe, input=replace(recipe.input, size=size))
    height, width = recipe.input.size
    conditions = {
        "model": recipe.name,
        "size": f"{height}x{width}",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "allocator": allocator(),
    }
    steps, loading = _measured(recipe, options)
    print(", ".join(f"{name} {value}" for name, value in conditions.items()))
    print(f"\n{steps_table(steps)}\n\n{memory_table(steps)}\n\n{loading_table(loading, steps)}")
    if options.json:
        table = {
            **conditions,
            "steps": [asdict(step) for step in steps],
            "loading": [asdict(row) for row in loading],
        }
        write_text(Path(options.json), json.dumps(table, indent=2))
    return 0


def _check(options: argparse.Namespace) -> None:
    """Refuse what cannot be measured, before anything starts."""
    from hgzoo.benchmark import PICTURES

    if max(options.batch) > PICTURES:
        raise ConfigError(f"--batch must be at most {PICTURES}, got {max(options.batch)}")


def _measured(recipe: Recipe, options: argparse.Namespace) -> tuple[list[Step], list[Loading]]:
    from hgzoo.benchmark import (
        SETUPS,
        Elsewhere,
        Timed,
        keeping_process,
        loading_speeds,
        step_speeds,
        write_people,
    )
    from hgzoo.progress import bar

    shown = not options.quiet
    steps: list[Step] = []
    with TemporaryDirectory() as name, keeping_process() as pool:
        folder = Path(name)
        people = write_people(folder, keypoints=recipe.model.num_keypoints)
        for batch in options.batch:
            make = partial(Timed, recipe, people, batch=batch, folder=folder)
            timed = {
                name: Elsewhere(pool, setup, make) if setup.keep_memory else make(setup)
                for name, setup in SETUPS.items()
            }
            steps += step_speeds(timed, batch=batch, repeats=options.repeats, progress=shown)
        fastest = max(steps, key=lambda step: step.rate)
        reader = Timed(recipe, people, SETUPS[fastest.setup], batch=fastest.batch, folder=folder)
        rows = loading_speeds(reader.run, options.workers, steps=options.repeats)
        total = len(options.workers)
        return steps, list(bar(rows, "loading", show=shown, total=total, unit="row"))


def steps_table(steps: Sequence[Step]) -> str:
    """Return the speed of each step, as a Markdown table."""
    from hgzoo.benchmark import BASELINE, times_faster

    baselines = {step.batch: step for step in steps if step.setup == BASELINE}
    rows = [
        f"| {step.batch} | {step.setup} | {step.batch / step.rate:.2f} | {step.rate:.2f} "
        f"| {times_faster(step, baselines[step.batch]):.2f} |"
        for step in steps
    ]
    return "\n".join([STEPS_HEAD, *rows])


def memory_table(steps: Sequence[Step]) -> str:
    """Return what gradient checkpointing saves and costs, as a Markdown table."""
    from hgzoo.benchmark import CHECKPOINTED, times_faster

    by_name = {(step.batch, step.setup): step for step in steps}
    rows = []
    for step in steps:
        if step.setup in CHECKPOINTED:
            less = by_name[step.batch, CHECKPOINTED[step.setup]]
            kept, rest = (one.saved / one.batch / 2**20 for one in (step, less))
            rows.append(
                f"| {step.batch} | {step.setup} | {kept:.1f} | {rest:.1f} | {kept / rest:.2f} "
                f"| {times_faster(step, less):.2f} |"
            )
    return "\n".join([MEMORY_HEAD, *rows])


def loading_table(loading: Sequence[Loading], steps: Sequence[Step]) -> str:
    """Return how fast pictures are read, against the fastest step, as a Markdown table."""
    fastest = max(step.rate for step in steps)
    rows = [
        f"| {row.workers} | {row.rate:.0f} | {row.rate / fastest:.1f} | {row.waiting:.1%} |"
        for row in loading
    ]
    return "\n".join([LOADING_HEAD, *rows])


def _search(options: argparse.Namespace) -> int:
    from hgzoo.benchmark import as_they_are, compare_boxes, in_scenes, judged, lsp_columns
    from hgzoo.data.lsp import lsp_validation, lspet_held_out
    from hgzoo.factory import load_model
    from hgzoo.progress import bar

    model = load_model(options.model).eval()
    lsp_columns(model)
    lspet, lsp = (
        judged(read(Path(options.data)))[: options.pictures]
        for read in (lspet_held_out, lsp_validation)
    )
    sets = {
        "LSPET 9701 to 10000": (lspet, as_they_are),
        "the same, in larger scenes": (lspet, in_scenes),
        "LSP 801 to 1000": (lsp, as_they_are),
    }
    found = _found(model, options)
    print(f"{found_table(found)}\n")
    rows: list[WayFound] = []
    for name, (people, show) in sets.items():
        shown = bar(show(people), name, show=not options.quiet, total=len(people), unit="picture")
        rows += compare_boxes(model, shown, pictures=name)
    print(search_table(rows))
    if options.json:
        table = {"found": [asdict(row) for row in found], "boxes": [asdict(row) for row in rows]}
        write_text(Path(options.json), json.dumps(table, indent=2))
    return 0


def _found(model: StackedHourglass, options: argparse.Namespace) -> list[PeopleFound]:
    """Look for people in everyday images and where nobody is, in every way that looks."""
    from hgzoo.benchmark import LOOKING, empty_rooms, everyday, find_people
    from hgzoo.predict import Predictor
    from hgzoo.progress import bar

    root, number = Path(options.data), options.pictures
    predictor = {way: Predictor(model, detector=way) for way in LOOKING}
    rows = []
    readers: dict[str, Callable[..., tuple[list[Path], Iterable[Crowd]]]] = {
        "everyday people, by hand": partial(everyday, by_hand=True),
        "everyday people, MoveNet": partial(everyday, by_hand=False),
        "nobody": empty_rooms,
    }
    for name, read in readers.items():
        for way in LOOKING:
            paths, crowds = read(root, number=number)
            shown = bar(
                crowds, f"{name}, {way}", show=not options.quiet, total=len(paths), unit="picture"
            )
            detector = predictor[way].detector
            rows.append(find_people(detector, shown, images=name, way=way))
    return rows


def found_table(rows: Sequence[PeopleFound]) -> str:
    """Return whom each way finds, and how often nobody, as a Markdown table."""
    lines = [
        f"| {row.images} | {row.number} | {row.way} | {row.people} "
        f"| {speed.NONE if row.found is None else f'{row.found:.1f} %'} | {row.boxes:.2f} "
        f"| {row.false:.2f} | {row.empty:.0f} % |"
        for row in rows
    ]
    return "\n".join([FOUND_HEAD, *lines])


def search_table(rows: Sequence[WayFound]) -> str:
    """Return what each way of getting boxes gives and costs, as a Markdown table.

    The loss is in points against the true boxes; forwards are counted and seconds are measured,
    both as multiples of what a true box takes.
    """
    from hgzoo.benchmark import TRUE

    with_box = {row.pictures: row for row in rows if row.way == TRUE}
    lines = []
    for row in rows:
        base = with_box[row.pictures]
        lines.append(
            f"| {row.pictures} | {row.way} | {row.people} | {row.value:.2f} "
            f"| {_signed(base.value - row.value)} | {row.found:.1f} % | {row.poses:.2f} "
            f"| {row.forwards / base.forwards:.2f} | {row.seconds / base.seconds:.2f} |"
        )
    return "\n".join([SEARCH_HEAD, *lines])
