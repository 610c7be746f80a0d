"""Names, pairs and limbs of the built-in skeletons."""

from dataclasses import replace

import numpy as np
import pytest

from hgzoo.config import OutputSpec
from hgzoo.errors import ConfigError, UnknownNameError
from hgzoo.skeletons import PEOPLE, SKELETONS, Pose, Skeleton, get, nameless


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_flip_pairs_swap_left_and_right_of_one_joint(skeleton: Skeleton) -> None:
    names = skeleton.keypoints
    for index, other in enumerate(skeleton.flip_index):
        swapped = names[index].replace("left", "?").replace("right", "left").replace("?", "right")
        assert names[other] == swapped


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_limbs_reach_every_keypoint(skeleton: Skeleton) -> None:
    reached = {0}
    for _ in skeleton.keypoints:
        reached |= {j for limb in skeleton.limbs if reached & set(limb) for j in limb}
    assert reached == set(range(skeleton.num_keypoints))


def test_published_mirror_permutations() -> None:
    assert SKELETONS["mpii"].flip_index == [5, 4, 3, 2, 1, 0, 6, 7, 8, 9, 15, 14, 13, 12, 11, 10]
    assert SKELETONS["lsp"].flip_index == [5, 4, 3, 2, 1, 0, 11, 10, 9, 8, 7, 6, 12, 13]


def test_people_are_cocos_keypoints_and_two_more() -> None:
    people, coco = SKELETONS["people"], SKELETONS["coco"]
    assert people.keypoints == (*coco.keypoints, "neck", "head_top")
    assert people.flip_index == [*coco.flip_index, 17, 18]
    assert sorted(i for group in people.groups.values() for i in group) == list(range(19))
    assert people in PEOPLE


def test_another_number_of_keypoints_has_no_names() -> None:
    output = OutputSpec(skeleton=get("mpii"))
    assert output.skeleton_for(3).keypoints == ("keypoint_0", "keypoint_1", "keypoint_2")
    assert output.skeleton_for(16) is SKELETONS["mpii"]
    assert OutputSpec(skeleton=get("")).skeleton_for(2).keypoints == ("keypoint_0", "keypoint_1")


def test_an_unknown_skeleton_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean mpii"):
        get("mpi")


@pytest.mark.parametrize("index", [2, -1])
def test_an_index_without_keypoint_is_refused(index: int) -> None:
    with pytest.raises(ConfigError, match="indices run from 0 to 1"):
        Skeleton(name="two", keypoints=("a", "b"), limbs=((0, index),))


def test_two_keypoints_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="same name"):
        Skeleton(name="two", keypoints=("a", "a"))


def person(skeleton: Skeleton) -> Pose:
    """Keypoint i lies at (10 i, i squared) with score 0.5 + i/100; its heatmaps hold i."""
    number = np.arange(skeleton.num_keypoints, dtype=np.float64)
    return Pose(
        keypoints=np.stack([10 * number, number**2], axis=1),
        scores=0.5 + number / 100,
        names=skeleton.keypoints,
        box=(1.0, 2.0, 3.0, 4.0),
        skeleton=skeleton,
        heatmaps=np.broadcast_to(
            number.astype(np.float32)[:, None, None], (2, len(number), 3, 5)
        ).copy(),
    )


@pytest.mark.parametrize("name", SKELETONS)
def test_a_pose_in_its_own_order_is_the_same_pose(name: str) -> None:
    pose = person(SKELETONS[name])
    again = pose.as_skeleton(name)
    np.testing.assert_array_equal(again.keypoints, pose.keypoints)
    np.testing.assert_array_equal(again.scores, pose.scores)
    assert again.heatmaps is not None
    np.testing.assert_array_equal(again.heatmaps, pose.heatmaps)
    assert (again.names, again.skeleton, again.box) == (pose.names, pose.skeleton, pose.box)
    again.keypoints[:] = 0
    assert pose.keypoints.any()


@pytest.mark.parametrize("first", PEOPLE, ids=lambda one: one.name)
@pytest.mark.parametrize("second", PEOPLE, ids=lambda one: one.name)
def test_shared_keypoints_keep_their_place_there_and_back(
    first: Skeleton, second: Skeleton
) -> None:
    pose = person(first)
    there = pose.as_skeleton(second)
    back = there.as_skeleton(first)
    for index, name in enumerate(first.keypoints):
        if name in second.keypoints:
            other = second.keypoints.index(name)
            for found, row in ((there, other), (back, index)):
                np.testing.assert_array_equal(found.keypoints[row], pose.keypoints[index])
                assert found.scores[row] == pose.scores[index]


