"""The nouns: what the keypoints of a dataset are called, and one person's keypoints.

The orders of MPII, LSP and FLIC are those of their published annotation files (FLIC's that of the
paper's authors); COCO's is that of its API. Two are no dataset's: "people" is COCO's keypoints,
then the neck and the top of the head as LSP and MPII have them, and "box" the middles of a box and
of its four edges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hgzoo.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


UPPER = frozenset(
    ("head", "face", "nose", "eye", "ear", "chin", "neck", "thorax", "shoulder", "elbow", "wrist")
)
"""Words in names of keypoints above the waist."""

LOWER = frozenset(("pelvis", "hip", "knee", "ankle", "heel", "toe", "foot"))
"""Words in names of keypoints below the waist."""


COCO_SIGMAS = (
    *(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072),
    *(0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
)
"""How far annotators differ from each other on COCO's 17 keypoints, over the root of the area."""

DEFAULT_SIGMA = 0.05
"""For keypoints that nobody measured annotators on."""


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """Names, mirror pairs, limbs and reporting groups of one set of keypoints.

    Attributes:
        name: Short name, such as "mpii".
        keypoints: K names, in the order of the heatmaps.
        flip_pairs: Index pairs that a mirror swaps (left and right of one joint).
        limbs: Index pairs that a drawing joins by a line.
        groups: What a table reports: a label and the keypoints it averages.

    Examples:
        >>> from hgzoo import Skeleton
        >>> hand = Skeleton(
        ...     name="hand",
        ...     keypoints=("wrist", "left_tip", "right_tip"),
        ...     flip_pairs=((1, 2),),
        ...     limbs=((0, 1), (0, 2)),
        ... )
        >>> hand.num_keypoints, hand.flip_index
        (3, [0, 2, 1])
    """

    name: str
    keypoints: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...] = ()
    limbs: tuple[tuple[int, int], ...] = ()
    groups: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse indices that name no keypoint.

        Raises:
            ConfigError: An index is not in 0..K-1, or two keypoints share a name.
        """
        used = [
            index
            for pair in (*self.flip_pairs, *self.limbs, *self.groups.values())
            for index in pair
        ]
        if any(not 0 <= index < self.num_keypoints for index in used):
            raise ConfigError(
                f"skeleton {self.name!r} has {self.num_keypoints} keypoints, but a pair, limb or "
                f"group names index {max(used, key=abs)}; "
                f"indices run from 0 to {self.num_keypoints - 1}"
            )
        mirrored = [index for pair in self.flip_pairs for index in pair]
        if len(set(mirrored)) != len(mirrored):
            raise ConfigError(f"skeleton {self.name!r} mirrors a keypoint twice")
        if len(set(self.keypoints)) != self.num_keypoints:
            raise ConfigError(f"skeleton {self.name!r} gives two keypoints the same name")

    @property
    def num_keypoints(self) -> int:
        """K."""
        return len(self.keypoints)

    @property
    def sigmas(self) -> tuple[float, ...]:
        """How far each keypoint may lie off, over the root of the area, for OKS, [K].

        COCO's for keypoints that begin with COCO's 17, `DEFAULT_SIGMA` for others.

        Examples:
            >>> from hgzoo import SKELETONS
            >>> SKELETONS["coco"].sigmas[:3], SKELETONS["lsp"].sigmas[:3]
            ((0.026, 0.025, 0.025), (0.05, 0.05, 0.05))
        """
        begins = self.keypoints[: len(COCO_SIGMAS)] == _COCO.keypoints
        known = COCO_SIGMAS if begins else ()
        return (*known, *(DEFAULT_SIGMA,) * (self.num_keypoints - len(known)))

    @property
    def flip_index(self) -> list[int]:
        """For each keypoint, the index that takes its place in a mirrored picture."""
        index = list(range(self.num_keypoints))
        for left, right in self.flip_pairs:
            index[left], index[right] = right, left
        return index

    @property
    def halves(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Indexes of the keypoints above and below the waist, as far as names tell.

        Examples:
            >>> from hgzoo import SKELETONS
            >>> SKELETONS["coco"].halves[1]
            (11, 12, 13, 14, 15, 16)
            >>> SKELETONS["box"].halves
            ((), ())
        """
        words = [set(name.lower().split("_")) for name in self.keypoints]
        upper, lower = (
            tuple(i for i, word in enumerate(words) if word & half) for half in (UPPER, LOWER)
        )
        return upper, lower


