"""Left and right: how often they are mistaken for each other, and what that costs.

A joint counts here when it belongs to an arm (shoulder, elbow, wrist) or a leg (hip, knee, ankle),
and is annotated on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hgzoo import metrics
from hgzoo.metrics import Bools, Floats
from hgzoo.scoring import Truth
from hgzoo.skeletons import Skeleton

LIMBS = {"arm": ("shoulder", "elbow", "wrist"), "leg": ("hip", "knee", "ankle")}
"""The joints of each limb, by name without the side."""

AS_FOUND = "as found"


@dataclass(frozen=True, kw_only=True)
class Sides:
    """How well left and right are told apart, percent.

    Attributes:
        exchanged: Joints within the threshold of the other side's joint and not of their own: of
            "all", and by joint.
        orders: Correct joints "as found", and if somebody who knows the truth exchanged left and
            right where more joints become correct than before: those of the whole "body", of all
            "limbs" (both arms, both legs), or of all "pairs".
        together: Pairs at one place, that is with both joints within the threshold of each other:
            "as found", and in "truth".
    """

    exchanged: dict[str, float]
    orders: dict[str, float]
    together: dict[str, float]


def judge(truth: Truth, predicted: Floats, *, threshold: float) -> Sides | None:
    """Tell how well left and right are told apart.

    Args:
        truth: What annotators say.
        predicted: [N, K, 2], pixels in the same convention; nan is a miss.
        threshold: Fraction of the reference length.

    Returns:
        The figures; None where no pair of joints of arms or legs is annotated.

    Examples:
        >>> import numpy as np
        >>> from hgzoo import SKELETONS
        >>> from hgzoo.scoring import Truth
        >>> from hgzoo.sides import judge
        >>> lsp = SKELETONS["lsp"]
        >>> places = np.arange(14.0)[None, :, None].repeat(2, axis=2)  # a pixel apart
        >>> truth = Truth(
        ...     keypoints=places,
        ...     visible=np.ones((1, 14), bool),
        ...     hidden=None,
        ...     reference=np.full(1, 1.0),
        ...     skeleton=lsp,
        ... )
        >>> found = places.copy()
        >>> found[:, [6, 7, 8, 9, 10, 11]] = places[:, [11, 10, 9, 8, 7, 6]]  # the arms
        >>> judge(truth, found, threshold=0.2).orders
        {'as found': 50.0, 'body': 50.0, 'limbs': 100.0, 'pairs': 100.0}
    """
    limbs = pairs_of(truth.skeleton)
    pairs = {joint: pair for limb in limbs.values() for joint, pair in limb.items()}
    index = np.array(list(pairs.values()), int).reshape(-1, 2)  # [P, 2]
    left, right = index.T
    both: Bools = truth.visible[:, left] & truth.visible[:, right]  # [N, P]
    if not both.any():
        return None
    counts = np.repeat(both[..., None], 2, axis=2)  # [N, P, 2]
    places, found = truth.keypoints[:, index], predicted[:, index]  # both [N, P, 2, 2]
    reach = threshold * truth.reference[:, None, None]
    own = _near(found, places, reach) & counts
    other = _near(found, places[:, :, ::-1], reach) & counts
    swapped = other & ~own
    names = list(pairs)
    units = {
        "body": [list(range(len(names)))],
        "limbs": [[names.index(joint) for joint in limb] for limb in limbs.values()],
        "pairs": [[number] for number in range(len(names))],
    }
    # What is found for the left joint is the right one's after an exchange.
    after = other[:, :, ::-1]
    return Sides(
        exchanged={
            "all": metrics.pooled(swapped, counts),
            **{
                joint: metrics.pooled(swapped[:, number], counts[:, number])
                for number, joint in enumerate(names)
            },
        },
        orders={
            AS_FOUND: metrics.pooled(own, counts),
            **{
                name: metrics.pooled(_better(own, after, groups), counts)
                for name, groups in units.items()
            },
        },
        together={
            AS_FOUND: metrics.pooled(_near(found[:, :, 0], found[:, :, 1], reach[..., 0]), both),
            "truth": metrics.pooled(_near(places[:, :, 0], places[:, :, 1], reach[..., 0]), both),
        },
    )


def pairs_of(skeleton: Skeleton) -> dict[str, dict[str, tuple[int, int]]]:
    """Return by limb, then by joint, the indexes of the left and the right one.

    Examples:
        >>> from hgzoo import SKELETONS
        >>> from hgzoo.sides import pairs_of
        >>> pairs_of(SKELETONS["coco"])["leg"]
        {'hip': (11, 12), 'knee': (13, 14), 'ankle': (15, 16)}
        >>> pairs_of(SKELETONS["box"])
        {}
    """
    index = {name: number for number, name in enumerate(skeleton.keypoints)}
    limbs = {
        limb: {
            joint: (index[f"left_{joint}"], index[f"right_{joint}"])
            for joint in joints
            if {f"left_{joint}", f"right_{joint}"} <= index.keys()
        }
        for limb, joints in LIMBS.items()
    }
    return {limb: pairs for limb, pairs in limbs.items() if pairs}


def _near(one: Floats, other: Floats, reach: Floats) -> Bools:
    """Tell which points [..., 2] lie within reach of each other; nan is far."""
    near: Bools = np.linalg.norm(one - other, axis=-1) <= reach
    return near


def _better(own: Bools, after: Bools, groups: Sequence[Sequence[int]]) -> Bools:
    """Exchange left and right in each group of pairs where that makes more joints correct.

    Args:
        own: Correct as they are, [N, P, 2].
        after: Correct after an exchange, [N, P, 2].
        groups: Indexes of pairs that are exchanged together.
    """
    best = own.copy()
    for group in groups:
        gains = after[:, group].sum((1, 2)) > own[:, group].sum((1, 2))  # [N]
        best[np.ix_(gains, group)] = after[np.ix_(gains, group)]
    return best
