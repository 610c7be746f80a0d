"""The drawings of docs/anatomy.md: every shape in them was seen in a network that ran.

Networks are built and run on torch's meta device, which knows shapes and computes nothing.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from math import log2
from textwrap import dedent
from typing import Any

import torch
from torch import Tensor, nn

from docs.make.links import address
from docs.make.pages import Make
from docs.make.svg import Drawing, Point
from hgzoo import blocks, recipes
from hgzoo.model import StackedHourglass

Shape = tuple[int, ...]

WHOLE: dict[str, Make] = {}

HOURGLASS = address("hgzoo.blocks.Hourglass")
HEAD = address("hgzoo.blocks.SupervisionHead")
FEEDBACK = address("hgzoo.blocks.Feedback")
RESIDUAL = address("hgzoo.blocks.PreActBottleneck")
RESIDUALS = address("hgzoo.blocks.Residuals")
STEM = address("hgzoo.blocks.Stem")
ADD = address("hgzoo.blocks.add_upsampled")
LOSS = address("hgzoo.losses.stacked")

# Where things stand, in units of the drawings.
MIDDLE, RIGHT, STACK = 134.0, 272.0, 290
STEP, BAR, GROUND = 74.0, 20.0, 300.0


@dataclass(frozen=True)
class Seen:
    """What went into a module and what came out, [C, H, W] each."""

    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]


def observe(module: nn.Module, *inputs: Tensor) -> dict[str, Seen]:
    """Run a module, and note the shapes at each of its parts by the part's name."""
    seen: dict[str, Seen] = {}

    def note(name: str) -> Any:  # Any: torch's own type of a hook
        def hook(
            _: nn.Module, given: tuple[Tensor, ...], made: Tensor | tuple[Tensor, ...]
        ) -> None:
            outputs = (made,) if isinstance(made, Tensor) else made
            seen[name] = Seen(*(tuple(tuple(t.shape[1:]) for t in ts) for ts in (given, outputs)))

        return hook

    for name, part in module.named_modules():
        part.register_forward_hook(note(name))
    module(*inputs)
    return seen


@dataclass(frozen=True)
class Observed:
    """A variant of the zoo that ran on one picture of its own size."""

    model: StackedHourglass
    seen: Mapping[str, Seen]

    def out(self, name: str, number: int = 0) -> Shape:
        """Return what came out of a part."""
        return self.seen[name].outputs[number]

    def into(self, name: str, number: int = 0) -> Shape:
        """Return what went into a part."""
        return self.seen[name].inputs[number]

    @property
    def picture(self) -> Shape:
        """Return what the stem was given."""
        return self.into("stem")


@cache
def network(name: str) -> Observed:
    """Build a variant of the zoo, and run it."""
    recipe = recipes.read(name)
    with torch.device("meta"):
        model = StackedHourglass(recipe.model, input=recipe.input, output=recipe.output).eval()
        images = torch.empty(1, recipe.model.in_channels, *recipe.input.size)
    return Observed(model, observe(model, images))


def tell(shape: Shape) -> str:
    """Write a shape as channels × height × width."""
    return " × ".join(map(str, shape))


def whole() -> str:
    """Draw hg2 from the picture to the last heatmaps."""
    hg2 = network("hg2")
    stacks = hg2.model.config.num_stacks
    drawing = Drawing(
        width=430,
        height=STACK * stacks + 46,
        title=f"hg2 from the picture to the heatmaps of its {stacks} stacks",
    )
    drawing.box((MIDDLE - 85, 4), (170, 40), ["picture", tell(hg2.picture)], kind="plain")
    drawing.line([(MIDDLE, 44), (MIDDLE, 66)])
    drawing.box((MIDDLE - 85, 66), (170, 44), ["Stem", "a quarter of the size"], link=STEM)
    drawing.text((RIGHT, 88), "Section 3.2", kind="note", anchor="start")
    for stack in range(stacks):
        _stack(drawing, hg2, stack, 110 + STACK * stack)
    return drawing.figure(
        "hg2, with every shape as channels × height × width. Each box leads to its class. hg8 is "
        "the same with eight stacks."
    )


