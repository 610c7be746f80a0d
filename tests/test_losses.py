"""How wrong heatmaps are, and which keypoints count."""

import math

import pytest
import torch

from hgzoo.errors import ConfigError
from hgzoo.losses import LOSSES, Loss, mse, quality_focal, spatial_cross_entropy, stacked
from hgzoo.targets import gaussian

SIZE = (6, 9)


def drawn(batch: int = 2, keypoints: int = 3) -> torch.Tensor:
    return gaussian(torch.rand(batch, keypoints, 2) * 5, SIZE, 1.0)


def mean(
    heatmaps: list[torch.Tensor],
    target: torch.Tensor,
    visible: torch.Tensor,
    *,
    loss: Loss,
    unlabeled: str = "ignore",
    hard_keypoints: int = 0,
) -> torch.Tensor:
    """What a single process takes for the loss of a batch."""
    total, number = stacked(
        heatmaps, target, visible, loss=loss, unlabeled=unlabeled, hard_keypoints=hard_keypoints
    )
    return total / number.clamp_min(1)


def test_the_squared_error_by_hand() -> None:
    heatmaps = torch.tensor([[[[1.0, 0.0], [0.0, 2.0]]]])
    assert mse(heatmaps, torch.zeros(1, 1, 2, 2)).tolist() == [[5 / 4]]


def test_the_cross_entropy_of_flat_logits_is_the_logarithm_of_the_pixels() -> None:
    value = spatial_cross_entropy(torch.zeros(2, 3, *SIZE), drawn())
    torch.testing.assert_close(value, torch.full((2, 3), math.log(6 * 9)))


def test_the_cross_entropy_is_least_at_the_target() -> None:
    target = drawn()
    best = spatial_cross_entropy((target / target.sum((2, 3), keepdim=True)).log(), target)
    for _ in range(5):
        other = (target + 0.01).log() + 0.5 * torch.randn_like(target)
        assert (spatial_cross_entropy(other, target) > best).all()


def test_an_empty_target_costs_nothing_in_cross_entropy() -> None:
    value = spatial_cross_entropy(torch.randn(1, 1, *SIZE), torch.zeros(1, 1, *SIZE))
    assert value.item() == 0.0


@pytest.mark.parametrize("name", LOSSES)
def test_stacks_add_up(name: str) -> None:
    target, visible = drawn(), torch.ones(2, 3, dtype=torch.bool)
    stacks = [torch.randn(2, 3, *SIZE) for _ in range(3)]
    alone = [mean([one], target, visible, loss=LOSSES[name]) for one in stacks]
    together = mean(stacks, target, visible, loss=LOSSES[name])
    torch.testing.assert_close(together, torch.stack(alone).sum())


@pytest.mark.parametrize("name", LOSSES)
def test_unlabeled_keypoints_are_ignored(name: str) -> None:
    target, visible = drawn(), torch.tensor([[True, False, True], [False, False, True]])
    heatmaps = torch.randn(2, 3, *SIZE, requires_grad=True)
    value = mean([heatmaps], target, visible, loss=LOSSES[name])
    value.backward()
    each = LOSSES[name].compare(heatmaps, target)
    torch.testing.assert_close(value, each[visible].mean())
    assert heatmaps.grad[~visible].abs().max() == 0.0


def test_the_papers_rule_wants_unlabeled_heatmaps_empty() -> None:
    target, visible = drawn(), torch.tensor([[True, False, True], [False, True, True]])
    heatmaps = target * visible[..., None, None]
    assert mean([heatmaps], target, visible, loss=LOSSES["mse"], unlabeled="zero") == 0.0
    assert mean([target], target, visible, loss=LOSSES["mse"], unlabeled="zero") > 0.0


def test_logits_cannot_be_empty() -> None:
    with pytest.raises(ConfigError, match='loss = "mse"'):
        mean(
            [torch.zeros(1, 1, *SIZE)],
            torch.zeros(1, 1, *SIZE),
            torch.ones(1, 1, dtype=torch.bool),
            loss=LOSSES["spatial_cross_entropy"],
            unlabeled="zero",
        )


@pytest.mark.parametrize("hard", [0, 2])
def test_nobody_labeled_costs_nothing(hard: int) -> None:
    value = mean(
        [torch.randn(2, 3, *SIZE)],
        drawn(),
        torch.zeros(2, 3, dtype=torch.bool),
        loss=LOSSES["mse"],
        hard_keypoints=hard,
    )
    assert value == 0.0


def test_only_the_hardest_keypoints_count() -> None:
    target = torch.zeros(1, 3, 1, 1)
    heatmaps = torch.tensor([1.0, 3.0, 2.0]).view(1, 3, 1, 1)
    visible = torch.ones(1, 3, dtype=torch.bool)
    value = mean([heatmaps], target, visible, loss=LOSSES["mse"], hard_keypoints=2)
    assert value == (9 + 4) / 2


def test_hardest_among_few_labeled_ones_averages_those() -> None:
    target = torch.zeros(1, 3, 1, 1)
    heatmaps = torch.tensor([1.0, 3.0, 2.0]).view(1, 3, 1, 1)
    visible = torch.tensor([[True, False, False]])
    value = mean([heatmaps], target, visible, loss=LOSSES["mse"], hard_keypoints=2)
    assert value == 1.0


@pytest.mark.parametrize("hard", [0, 2])
@pytest.mark.parametrize("name", LOSSES)
def test_the_parts_of_a_batch_add_up_to_the_batch(name: str, hard: int) -> None:
    """However unequally a batch is cut, sums and numbers of the parts give those of the whole."""
    target, stacks = drawn(5), [torch.randn(5, 3, *SIZE) for _ in range(2)]
    visible = torch.rand(5, 3) < 0.6
    visible[4] = False

    def of(part: slice) -> torch.Tensor:
        cut = [stack[part] for stack in stacks]
        loss = LOSSES[name]
        return torch.stack(
            stacked(cut, target[part], visible[part], loss=loss, hard_keypoints=hard)
        )

    torch.testing.assert_close(of(slice(4)) + of(slice(4, 5)), of(slice(5)))


def test_quality_focal_by_hand() -> None:
    """A pixel of log-odds 0 that should be 1: (1/2)² ln 2; one that is right costs nothing."""
    heatmaps = torch.tensor([[[[0.0, -40.0, -40.0]], [[40.0, -40.0, 40.0]]]])  # [1, 2, 1, 3]
    target = torch.tensor([[[[1.0, 0.0, 0.0]], [[1.0, 0.0, 0.0]]]])
    loss = quality_focal(heatmaps, target)
    torch.testing.assert_close(loss, torch.tensor([[0.25 * math.log(2), 40.0]]))


def test_quality_focal_is_smallest_at_the_target() -> None:
    target = torch.rand(2, 3, 4, 5) * 0.8 + 0.1
    assert quality_focal(target.logit(), target).max() < 1e-6
    off = target.logit() + 0.5
    assert (quality_focal(off, target) > 1e-4).all()


def test_quality_focal_may_ask_for_an_empty_heatmap() -> None:
    heatmaps = torch.zeros(1, 2, 4, 4, requires_grad=True)
    loss = LOSSES["quality_focal"]
    target, visible = torch.ones(1, 2, 4, 4), torch.tensor([[True, False]])
    total, number = stacked([heatmaps], target, visible, loss=loss, unlabeled="zero")
    assert number == 2
    (gradient,) = torch.autograd.grad(total, heatmaps)
    assert (gradient[0, 0] < 0).all()  # up, where the keypoint is
    assert (gradient[0, 1] > 0).all()  # down, where it is not
