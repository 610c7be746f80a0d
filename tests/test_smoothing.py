"""The One Euro filter, by hand and by its properties, and people who are followed."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hgzoo.errors import ConfigError, InputError
from hgzoo.geometry import overlap
from hgzoo.skeletons import Pose, nameless
from hgzoo.smoothing import OneEuro, Smoother, smoothing_factor

FINITE = st.floats(-1e4, 1e4)


def person(x: float, y: float, *, box: tuple[float, float, float, float] = (0, 0, 10, 20)) -> Pose:
    return Pose(
        keypoints=np.array([[x, y]]),
        scores=np.array([0.5]),
        names=("keypoint_0",),
        box=box,
        skeleton=nameless(1),
    )


def test_three_samples_by_hand() -> None:
    """Cutoffs of 1/(2 pi) Hz have a time constant of 1 s: at 1 Hz each share is a half.

    The second sample: speed 0.5 * 4 = 2; cutoff (1 + 3 * 2) / (2 pi), share 7/8; 0 + 7/8 * 4.
    The third: speed 0.5 * (4 - 3.5) + 0.5 * 2 = 1.25; share 4.75/5.75; 3.5 + share * 0.5.
    """
    unit = 1 / (2 * math.pi)
    smooth = OneEuro(min_cutoff=unit, beta=3 * unit, derivative_cutoff=unit)
    found = [float(smooth(np.array([x]), seconds)[0]) for seconds, x in enumerate((0.0, 4.0, 4.0))]
    np.testing.assert_allclose(found, [0.0, 3.5, 3.5 + 0.5 * 4.75 / 5.75])


def test_the_factor_is_a_half_where_the_period_is_the_time_constant() -> None:
    assert smoothing_factor(1.0, 1 / (2 * math.pi)) == pytest.approx(0.5)


@given(FINITE, st.lists(st.floats(0.001, 2), min_size=1, max_size=20))
def test_what_stands_still_is_unchanged(x: float, gaps: list[float]) -> None:
    smooth = OneEuro()
    for seconds in np.cumsum(gaps):
        assert smooth(np.array([x]), float(seconds))[0] == x


@given(st.lists(FINITE, min_size=1, max_size=20), st.floats(0, 1))
def test_nothing_leaves_the_range_of_the_input(values: list[float], beta: float) -> None:
    smooth = OneEuro(beta=beta)
    found = [float(smooth(np.array([x]), i / 25)[0]) for i, x in enumerate(values)]
    assert min(values) - 1e-9 <= min(found)
    assert max(found) <= max(values) + 1e-9


@given(st.lists(FINITE, min_size=2, max_size=10), FINITE)
def test_moving_the_picture_moves_the_result(values: list[float], shift: float) -> None:
    one, other = OneEuro(), OneEuro()
    for i, x in enumerate(values):
        here = one(np.array([x]), i / 25)
        there = other(np.array([x + shift]), i / 25)
        np.testing.assert_allclose(there, here + shift, atol=1e-6)


def lag(speed: float) -> float:
    """Return how many seconds the filter is behind a steady movement, pixels a second."""
    smooth = OneEuro()
    x = 0.0
    for i in range(200):
        x = float(smooth(np.array([speed * i / 25]), i / 25)[0])
    return 199 / 25 - x / speed


def test_lag_falls_with_speed() -> None:
    lags = [lag(speed) for speed in (1, 10, 100, 1000)]
    assert lags == sorted(lags, reverse=True)
    assert lags[0] > 4 * lags[-1]


def test_noise_at_rest_is_calmed() -> None:
    noise = np.random.default_rng(0).normal(0, 2, (500, 2))
    smooth = OneEuro()
    found = np.array([smooth(xy, i / 25) for i, xy in enumerate(noise)])
    assert found[50:].std() < 0.5 * noise[50:].std()


def test_a_missing_frame_is_a_longer_period() -> None:
    """After a gap the new sample weighs more: half a second says more than a 25th."""
    moved = []
    for gap in (0.04, 0.4):
        smooth = OneEuro(beta=0.0)
        smooth(np.zeros(1), 0.0)
        moved.append(float(smooth(np.ones(1), gap)[0]))
    assert moved[0] == pytest.approx(float(smoothing_factor(1.0, 0.04)))
    assert moved[1] == pytest.approx(float(smoothing_factor(1.0, 0.4)))


def test_time_must_go_on() -> None:
    smooth = OneEuro()
    smooth(np.zeros(1), 1.0)
    with pytest.raises(InputError, match="cannot follow"):
        smooth(np.zeros(1), 1.0)


@pytest.mark.parametrize(
    "wrong", [{"min_cutoff": 0.0}, {"beta": -1.0}, {"derivative_cutoff": float("nan")}]
)
def test_impossible_cutoffs_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="cutoffs"):
        Smoother(**wrong)


def test_people_are_followed_whatever_their_order() -> None:
    left, right = (0.0, 0.0, 10.0, 20.0), (30.0, 0.0, 40.0, 20.0)
    smooth, alone = Smoother(), OneEuro()
    for i in range(6):
        people = [person(5 + i, 5, box=left), person(35, 5, box=right)]
        calm = smooth(people if i % 2 else people[::-1], i / 25)
        expected = alone(np.array([[5.0 + i, 5.0]]), i / 25)
        np.testing.assert_allclose(calm[0 if i % 2 else 1].keypoints, expected)
        np.testing.assert_allclose(calm[1 if i % 2 else 0].keypoints, [[35, 5]])


def test_of_equal_boxes_the_nearer_keypoints_are_the_same_person() -> None:
    smooth = Smoother()
    smooth([person(1, 1), person(9, 9)], 0.0)
    first, second = smooth([person(9, 9), person(1, 1)], 0.1)
    np.testing.assert_array_equal(first.keypoints, [[9, 9]])
    np.testing.assert_array_equal(second.keypoints, [[1, 1]])


def test_missing_keypoints_stay_missing_and_nobody_is_confused() -> None:
    gone = [[np.nan, np.nan]]
    smooth = Smoother()
    for number, order in enumerate([(1, 9), (9, 1), (1, 9)]):
        people = [person(x, x) for x in order]
        people = [replace(p, keypoints=np.concatenate([gone, p.keypoints])) for p in people]
        for pose, x in zip(smooth(people, number / 10), order, strict=True):
            np.testing.assert_array_equal(pose.keypoints, [gone[0], [x, x]])


def test_somebody_new_begins_anew_and_somebody_gone_is_forgotten() -> None:
    smooth = Smoother(patience=0.5)
    smooth([person(5, 5)], 0.0)
    elsewhere = smooth([person(105, 5, box=(100, 0, 110, 20))], 0.1)
    np.testing.assert_array_equal(elsewhere[0].keypoints, [[105, 5]])
    assert smooth([person(7, 5)], 0.2)[0].keypoints[0, 0] < 7  # still known
    assert smooth([], 0.5) == []
    assert smooth([person(9, 5)], 0.8)[0].keypoints[0, 0] == 9  # forgotten


def test_overlap_by_hand() -> None:
    assert overlap((0, 0, 2, 2), (1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 2, 2), (0, 0, 2, 2)) == 1
    assert overlap((0, 0, 2, 2), (2, 0, 3, 2)) == 0