def _stack(drawing: Drawing, network: Observed, stack: int, y: float) -> None:
    """Draw an hourglass, its head, and the way to the next stack, from `y` down."""
    name, head = f"hourglasses.{stack}", f"heads.{stack}"
    drawing.line([(MIDDLE, y), (MIDDLE, y + 34)])
    drawing.text((MIDDLE + 8, y + 17), tell(network.into(f"{name}.skip")), anchor="start")
    _glass(drawing, network, name, (MIDDLE, y + 34))
    drawing.text((RIGHT, y + 82), "Section 3.1", kind="note", anchor="start")
    drawing.line([(MIDDLE, y + 130), (MIDDLE, y + 164)])
    drawing.text((MIDDLE + 8, y + 147), tell(network.into(f"{head}.residuals")), anchor="start")
    drawing.box((MIDDLE - 85, y + 164), (170, 40), ["SupervisionHead"], link=HEAD)
    drawing.text((RIGHT, y + 148), "its own loss: Section 3.3", kind="note", anchor="start")
    drawing.line([(MIDDLE + 85, y + 184), (RIGHT, y + 184)])
    told = [f"heatmaps {stack + 1}", tell(network.out(head, 1))]
    drawing.box((RIGHT, y + 162), (150, 44), told, kind="heat", link=LOSS)
    if stack == len(network.model.feedbacks):
        return
    drawing.line([(MIDDLE, y + 204), (MIDDLE, y + 246)])
    drawing.text((MIDDLE + 8, y + 225), tell(network.out(head)), anchor="start")
    drawing.line([(RIGHT + 75, y + 206), (RIGHT + 75, y + 268), (MIDDLE + 85, y + 268)])
    outside = [(MIDDLE, y + 6), (24, y + 6), (24, y + 268), (MIDDLE - 85, y + 268)]
    drawing.line(outside, kind="skip")
    drawing.text((12, y + 137), "x")
    told = ["Feedback", "x + features + heatmaps"]
    drawing.box((MIDDLE - 85, y + 246), (170, 44), told, link=FEEDBACK)
    drawing.text((RIGHT, y + 284), "Section 3.3", kind="note", anchor="start")


def _glass(drawing: Drawing, network: Observed, name: str, top: Point) -> None:
    """Draw an hourglass standing up: wide, narrow, wide."""
    x, y = top
    half, neck, height = 85.0, 22.0, 96.0
    right = [(x + half, y), (x + neck, y + height / 2 - 8), (x + neck, y + height / 2 + 8)]
    right.append((x + half, y + height))
    left = [(2 * x - across, down) for across, down in reversed(right)]
    wide, narrow = network.into(f"{name}.skip")[1], bottom(network, name)[1]
    words = [((x, y + 16), "Hourglass"), ((x, y + height - 14), f"{wide} → {narrow} → {wide}")]
    drawing.shape([*right, *left], words, link=HOURGLASS)


def bottom(network: Observed, name: str) -> Shape:
    """Return what came out of the bottom of an hourglass."""
    return network.out(name + ".inner" * network.model.config.depth)


def hourglass() -> str:
    """Draw one hourglass of hg2: the paper's Figure 3."""
    hg2 = network("hg2")
    depth = hg2.model.config.depth
    names = ["hourglasses.0" + ".inner" * level for level in range(depth)]
    last = 2 * depth + 2  # columns: the input, depth ways down, the bottom, depth ways up, the sum
    drawing = Drawing(
        width=int(STEP * (last + 1)),
        height=int(GROUND) + 126,
        title=f"One hourglass of depth {depth}: {depth} halvings, {depth} doublings, and a "
        "residual on every skip",
        least=680,
    )
    _bar(drawing, 0, hg2.into(f"{names[0]}.skip"), "x")
    for level, name in enumerate(names):
        _bar(drawing, level + 1, hg2.out(f"{name}.down"), "down", link=RESIDUALS)
        _step(drawing, level, "÷2")
    _bar(drawing, depth + 1, bottom(hg2, names[0]), "inner", link=RESIDUALS)
    _step(drawing, depth, "")
    for level, name in reversed(list(enumerate(names))):
        _bar(drawing, last - level - 1, hg2.out(f"{name}.up"), "up", link=RESIDUALS)
    _step(drawing, depth + 1, "")
    _bar(drawing, last, hg2.into("heads.0.residuals"), "sum")
    for level, name in enumerate(names):
        _skip(drawing, hg2, name, level=level, ends=(level, last - level))
    drawing.text((STEP * (depth + 1.5), GROUND + 114), "Section 3.1", kind="note")
    return drawing.figure(
        "One hourglass of hg2, the paper's Figure 3. Bars are residuals, named as in the code; "
        "their height tells the resolution, which stands below. Max pooling halves (÷2), repeating "
        "the nearest pixel doubles (×2), and a plus adds what the skip kept."
    )


def _bar(drawing: Drawing, column: int, shape: Shape, word: str, *, link: str = HOURGLASS) -> None:
    """Draw features as high as their resolution."""
    height = _height(shape)
    x = STEP * (column + 0.5)
    kind = "block" if link == RESIDUALS else "plain"
    corner, size = (x - BAR, GROUND - height / 2), (2 * BAR, height)
    drawing.box(corner, size, [word], kind=kind, link=link, strong=False)
    drawing.text((x, GROUND + 90), "×".join(map(str, shape[1:])))


