"""Left and right: what is counted as an exchange, and where."""

from dataclasses import replace

import numpy as np
import pytest

from hgzoo.scoring import Truth
from hgzoo.sides import Sides, judge, pairs_of
from hgzoo.skeletons import SKELETONS, nameless

LSP = SKELETONS["lsp"]
ARMS = [6, 7, 8, 9, 10, 11]
LEGS = [0, 1, 2, 3, 4, 5]


def people(number: int = 2) -> Truth:
    """People whose joints are 10 pixels apart and more, with a torso of 20."""
    places = 10.0 * np.stack([np.arange(14.0), np.arange(14.0)], axis=1)
    return Truth(
        keypoints=np.tile(places, (number, 1, 1)),
        visible=np.ones((number, 14), bool),
        hidden=None,
        reference=np.full(number, 20.0),
        skeleton=LSP,
    )


def exchanged(truth: Truth, joints: list[int], *, person: int = 0) -> np.ndarray:
    """Find everything at its place, but these joints of a person at the other side's."""
    found = truth.keypoints.copy()
    found[person, joints] = truth.keypoints[person, [LSP.flip_index[joint] for joint in joints]]
    return found


def judged(truth: Truth, found: np.ndarray) -> Sides:
    sides = judge(truth, found, threshold=0.2)
    assert sides is not None
    return sides


def test_a_wholly_exchanged_person_is_set_right_by_one_exchange() -> None:
    truth = people()
    sides = judged(truth, exchanged(truth, ARMS + LEGS))
    assert sides.exchanged["all"] == 50.0
    assert sides.orders == {"as found": 50.0, "body": 100.0, "limbs": 100.0, "pairs": 100.0}


def test_exchanged_arms_count_there_alone() -> None:
    truth = people(1)
    sides = judged(truth, exchanged(truth, ARMS))
    assert [sides.exchanged[joint] for joint in ("shoulder", "elbow", "wrist")] == [100.0] * 3
    assert [sides.exchanged[joint] for joint in ("hip", "knee", "ankle")] == [0.0] * 3
    # Exchanging the whole body would break as many legs as it mends arms.
    assert sides.orders == {"as found": 50.0, "body": 50.0, "limbs": 100.0, "pairs": 100.0}


def test_an_exchanged_pair_counts_there_alone() -> None:
    truth = people(1)
    sides = judged(truth, exchanged(truth, [0, 5]))  # ankles
    assert sides.exchanged["ankle"] == 100.0
    np.testing.assert_allclose(list(sides.orders.values()), [100 * 10 / 12] * 3 + [100.0])


def test_one_joint_at_the_other_sides_place_cannot_be_exchanged_with_gain() -> None:
    truth = people(1)
    sides = judged(truth, exchanged(truth, [0]))  # both ankles at the left one's place
    np.testing.assert_allclose(sides.exchanged["ankle"], 50.0)
    assert len(set(sides.orders.values())) == 1
    np.testing.assert_allclose(sides.together["as found"], 100 / 6)
    assert sides.together["truth"] == 0.0


def test_joints_that_are_near_both_sides_are_no_exchange() -> None:
    truth = people(1)
    truth.keypoints[0, 5] = truth.keypoints[0, 0] + 1.0  # ankles side by side
    sides = judged(truth, truth.keypoints[:, LSP.flip_index])
    assert sides.exchanged["ankle"] == 0.0
    np.testing.assert_allclose(sides.together["truth"], 100 / 6)


def test_a_pair_with_one_side_annotated_does_not_count() -> None:
    truth = people(1)
    truth.visible[0, 0] = False
    sides = judged(truth, exchanged(truth, [0, 5]))
    assert np.isnan(sides.exchanged["ankle"])
    assert sides.orders["as found"] == 100.0


def test_what_is_not_predicted_is_a_miss() -> None:
    truth = people(1)
    found = truth.keypoints.copy()
    found[0, 0] = np.nan
    assert judged(truth, found).exchanged["all"] == 0.0


@pytest.mark.parametrize("skeleton", [nameless(14), replace(LSP, keypoints=nameless(14).keypoints)])
def test_keypoints_without_arms_and_legs_have_no_sides(skeleton: object) -> None:
    truth = replace(people(), skeleton=skeleton)
    assert judge(truth, truth.keypoints, threshold=0.2) is None


@pytest.mark.parametrize("name", ["coco", "lsp", "mpii", "people"])
def test_whole_people_have_twelve_limb_joints(name: str) -> None:
    pairs = pairs_of(SKELETONS[name])
    assert {limb: list(joints) for limb, joints in pairs.items()} == {
        "arm": ["shoulder", "elbow", "wrist"],
        "leg": ["hip", "knee", "ankle"],
    }
    known = {tuple(sorted(pair)) for pair in SKELETONS[name].flip_pairs}
    assert {tuple(sorted(pair)) for joints in pairs.values() for pair in joints.values()} <= known