@dataclass(frozen=True, kw_only=True, eq=False)
class Pose:
    """One person's keypoints in one picture.

    Attributes:
        keypoints: (x, y), [K, 2], pixels of the picture as a viewer shows it (EXIF rotation
            applied), (0, 0) being the center of the top-left pixel; float64. NaN where a
            keypoint is missing; a network gives a place for every one of its own.
        scores: [K], float64; peak heights, in 0..1 for networks whose heatmaps are logits; 0 where
            a keypoint is missing.
        names: K names.
        box: (x0, y0, x1, y1), edges of the region that was asked about, in pixels of the picture.
        skeleton: Where names, limbs and pairs come from.
        heatmaps: Every stack's heatmaps as heights, first to last, [S, K, H, W], float32, when
            they were asked for.
    """

    keypoints: NDArray[np.float64]
    scores: NDArray[np.float64]
    names: tuple[str, ...]
    box: tuple[float, float, float, float]
    skeleton: Skeleton
    heatmaps: NDArray[np.float32] | None = None

    def as_skeleton(self, skeleton: str | Skeleton | Sequence[str]) -> Pose:
        """Return the same person with the keypoints of another skeleton, in its order.

        Keypoints are taken by their names. Of those that are not there, some follow from others:

        - `neck` is `upper_neck`, and the other way round: LSP's neck is MPII's upper neck;
        - `pelvis` is the middle between the hips;
        - `thorax` is the middle between the shoulders.

        The score of a middle is the lower one of its two. No other keypoint is guessed: it is
        missing, (NaN, NaN) with score 0. A drawing leaves it out, and JSON has null for it.

        Args:
            skeleton: The name of a built-in one ("coco", "flic", "lsp", "mpii", "people"), one of
                your own, or names of keypoints, each of which can be had here.

        Returns:
            A new pose with the same box. Names alone give a skeleton without a name, with the
            pairs, limbs and groups of those that are left. Heatmaps are kept, in the new order,
            if each keypoint has one; they are None where a keypoint is a middle or missing.

        Raises:
            UnknownNameError: There is no such skeleton, or a named keypoint cannot be had.
            ConfigError: None of the skeleton's keypoints can be had, or one is named twice.

        Examples:
            >>> import hgzoo
            >>> predictor = hgzoo.Predictor("hg2_tiny")
            >>> (pose,) = predictor("photo.jpg", boxes=[(100, 80, 300, 460)])
            >>> coco = pose.as_skeleton("coco")
            >>> coco.names[0], bool((coco.keypoints == pose.keypoints[:17]).all())
            ('nose', True)
            >>> pelvis = pose.as_skeleton("mpii").keypoints[6]
            >>> bool((pelvis == pose.keypoints[[11, 12]].mean(0)).all())
            True
            >>> arm = pose.as_skeleton(["left_shoulder", "left_elbow", "left_wrist"])
            >>> arm.keypoints.shape, arm.skeleton.limbs
            ((3, 2), ((0, 1), (1, 2)))
            >>> pose.as_skeleton(["left_wrst"])
            Traceback (most recent call last):
                ...
            hgzoo.errors.UnknownNameError: unknown keypoint 'left_wrst'; did you mean left_...
        """
        import numpy as np

        wanted = get(skeleton) if isinstance(skeleton, str) else skeleton
        if not isinstance(wanted, Skeleton):
            wanted = self._part(tuple(wanted))
        rows = origins(wanted, self.names)
        keypoints = np.full((len(rows), 2), np.nan)
        scores = np.zeros(len(rows))
        for row, found in enumerate(rows):
            if found:
                keypoints[row] = self.keypoints[list(found)].mean(0)
                scores[row] = self.scores[list(found)].min()
        heatmaps = None
        if self.heatmaps is not None and all(len(found) == 1 for found in rows):
            heatmaps = self.heatmaps[:, [found[0] for found in rows]]
        return replace(
            self,
            keypoints=keypoints,
            scores=scores,
            names=wanted.keypoints,
            skeleton=wanted,
            heatmaps=heatmaps,
        )

    def _part(self, names: tuple[str, ...]) -> Skeleton:
        """Return a skeleton of named keypoints, with what is left of this pose's own."""
        for name in names:
            if not _origins(name, self.names):
                known = {*self.names, *(one for one in _FOLLOWS if _origins(one, self.names))}
                raise UnknownNameError("keypoint", name, known)
        found = [_origins(name, self.skeleton.keypoints) for name in names]
        place = {one[0]: new for new, one in enumerate(found) if len(one) == 1}
        groups = {
            label: tuple(place[index] for index in group if index in place)
            for label, group in self.skeleton.groups.items()
        }
        return Skeleton(
            name="",
            keypoints=names,
            flip_pairs=_moved(self.skeleton.flip_pairs, place),
            limbs=_moved(self.skeleton.limbs, place),
            groups={label: group for label, group in groups.items() if group},
        )