def test_middles_follow_from_their_two_with_the_lower_score() -> None:
    """LSP's hips are keypoints 2 and 3, its shoulders 8 and 9, its neck 12."""
    mpii = person(SKELETONS["lsp"]).as_skeleton("mpii")
    found = dict(
        zip(mpii.names, zip(mpii.keypoints.tolist(), mpii.scores, strict=True), strict=True)
    )
    assert found["pelvis"] == ([25.0, 6.5], 0.52)
    assert found["thorax"] == ([85.0, 72.5], 0.58)
    assert found["upper_neck"] == ([120.0, 144.0], 0.62)
    assert not np.isnan(mpii.keypoints).any()
    assert mpii.heatmaps is None


def test_a_middle_that_is_there_is_taken_as_it_is() -> None:
    mpii = person(SKELETONS["mpii"])
    assert mpii.as_skeleton(["pelvis"]).keypoints.tolist() == [[60.0, 36.0]]


def test_what_cannot_be_had_is_missing_with_score_0() -> None:
    coco = person(SKELETONS["lsp"]).as_skeleton("coco")
    missing = np.isnan(coco.keypoints).all(1)
    assert [name for name, gone in zip(coco.names, missing, strict=True) if gone] == [
        *("nose", "left_eye", "right_eye", "left_ear", "right_ear")
    ]
    np.testing.assert_array_equal(coco.scores == 0, missing)
    assert coco.heatmaps is None


def test_the_neck_is_not_guessed_from_the_shoulders() -> None:
    lsp = person(SKELETONS["coco"]).as_skeleton("lsp")
    assert np.isnan(lsp.keypoints[-2:]).all()
    assert not np.isnan(lsp.keypoints[:-2]).any()


def test_heatmaps_follow_where_each_keypoint_has_one() -> None:
    pose = person(SKELETONS["mpii"])
    arm = pose.as_skeleton(["neck", "left_wrist"])
    assert arm.heatmaps is not None
    assert arm.heatmaps[1, :, 2, 4].tolist() == [8.0, 15.0]
    assert replace(pose, heatmaps=None).as_skeleton("mpii").heatmaps is None


def test_names_give_what_is_left_of_the_skeleton() -> None:
    names = ["left_elbow", "left_wrist", "right_elbow", "pelvis"]
    pose = person(SKELETONS["lsp"]).as_skeleton(names)
    assert pose.names == pose.skeleton.keypoints == tuple(names)
    assert pose.skeleton.name == ""
    assert pose.skeleton.flip_pairs == ((2, 0),)
    assert pose.skeleton.limbs == ((0, 1),)
    assert pose.skeleton.groups == {"elbow": (2, 0), "wrist": (1,)}


def test_a_skeleton_of_ones_own_is_filled_by_name() -> None:
    own = Skeleton(name="own", keypoints=("tail", "left_knee"), limbs=((0, 1),))
    pose = person(SKELETONS["lsp"]).as_skeleton(own)
    assert pose.skeleton is own
    assert pose.keypoints[1].tolist() == [40.0, 16.0]
    assert pose.scores.tolist() == [0.0, 0.54]


def test_a_keypoint_that_is_named_must_be_there() -> None:
    pose = person(SKELETONS["lsp"])
    with pytest.raises(UnknownNameError, match=r"keypoint 'left_wrst'; did you mean left_wrist"):
        pose.as_skeleton(["left_wrst"])
    with pytest.raises(UnknownNameError, match=r"keypoint 'nose'; did you mean .*pelvis"):
        pose.as_skeleton(["neck", "nose"])
    with pytest.raises(ConfigError, match="same name"):
        pose.as_skeleton(["neck", "neck"])


def test_an_unknown_skeleton_of_a_pose_is_refused_with_the_near_ones() -> None:
    with pytest.raises(UnknownNameError, match="unknown skeleton 'coc'; did you mean coco"):
        person(SKELETONS["lsp"]).as_skeleton("coc")


@pytest.mark.parametrize("skeleton", ["box", nameless(3), []])
def test_a_skeleton_that_shares_no_keypoint_is_refused(skeleton: str | Skeleton) -> None:
    with pytest.raises(ConfigError, match=r"can be had; there are right_ankle, .*head_top"):
        person(SKELETONS["lsp"]).as_skeleton(skeleton)
