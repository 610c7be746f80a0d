"""What is measured: networks, whose weights may be random, and the crops they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hgzoo import factory, recipes
from hgzoo.benchmark.counting import multiplications
from hgzoo.config import InputSpec, Recipe
from hgzoo.data import Sample, crop_of
from hgzoo.geometry import Crop
from hgzoo.model import StackedHourglass
from hgzoo.pictures import DEMO, load
from hgzoo.skeletons import SKELETONS

CALIBRATION = 100
"""Training crops that int8 is calibrated on."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A network to measure.

    Attributes:
        name: As it was asked for.
        model: In evaluation mode.
        trained: Whether its weights are anybody's, or random.
        parameters: Its trainable numbers.
        macs: Multiplications, each with its addition, that the plain network needs a picture.
    """

    name: str
    model: StackedHourglass
    trained: bool
    parameters: int
    macs: int


def subject(name: str) -> Subject:
    """Build a network to measure.

    A variant of the zoo whose weights do not come with hgzoo gets random ones: nothing is
    downloaded unless weights are named.

    Args:
        name: As for `hgzoo.factory.load_model`, or the path of a recipe.

    Raises:
        UnknownNameError: There is no such variant or weights.
        WeightsError: Weights that are named cannot be had.
    """
    is_variant = name in recipes.names() or Path(name).suffix in recipes.SUFFIXES
    recipe = factory.model_info(name) if is_variant else None
    bare = recipe is not None and not _packaged(recipe)
    model = random_model(recipe) if recipe and bare else factory.load_model(name)
    height, width = model.input.size
    with torch.device("meta"):
        double = StackedHourglass(model.config).eval()
        macs = multiplications(double, torch.empty(1, model.config.in_channels, height, width))
    return Subject(
        name=name,
        model=model.eval().to(memory_format=torch.contiguous_format),
        trained=not bare,
        parameters=sum(one.numel() for one in model.parameters()),
        macs=macs,
    )


def _packaged(recipe: Recipe) -> bool:
    return bool(recipe.default_weights) and bool(recipe.weights[recipe.default_weights].file)


def random_model(recipe: Recipe) -> StackedHourglass:
    """Build a network with random weights whose batch norms do something, the same every time."""
    random = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = StackedHourglass(recipe.model, input=recipe.input, output=recipe.output)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            for numbers in (part.weight.data, part.running_var):
                numbers.uniform_(0.5, 1.5, generator=random)
            for numbers in (part.bias.data, part.running_mean):
                numbers.normal_(0.0, 0.1, generator=random)
    return model.eval()


def demo_crops(spec: InputSpec) -> list[NDArray[np.uint8]]:
    """Cut the picture that comes with hgzoo at seven boxes, each [*spec.size, 3], RGB, 0..255."""
    pixels = load(DEMO)
    height, width = pixels.shape[:2]
    places = [
        (side, left * (1.0 - side), top * (1.0 - side))
        for side in (0.75, 1.25)
        for left, top in ((0.0, 0.0), (0.5, 0.0), (0.0, 0.5))
    ]
    boxes = [
        (left * width, top * height, (left + side) * width, (top + side) * height)
        for side, left, top in [(1.0, 0.0, 0.0), *places]
    ]
    return [Crop.from_box(box, size=spec.size).warp(pixels) for box in boxes]


def training_crops(people: Sequence[Sample], spec: InputSpec) -> list[NDArray[np.uint8]]:
    """Cut crops of `CALIBRATION` people, evenly spread, each [*spec.size, 3], RGB, 0..255."""
    places = np.linspace(0, len(people) - 1, min(CALIBRATION, len(people))).round().astype(int)
    chosen = [people[place] for place in places]
    return [crop_of(person, spec).warp(load(person.path)) for person in chosen]


def has_lsp_keypoints(one: Subject) -> bool:
    """Tell whether a network can be evaluated on LSP: it is trained, and has LSP's keypoints."""
    model = one.model
    skeleton = model.output.skeleton_for(model.config.num_keypoints)
    return one.trained and set(SKELETONS["lsp"].keypoints) <= set(skeleton.keypoints)
