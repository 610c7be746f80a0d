"""From bytes to the range a network expects."""

import pytest
import torch

from hgzoo.normalization import normalize


def test_colors_become_gray_for_a_network_of_one_channel() -> None:
    images = torch.tensor([255, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1)
    torch.testing.assert_close(normalize(images, (0.0,), (1.0,)).item(), 0.299)


def test_normalizing_is_minus_mean_over_std() -> None:
    images = torch.tensor([[[[255]], [[0]]]], dtype=torch.uint8)
    out = normalize(images, (0.25, 0.5), (0.5, 0.25))
    torch.testing.assert_close(out.flatten(), torch.tensor([1.5, -2.0]))


def test_stretched_contrast_fills_the_range_of_each_picture() -> None:
    images = torch.stack([torch.full((3, 2, 4), 20), torch.full((3, 2, 4), 90)]).to(torch.uint8)
    images[0, 1, 0, 0], images[0, 2, 1, 3] = 60, 100
    out = normalize(images, (0.0,) * 3, (1.0,) * 3, stretch=True)
    assert (out[0].min().item(), out[0].max().item()) == (0.0, 1.0)
    assert out[0, 1, 0, 0].item() == pytest.approx(0.5)
    torch.testing.assert_close(out[1], torch.full((3, 2, 4), 90 / 255))