_FOLLOWS = {
    "neck": ("upper_neck",),
    "upper_neck": ("neck",),
    "pelvis": ("left_hip", "right_hip"),
    "thorax": ("left_shoulder", "right_shoulder"),
}
"""What a keypoint that is not there follows from: another name of it, or two it is between."""


def origins(skeleton: Skeleton, names: Sequence[str]) -> list[tuple[int, ...]]:
    """Tell from which of some keypoints each of a skeleton's is taken; see `Pose.as_skeleton`.

    Args:
        skeleton: With K keypoints.
        names: Of the keypoints there are.

    Returns:
        K tuples of indices of `names`: one, two whose middle it is, or none where it is missing.

    Raises:
        ConfigError: None of them can be had.

    Examples:
        >>> from hgzoo import SKELETONS
        >>> from hgzoo.skeletons import origins
        >>> origins(SKELETONS["mpii"], SKELETONS["lsp"].keypoints)[5:9]
        [(5,), (3, 2), (9, 8), (12,)]
    """
    rows = [_origins(name, names) for name in skeleton.keypoints]
    if not any(rows):
        raise ConfigError(
            f"no keypoint of skeleton {skeleton.name!r} can be had; there are {', '.join(names)}"
        )
    return rows


def _origins(name: str, names: Sequence[str]) -> tuple[int, ...]:
    found = (name,) if name in names else _FOLLOWS.get(name, ())
    return tuple(names.index(one) for one in found) if set(found) <= set(names) else ()


def _moved(
    pairs: Sequence[tuple[int, int]], place: Mapping[int, int]
) -> tuple[tuple[int, int], ...]:
    """Return those pairs of which both ends have a new place."""
    return tuple((place[a], place[b]) for a, b in pairs if a in place and b in place)


_LSP = Skeleton(
    name="lsp",
    keypoints=(
        *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle"),
        *("right_wrist", "right_elbow", "right_shoulder"),
        *("left_shoulder", "left_elbow", "left_wrist", "neck", "head_top"),
    ),
    flip_pairs=((0, 5), (1, 4), (2, 3), (6, 11), (7, 10), (8, 9)),
    limbs=(
        *((0, 1), (1, 2), (2, 3), (3, 4), (4, 5)),
        *((6, 7), (7, 8), (8, 12), (12, 9), (9, 10), (10, 11), (12, 13), (8, 2), (9, 3)),
    ),
    groups={
        "head": (12, 13),
        "shoulder": (8, 9),
        "elbow": (7, 10),
        "wrist": (6, 11),
        "hip": (2, 3),
        "knee": (1, 4),
        "ankle": (0, 5),
    },
)

_MPII = Skeleton(
    name="mpii",
    keypoints=(
        *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle"),
        *("pelvis", "thorax", "upper_neck", "head_top", "right_wrist", "right_elbow"),
        *("right_shoulder", "left_shoulder", "left_elbow", "left_wrist"),
    ),
    flip_pairs=((0, 5), (1, 4), (2, 3), (10, 15), (11, 14), (12, 13)),
    limbs=(
        *((0, 1), (1, 2), (2, 6), (6, 3), (3, 4), (4, 5), (6, 7), (7, 8), (8, 9)),
        *((10, 11), (11, 12), (12, 7), (7, 13), (13, 14), (14, 15)),
    ),
    groups={
        "head": (8, 9),
        "shoulder": (12, 13),
        "elbow": (11, 14),
        "wrist": (10, 15),
        "hip": (2, 3),
        "knee": (1, 4),
        "ankle": (0, 5),
    },
)

