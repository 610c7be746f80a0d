"""Keypoints of a video without their tremor: the One Euro filter, for each person that is followed.

Casiez, Roussel, Vogel: "1 Euro Filter: A Simple Speed-based Low-pass Filter for Noisy Input in
Interactive Systems", CHI 2012.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hgzoo.errors import ConfigError, InputError
from hgzoo.geometry import overlap
from hgzoo.skeletons import Pose

Values = NDArray[np.float64]

SAME_PERSON = 0.3
"""Smallest overlap (intersection over union) of the boxes of one person in two frames."""


class OneEuro:
    """A low-pass filter that lets through the more, the faster its input moves (Algorithm 1).

    At rest it takes out what is quicker than `min_cutoff`; with speed the cutoff rises, so that
    fast movements lag less. Every number of the array is filtered by itself.

    Args:
        min_cutoff: Cutoff frequency at rest, Hz; less is calmer and lags more.
        beta: What the cutoff gains with speed, Hz for each (unit a second) of the input; for
            keypoints the unit is a pixel. More lags less.
        derivative_cutoff: Cutoff frequency of the speed, Hz.

    Raises:
        ConfigError: A cutoff is not above 0, or beta is negative.

    Examples:
        >>> import numpy as np
        >>> from hgzoo.smoothing import OneEuro
        >>> smooth = OneEuro(min_cutoff=1.0, beta=0.0)
        >>> smooth(np.array([0.0]), 0.0).tolist()
        [0.0]
        >>> smooth(np.array([1.0]), 0.1).round(3).tolist()  # on its way to 1
        [0.386]
    """

    def __init__(
        self, *, min_cutoff: float = 1.0, beta: float = 0.007, derivative_cutoff: float = 1.0
    ) -> None:
        if not (min_cutoff > 0 and derivative_cutoff > 0 and beta >= 0):
            raise ConfigError(
                "cutoffs must be above 0 Hz and beta at least 0, got "
                f"min_cutoff={min_cutoff}, derivative_cutoff={derivative_cutoff}, beta={beta}"
            )
        self.min_cutoff = min_cutoff
        self.beta = beta
        self.derivative_cutoff = derivative_cutoff
        self._last: tuple[Values, Values, float] | None = None

    def __call__(self, values: Values, seconds: float) -> Values:
        """Filter the next sample.

        Args:
            values: Of any shape, the same each time.
            seconds: When it was taken; later than the sample before. Gaps may differ.

        Returns:
            The filtered sample, of the same shape; the first one comes back as it is.

        Raises:
            InputError: Time stands still or runs back.
        """
        if self._last is None:
            self._last = values, np.zeros_like(values), seconds
            return values
        before, speed, then = self._last
        period = seconds - then
        if not period > 0:
            raise InputError(f"a sample at {seconds} s cannot follow one at {then} s")
        share = smoothing_factor(self.derivative_cutoff, period)
        speed = share * (values - before) / period + (1 - share) * speed
        share = smoothing_factor(self.min_cutoff + self.beta * np.abs(speed), period)
        filtered: Values = before + share * (values - before)
        self._last = filtered, speed, seconds
        return filtered


def smoothing_factor(cutoff: Values | float, period: float) -> Values:
    """Return the weight of a new sample in an exponential average, in 0..1.

    Args:
        cutoff: Hz.
        period: Seconds since the sample before.

    Examples:
        >>> from hgzoo.smoothing import smoothing_factor
        >>> round(float(smoothing_factor(1.0, 0.1)), 3)
        0.386
    """
    time_constant = 1 / (2 * math.pi * np.asarray(cutoff, np.float64))
    factor: Values = 1 / (1 + time_constant / period)
    return factor


@dataclass(eq=False)
class _Person:
    """Somebody who is followed: the last box and keypoints, when, and the filter."""

    pose: Pose
    seconds: float
    filter: OneEuro


class Smoother:
    """Follows people from frame to frame and filters the keypoints of each.

    A pose goes on with the person whose last box overlaps its own most, if the overlap is at least
    0.3 (of equal boxes, the one with the nearer keypoints); otherwise it starts a new person, and
    its keypoints stay as they are.

    Args:
        min_cutoff: As for `OneEuro`, Hz.
        beta: As for `OneEuro`, Hz for each pixel a second.
        derivative_cutoff: As for `OneEuro`, Hz.
        patience: Seconds after which somebody who is not seen is forgotten.

    Raises:
        ConfigError: As for `OneEuro`.

    Examples:
        >>> import hgzoo
        >>> from hgzoo.smoothing import Smoother
        >>> poses = hgzoo.Predictor("hg1_nano")("photo.jpg")
        >>> smooth = Smoother()
        >>> first, second = smooth(poses, 0.0), smooth(poses, 0.04)
        >>> bool((first[0].keypoints == second[0].keypoints).all())  # nobody moved
        True
    """

    def __init__(
        self,
        *,
        min_cutoff: float = 1.0,
        beta: float = 0.007,
        derivative_cutoff: float = 1.0,
        patience: float = 0.5,
    ) -> None:
        self._cutoffs = min_cutoff, beta, derivative_cutoff
        self._filter()  # a wrong number is told now
        self.patience = patience
        self._people: list[_Person] = []

    def __call__(self, poses: Sequence[Pose], seconds: float) -> list[Pose]:
        """Filter the people of the next frame.

        Args:
            poses: People, in any order, in pixels of the frame.
            seconds: When it was taken; later than the frame before.

        Returns:
            The same people in the same order, with filtered keypoints; scores stay.

        Raises:
            InputError: Time stands still or runs back.
        """
        known = [p for p in self._people if seconds - p.seconds <= self.patience]
        follows = _matches([person.pose for person in known], poses)
        smoothed = []
        for number, pose in enumerate(poses):
            if number in follows:
                person = known[follows[number]]
            else:
                person = _Person(pose, seconds, self._filter())
                known.append(person)
            keypoints = person.filter(pose.keypoints, seconds)
            smoothed.append(replace(pose, keypoints=keypoints))
            person.pose, person.seconds = smoothed[-1], seconds
        self._people = known
        return smoothed

    def _filter(self) -> OneEuro:
        min_cutoff, beta, derivative_cutoff = self._cutoffs
        return OneEuro(min_cutoff=min_cutoff, beta=beta, derivative_cutoff=derivative_cutoff)


def _distance(old: Pose, new: Pose) -> float:
    """Return how far keypoints are apart on average, pixels; missing ones do not count."""
    apart = np.abs(old.keypoints - new.keypoints)
    there = ~np.isnan(apart)
    return float(apart[there].mean()) if there.any() else 0.0


def _matches(before: Sequence[Pose], now: Sequence[Pose]) -> dict[int, int]:
    """Pair poses with those before, the best pairs first: index now to index before."""
    pairs = sorted(
        (-round(shared, 6), _distance(old, new), i, j)
        for i, old in enumerate(before)
        for j, new in enumerate(now)
        if (shared := overlap(old.box, new.box)) >= SAME_PERSON
    )
    follows: dict[int, int] = {}
    for _, _, i, j in pairs:
        if j not in follows and i not in follows.values():
            follows[j] = i
    return follows
