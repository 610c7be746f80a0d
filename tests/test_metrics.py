"""Hand-worked figures."""

import numpy as np
import pytest

from hgzoo import metrics
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
    length = metrics.torso_size(TRUE, left_shoulder=0, right_hip=1)
    assert length.tolist() == [10.0, 20.0]


def test_rows_average_their_keypoints_and_the_mean_averages_the_rows() -> None:
    values = np.array([10.0, 20.0, 60.0])
    table = metrics.grouped(values, {"a": (0, 1), "b": (2,)})
    assert table == {"a": 15.0, "b": 60.0, "mean": 37.5}
    assert metrics.grouped(values, {}) == {"mean": 30.0}


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="must be \\[N, K, 2\\]"):
        metrics.pck(TRUE[:1], TRUE, SEEN, np.ones(2))
