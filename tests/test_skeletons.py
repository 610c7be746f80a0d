"""Names, pairs and limbs of the built-in skeletons."""

import pytest

from hgzoo.config import OutputSpec
from hgzoo.errors import ConfigError, UnknownNameError
from hgzoo.skeletons import PEOPLE, SKELETONS, Skeleton, get


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