def _height(shape: Shape) -> float:
    return 29.0 * log2(shape[1]) - 26.0


def _step(drawing: Drawing, column: int, word: str) -> None:
    """Draw the way from a column to the next, or to the plus that stands before it."""
    start, end = STEP * (column + 0.5) + BAR, STEP * (column + 1.5) - BAR
    drawing.line([(start, GROUND), (end, GROUND)])
    drawing.text(((start + end) / 2, GROUND - 12), word, kind="note")


def _skip(
    drawing: Drawing, network: Observed, name: str, *, level: int, ends: tuple[int, int]
) -> None:
    """Draw a skip with its residual, and what it is added to."""
    row = 24.0 + 46 * level
    x0, x1 = STEP * (ends[0] + 0.5), STEP * (ends[1] + 0.5) - BAR - 14
    top = GROUND - _height(network.into(f"{name}.skip")) / 2
    drawing.line([(x0, top), (x0, row), (x1, row), (x1, GROUND - 10)], kind="skip")
    told = ["skip", tell(network.out(f"{name}.skip"))]
    drawing.box(((x0 + x1) / 2 - 70, row - 19), (140, 38), told, link=RESIDUALS)
    before = STEP * (ends[1] - 0.5) + BAR
    drawing.line([(before, GROUND), (x1 - 10, GROUND)])
    drawing.text(((before + x1 + 14) / 2, GROUND + 20), "×2", kind="note")
    drawing.line([(x1 + 10, GROUND), (x1 + 14, GROUND)], arrow=False)
    drawing.plus((x1, GROUND), link=ADD)


def residual() -> str:
    """Draw a residual that keeps the channels, and one that changes them."""
    drawing = Drawing(
        width=474,
        height=376,
        title="The pre-activation bottleneck, where the channels stay and where they change",
    )
    hg2 = network("hg2")
    _residual(drawing, hg2, "hourglasses.0.skip.0", 4, "the channels stay")
    _residual(drawing, hg2, "stem.residual1", 240, "the channels change")
    return drawing.figure(
        "Left, a residual inside hg2's hourglasses; right, the first one of its stem. Only where "
        "the channels change does the skip have a layer."
    )


def _residual(drawing: Drawing, network: Observed, name: str, x: float, words: str) -> None:
    middle, skip, width = x + 156, x + 48, 152.0
    left = middle - width / 2
    block = network.model.get_submodule(name)
    drawing.text((middle, 10), words, kind="note")
    drawing.text((middle, 34), tell(network.into(name)), kind="strong")
    drawing.line([(middle, 44), (middle, 72)])
    for number, layer in enumerate(("conv1", "conv2", "conv3")):
        top = 72 + 78 * number
        told = [f"BN · ReLU · {_kernel(block, layer)}", tell(network.out(f"{name}.{layer}"))]
        drawing.box((left, top), (width, 46), told, link=RESIDUAL)
        drawing.line([(middle, top + 46), (middle, top + (78 if number < 2 else 64))])
    drawing.line([(middle, 54), (skip, 54), (skip, 302), (middle - 11, 302)], kind="skip")
    if isinstance(block.get_submodule("skip"), nn.Identity):
        drawing.text((skip - 6, 195), "as it is", anchor="end")
    else:
        told = [_kernel(block, "skip")]
        drawing.box((skip - 20, 177), (40, 36), told, link=RESIDUAL)
    drawing.plus((middle, 302), link=RESIDUAL)
    drawing.line([(middle, 312), (middle, 340)])
    drawing.text((middle, 354), tell(network.out(name)), kind="strong")


def _kernel(block: nn.Module, name: str) -> str:
    height, width = block.get_submodule(name).kernel_size
    return f"{height}×{width}"


