"""How long the variants take for a picture, as multiples of one of them, which takes turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch

from hgzoo.benchmark.networks import in_turns
from hgzoo.benchmark.subjects import subject
from hgzoo.lean import LeanHourglass

BASE = "hg2"
"""What the others are compared with."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What one variant comes to.

    Attributes:
        name: Of the variant.
        parameters: Its trainable numbers.
        macs: Multiplications, each with its addition, that the plain network needs a picture.
        seconds: For one picture of its own input size, a number a round; those of one place ran
            in one round with those of the other variants.
    """

    name: str
    parameters: int
    macs: int
    seconds: tuple[float, ...]


def variant_speeds(names: Sequence[str], *, repeats: int, progress: bool = True) -> list[Variant]:
    """Let variants read a picture each, in turns, as `hgzoo.Predictor` runs them: lean, float32.

    Weights are random unless they come with hgzoo; the time does not depend on them.

    Args:
        names: Variants, or paths of recipes.
        repeats: Rounds that count, 1 or more; a first one does not.
        progress: Show a progress bar.

    Returns:
        A row for each.
    """
    subjects = [subject(name) for name in names]
    calls = {}
    for one in subjects:
        size = (1, one.model.config.in_channels, *one.model.input.size)
        calls[one.name] = partial(LeanHourglass(one.model), torch.zeros(size))
    seconds = in_turns(calls, "variants", repeats=repeats, progress=progress)
    return [
        Variant(
            name=one.name,
            parameters=one.parameters,
            macs=one.macs,
            seconds=tuple(seconds[one.name]),
        )
        for one in subjects
    ]
