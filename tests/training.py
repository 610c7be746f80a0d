"""A small network's training: recipe, network and held-out set."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from hgzoo import engine
from hgzoo.config import AugmentConfig, InputSpec, Options, OutputSpec, Recipe, TrainConfig
from hgzoo.data import Sample
from hgzoo.model import StackedHourglass
from hgzoo.skeletons import SKELETONS
from tests.conftest import small_config

QUIET = Options(progress=False)
RECIPE = Recipe(
    name="small",
    summary="Small.",
    model=small_config(num_feats=8, depth=1, stem_channels=(2, 4, 8, 8)),
    input=InputSpec(size=(32, 48)),
    output=OutputSpec(heatmaps="logits", skeleton=SKELETONS["lsp"], decoder="taylor"),
    train=TrainConfig(
        loss="spatial_cross_entropy",
        epochs=3,
        batch_size=4,
        lr=1e-2,
        ema_decay=0.9,
        clip_grad=1.0,
        warmup_epochs=0.5,
        augment=AugmentConfig(rotation_prob=0.5),
    ),
)


def changed(**train: object) -> Recipe:
    return replace(RECIPE, train=replace(RECIPE.train, **train))


def network(recipe: Recipe) -> StackedHourglass:
    torch.manual_seed(0)
    return StackedHourglass(recipe.model, input=recipe.input, output=recipe.output)


def held_out(people: Sequence[Sample], *, share: float = 1.0) -> dict[str, engine.HeldOut]:
    """Give people as the one set to evaluate on."""
    return {"lsp": engine.HeldOut(samples=people, skeleton=SKELETONS["lsp"], share=share)}


def short(fit: Callable[..., Any]) -> Callable[..., Any]:
    """Let training end after one epoch of small batches."""

    def fitted(recipe: Recipe, *arguments: Any, **options: Any) -> Any:
        train = replace(recipe.train, epochs=1, batch_size=2, warmup_epochs=0.0)
        return fit(replace(recipe, train=train), *arguments, **options)

    return fitted