def supervision() -> str:
    """Draw a head and the feedback behind it."""
    hg2 = network("hg2")
    head, feedback, middle, right = "heads.0", "feedbacks.0", 140.0, 330.0
    module = hg2.model.get_submodule(head)
    drawing = Drawing(
        width=430,
        height=468,
        title="A supervision head, and how the next stack gets its features and heatmaps",
    )
    drawing.text((middle, 12), f"from the hourglass: {tell(hg2.into(head))}", kind="strong")
    drawing.line([(middle, 22), (middle, 46)])
    told = ["Residuals", tell(hg2.out(f"{head}.residuals"))]
    drawing.box((middle - 80, 46), (160, 46), told, link=RESIDUALS)
    drawing.line([(middle, 92), (middle, 118)])
    told = [f"{_kernel(module, 'conv')} · BN · ReLU", tell(hg2.out(f"{head}.conv"))]
    drawing.box((middle - 80, 118), (160, 46), told, link=HEAD)
    drawing.line([(middle, 178), (right, 178), (right, 200)])
    told = [_kernel(module, "heatmaps"), tell(hg2.out(f"{head}.heatmaps"))]
    drawing.box((right - 70, 200), (140, 46), told, link=HEAD)
    drawing.text((right, 264), "heatmaps 1, to the loss", kind="strong")
    drawing.line([(right, 276), (right, 304)])
    drawing.line([(middle, 164), (middle, 304)])
    drawing.text((middle + 8, 264), "features", anchor="start")
    fed = hg2.model.get_submodule(feedback)
    for x, part in ((middle, "feats"), (right, "heatmaps")):
        told = [_kernel(fed, part), tell(hg2.out(f"{feedback}.{part}"))]
        drawing.box((x - 70, 304), (140, 46), told, link=FEEDBACK)
    drawing.line([(middle, 350), (middle, 390)])
    drawing.line([(right, 350), (right, 400), (middle + 11, 400)])
    drawing.line([(32, 350), (32, 400), (middle - 11, 400)], kind="skip")
    drawing.text((32, 336), "x")
    drawing.plus((middle, 400), link=FEEDBACK)
    drawing.line([(middle, 410), (middle, 438)])
    drawing.text((middle, 454), f"to the next stack: {tell(hg2.out(feedback))}", kind="strong")
    drawing.text((middle + 92, 69), "SupervisionHead, 3.1", kind="note", anchor="start")
    drawing.text((right - 8, 384), "Feedback, 3.3", kind="note", anchor="end")
    return drawing.figure(
        "The head of hg2's first stack, and the feedback behind it; x is what the hourglass was "
        "given. The heatmaps' layer is linear, so a heatmap may be negative."
    )


def stem() -> str:
    """Draw both stems of the field side by side."""
    drawing = Drawing(
        width=430,
        height=424,
        title="The stem of hg2, wide, and that of the paper's authors, original",
    )
    _stem(drawing, network("hg2"), 106, "hg2: wide")
    _stem(drawing, network("hg2_original"), 324, "hg2_original: the authors'")
    return drawing.figure(
        "Two stems that both fit the paper's words. They differ in one width: what comes out of "
        "the second residual."
    )


def _stem(drawing: Drawing, network: Observed, middle: float, words: str) -> None:
    stem = network.model.stem
    first = f"{_kernel(stem, 'conv')}, stride {stem.conv.stride[0]} · BN · ReLU"
    drawing.text((middle, 10), words, kind="note")
    drawing.text((middle, 34), tell(network.picture), kind="strong")
    rows: list[tuple[str, Shape, str]] = [
        (first, network.out("stem.conv"), STEM),
        ("residual", network.out("stem.residual1"), RESIDUAL),
        ("max pooling", network.into("stem.residual2"), STEM),
        ("residual", network.out("stem.residual2"), RESIDUAL),
        ("residual", network.out("stem.residual3"), RESIDUAL),
    ]
    for number, (name, shape, link) in enumerate(rows):
        top = 66 + 72 * number
        drawing.line([(middle, top - (26 if number else 24)), (middle, top)])
        drawing.box((middle - 100, top), (200, 46), [name, tell(shape)], link=link)


def body(function: Callable[..., object]) -> str:
    """Return what a function does, without signature and docstring, as a block of code.

    The fence is written so that no test takes the lines, cut out of their function, for an example
    to run.
    """
    source = dedent(inspect.getsource(function))
    (defined,) = ast.parse(source).body
    assert isinstance(defined, ast.FunctionDef)
    lines = source.splitlines()[defined.body[1].lineno - 1 : defined.end_lineno]
    return "\n".join(("``` { .python }", dedent("\n".join(lines)), "```"))


PARTS: dict[tuple[str, str], Make] = {
    ("docs/anatomy.md", "whole"): whole,
    ("docs/anatomy.md", "stem"): stem,
    ("docs/anatomy.md", "hourglass"): hourglass,
    ("docs/anatomy.md", "residual"): residual,
    ("docs/anatomy.md", "supervision"): supervision,
    ("docs/anatomy.md", "the forward pass"): partial(body, StackedHourglass._stacks),
    ("docs/anatomy.md", "Stem.forward"): partial(body, blocks.Stem.forward),
    ("docs/anatomy.md", "Hourglass.pyramid"): partial(body, blocks.Hourglass.pyramid),
    ("docs/anatomy.md", "PreActBottleneck.forward"): partial(body, blocks.PreActBottleneck.forward),
    ("docs/anatomy.md", "SupervisionHead.forward"): partial(body, blocks.SupervisionHead.forward),
    ("docs/anatomy.md", "Feedback.forward"): partial(body, blocks.Feedback.forward),
}