_COCO = Skeleton(
    name="coco",
    keypoints=(
        *("nose", "left_eye", "right_eye", "left_ear", "right_ear"),
        *(
            "left_shoulder",
            "right_shoulder",
            "left_elbow",
            "right_elbow",
            "left_wrist",
            "right_wrist",
        ),
        *("left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"),
    ),
    flip_pairs=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
    limbs=(
        *((15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7)),
        *((6, 8), (7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6)),
    ),
    groups={
        "head": (0, 1, 2, 3, 4),
        "shoulder": (5, 6),
        "elbow": (7, 8),
        "wrist": (9, 10),
        "hip": (11, 12),
        "knee": (13, 14),
        "ankle": (15, 16),
    },
)

_PEOPLE = Skeleton(
    name="people",
    keypoints=(*_COCO.keypoints, "neck", "head_top"),
    flip_pairs=_COCO.flip_pairs,
    limbs=(
        *((15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 17), (6, 17)),
        *((5, 7), (6, 8), (7, 9), (8, 10), (17, 18), (17, 0), (0, 1), (0, 2), (1, 3), (2, 4)),
    ),
    groups={
        "face": (0, 1, 2, 3, 4),
        "head": (17, 18),
        "shoulder": (5, 6),
        "elbow": (7, 8),
        "wrist": (9, 10),
        "hip": (11, 12),
        "knee": (13, 14),
        "ankle": (15, 16),
    },
)

_FLIC = Skeleton(
    name="flic",
    keypoints=(
        *("left_shoulder", "left_elbow", "left_wrist"),
        *("right_shoulder", "right_elbow", "right_wrist", "left_hip", "right_hip"),
        *("left_eye", "right_eye", "nose"),
    ),
    flip_pairs=((0, 3), (1, 4), (2, 5), (6, 7), (8, 9)),
    limbs=(
        *((0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (0, 6), (3, 7), (6, 7)),
        *((8, 10), (9, 10), (10, 0), (10, 3)),
    ),
    groups={"elbow": (1, 4), "wrist": (2, 5)},
)

_BOX = Skeleton(
    name="box",
    keypoints=("center", "left", "top", "right", "bottom"),
    flip_pairs=((1, 3),),
    limbs=((0, 1), (0, 2), (0, 3), (0, 4)),
    groups={"center": (0,), "sides": (1, 3), "ends": (2, 4)},
)

SKELETONS: dict[str, Skeleton] = {
    "box": _BOX,
    "coco": _COCO,
    "flic": _FLIC,
    "lsp": _LSP,
    "mpii": _MPII,
    "people": _PEOPLE,
}
"""Every built-in skeleton by name."""

PEOPLE = (_COCO, _LSP, _MPII, _PEOPLE)
"""Those of whole people."""


def get(name: str) -> Skeleton:
    """Look a built-in skeleton up.

    Args:
        name: A key of `SKELETONS`, or "" for points without names.

    Raises:
        UnknownNameError: There is no such skeleton.

    Examples:
        >>> from hgzoo.skeletons import get
        >>> get("mpii").num_keypoints
        16
        >>> get("mpi")
        Traceback (most recent call last):
            ...
        hgzoo.errors.UnknownNameError: unknown skeleton 'mpi'; did you mean mpii?
    """
    if name and name not in SKELETONS:
        raise UnknownNameError("skeleton", name, SKELETONS)
    return SKELETONS[name] if name else nameless(0)


def matching(source: Skeleton, target: Skeleton) -> list[int]:
    """Return for each keypoint of the target its index in the source, or -1, [K].

    Examples:
        >>> from hgzoo.skeletons import SKELETONS, matching
        >>> matching(SKELETONS["coco"], SKELETONS["lsp"])
        [16, 14, 12, 11, 13, 15, 10, 8, 6, 5, 7, 9, -1, -1]
    """
    index = {name: number for number, name in enumerate(source.keypoints)}
    return [index.get(name, -1) for name in target.keypoints]


def nameless(num_keypoints: int) -> Skeleton:
    """Return K points without meaning: `keypoint_0` to `keypoint_{K-1}`, no pairs, no limbs.

    Examples:
        >>> from hgzoo.skeletons import nameless
        >>> nameless(2).keypoints
        ('keypoint_0', 'keypoint_1')
    """
    return Skeleton(name="", keypoints=tuple(f"keypoint_{i}" for i in range(num_keypoints)))
