"""Drawing keypoints as heatmaps."""

import math

import pytest
import torch

from hgzoo import targets


def test_a_gaussian_is_one_at_its_keypoint_and_falls_by_hand() -> None:
    drawn = targets.gaussian(torch.tensor([[[3.0, 5.0]]]), (8, 12), 2.0)[0, 0]
    assert drawn.shape == (8, 12)
    assert drawn[5, 3] == 1.0
    torch.testing.assert_close(drawn[5, 5].item(), math.exp(-0.5))
    torch.testing.assert_close(drawn[4, 4].item(), math.exp(-2 / 8))


def test_a_gaussian_between_pixels_is_as_high_on_both_sides() -> None:
    drawn = targets.gaussian(torch.tensor([[[3.5, 2.0]]]), (6, 9), 1.0)[0, 0]
    torch.testing.assert_close(drawn[:, 3], drawn[:, 4])
    assert drawn.max() < 1.0


def test_a_batch_is_drawn_one_by_one() -> None:
    xy = torch.rand(3, 5, 2) * 10
    together = targets.gaussian(xy, (7, 11), 1.3)
    for b in range(3):
        for k in range(5):
            alone = targets.gaussian(xy[b : b + 1, k : k + 1], (7, 11), 1.3)
            torch.testing.assert_close(together[b, k], alone[0, 0])


def test_the_older_form_rounds_and_cuts_at_three_sigma() -> None:
    drawn = targets.gaussian_rounded(torch.tensor([[[3.4, 2.6]]]), (9, 12), 1.0)[0, 0]
    whole = targets.gaussian(torch.tensor([[[3.0, 3.0]]]), (9, 12), 1.0)[0, 0]
    assert drawn[3, 3] == 1.0
    torch.testing.assert_close(drawn[0:7, 0:7], whole[0:7, 0:7])
    assert drawn[7:].max() == 0.0
    assert drawn[:, 7:].max() == 0.0


@pytest.mark.parametrize("draw", targets.TARGETS.values(), ids=targets.TARGETS)
def test_a_keypoint_far_outside_leaves_an_empty_heatmap(draw: targets.DrawTarget) -> None:
    assert draw(torch.tensor([[[-40.0, 2.0]]]), (8, 8), 1.0).max() < 1e-6


@pytest.mark.parametrize("draw", targets.TARGETS.values(), ids=targets.TARGETS)
def test_half_precision_keypoints_draw_float32(draw: targets.DrawTarget) -> None:
    assert draw(torch.zeros(1, 1, 2, dtype=torch.float16), (4, 4), 1.0).dtype == torch.float32
