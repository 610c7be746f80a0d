"""Hand-worked figures."""

import numpy as np
import pytest

from hgzoo import metrics
from hgzoo.data import references
from hgzoo.errors import InputError

TRUE = np.array([[[0.0, 0.0], [10.0, 0.0], [0.0, 5.0]], [[0.0, 0.0], [0.0, 20.0], [9.0, 9.0]]])
SEEN = np.array([[True, True, False], [True, True, False]])


def test_pck_by_hand() -> None:
    predicted = TRUE + np.array([3.0, 4.0])  # off by 5 everywhere
    reference = np.array([25.0, 24.0])  # a fifth is 5.0 and 4.8
    values = metrics.pck(predicted, TRUE, SEEN, reference, threshold=0.2)
    assert values[:2].tolist() == [50.0, 50.0]
    assert np.isnan(values[2])


def test_the_torso_runs_from_left_shoulder_to_right_hip() -> None:
    length = references.torso_size(TRUE, left_shoulder=0, right_hip=1)
    assert length.tolist() == [10.0, 20.0]


def test_rows_average_their_keypoints_and_the_mean_averages_the_rows() -> None:
    values = np.array([10.0, 20.0, 60.0])
    table = metrics.grouped(values, {"a": (0, 1), "b": (2,)})
    assert table == {"a": 15.0, "b": 60.0, "mean": 37.5}
    assert metrics.grouped(values, {}) == {"mean": 30.0}


def test_a_keypoint_that_counts_nowhere_spoils_no_mean() -> None:
    values = np.array([10.0, np.nan, 60.0])
    table = metrics.grouped(values, {"a": (0, 1), "b": (2,)})
    assert table == {"a": 10.0, "b": 60.0, "mean": 35.0}
    nowhere = np.zeros_like(COUNT)
    assert np.isnan(metrics.mean(np.array([np.nan])))
    assert np.isnan(metrics.means(HIT, nowhere)["3 plain"])


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="must be \\[N, K, 2\\]"):
        metrics.pck(TRUE[:1], TRUE, SEEN, np.ones(2))


def test_the_head_is_six_tenths_of_its_boxs_diagonal() -> None:
    boxes = np.array([[10.0, 20.0, 13.0, 24.0], [0.0, 0.0, 60.0, 80.0]])
    assert references.head_size(boxes) == pytest.approx([3.0, 60.0])


HIT = np.array([[True, True, True], [False, True, True], [False, False, True], [True, True, False]])
COUNT = np.array([[1, 1, 1], [1, 0, 1], [1, 0, 1], [1, 0, 1]], bool)


def test_every_mean_by_hand() -> None:
    """Keypoints: 2 of 4, 1 of 1, 3 of 4; without the last, 2 of 4 and 1 of 1."""
    assert metrics.means(HIT, COUNT, trunk=[2]) == pytest.approx(
        {"2 pooled": 60.0, "2 plain": 75.0, "3 pooled": 100 * 6 / 9, "3 plain": 75.0}
    )
    assert set(metrics.means(HIT, COUNT)) == {"3 pooled", "3 plain"}


def test_the_area_under_a_straight_line_is_half_its_end() -> None:
    thresholds = np.array([0.0, 0.1, 0.5])
    values = np.stack([thresholds * 200, np.full(3, 7.0)], axis=1)
    assert metrics.area_under(thresholds, values) == pytest.approx([50.0, 7.0])


def test_precision_and_recall_by_hand() -> None:
    scores = np.array([0.9, 0.8, 0.8, 0.1])
    positive = np.array([True, False, True, True])
    precision, recall = metrics.precision_recall(scores, positive)
    assert precision == pytest.approx([1.0, 2 / 3, 3 / 4])
    assert recall == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert metrics.average_precision(scores, positive) == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)


def test_a_perfect_ranking_has_area_one_and_ties_tell_nothing() -> None:
    positive = np.array([True, True, False, False])
    assert metrics.average_precision(np.array([4.0, 3.0, 2.0, 1.0]), positive) == 1.0
    assert metrics.average_precision(np.zeros(4), positive) == 0.5


def test_precision_without_positives_is_refused() -> None:
    with pytest.raises(InputError, match="at least one positive"):
        metrics.precision_recall(np.ones(2), np.zeros(2, bool))
