"""Reading keypoints from heatmaps: the inverse of drawing them."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hgzoo import decoders, targets

SIZE = (20, 28)
inside = st.tuples(st.floats(5, 22), st.floats(5, 14))
FINENESS = {"argmax": 0.501, "quarter_offset": 0.251, "soft_argmax": 0.06, "taylor": 0.01}
"""How near each decoder comes to a Gaussian of sigma 1.5, heatmap pixels, x and y."""


@pytest.mark.parametrize("name", decoders.DECODERS)
@given(st.lists(inside, min_size=3, max_size=3))
def test_decoding_undoes_drawing(name: str, places: list[tuple[float, float]]) -> None:
    xy = torch.tensor(places)[None]
    found, score = decoders.DECODERS[name](targets.gaussian(xy, SIZE, 1.5))
    assert (found - xy).abs().max() <= FINENESS[name]
    assert ((score > 0.85) & (score <= 1.0)).all()


@pytest.mark.parametrize("name", decoders.DECODERS)
def test_a_keypoint_on_a_pixel_is_found_exactly(name: str) -> None:
    xy = torch.tensor([[[7.0, 9.0], [20.0, 6.0]]])
    found, score = decoders.DECODERS[name](targets.gaussian(xy, SIZE, 1.5))
    torch.testing.assert_close(found, xy, atol=1e-3, rtol=0)
    torch.testing.assert_close(score, torch.ones(1, 2))


@pytest.mark.parametrize("name", decoders.DECODERS)
def test_a_batch_equals_one_by_one(name: str) -> None:
    heatmaps = torch.randn(3, 5, 9, 13)
    xy, score = decoders.DECODERS[name](heatmaps)
    assert xy.shape == (3, 5, 2)
    assert score.shape == (3, 5)
    for b in range(3):
        for k in range(5):
            one, height = decoders.DECODERS[name](heatmaps[b : b + 1, k : k + 1])
            torch.testing.assert_close(xy[b, k], one[0, 0])
            torch.testing.assert_close(score[b, k], height[0, 0])


@pytest.mark.parametrize("name", decoders.DECODERS)
@pytest.mark.parametrize(("x", "y"), [(0, 0), (12, 0), (0, 8), (12, 8), (6, 0), (12, 4)])
def test_a_peak_at_the_border_stays_within_half_a_pixel_of_it(name: str, x: int, y: int) -> None:
    heatmaps = targets.gaussian(torch.tensor([[[float(x), float(y)]]]), (9, 13), 1.0)
    found, _ = decoders.DECODERS[name](heatmaps)
    limit = 1.0 if name == "soft_argmax" else 0.5
    assert (found - torch.tensor([x, y])).abs().max() <= limit


@pytest.mark.parametrize("name", decoders.DECODERS)
@pytest.mark.parametrize("value", [0.0, -3.0])
def test_a_flat_heatmap_gives_a_finite_place(name: str, value: float) -> None:
    xy, score = decoders.DECODERS[name](torch.full((2, 3, 4, 6), value))
    assert torch.isfinite(xy).all()
    assert (score == value).all()


@pytest.mark.parametrize("name", decoders.DECODERS)
def test_swapping_the_axes_swaps_x_and_y(name: str) -> None:
    heatmaps = targets.gaussian(torch.tensor([[[7.3, 9.6], [15.1, 6.2]]]), SIZE, 1.2)
    xy, _ = decoders.DECODERS[name](heatmaps)
    swapped, _ = decoders.DECODERS[name](heatmaps.transpose(2, 3))
    torch.testing.assert_close(swapped, xy.flip(-1), atol=1e-4, rtol=0)


def test_ties_go_to_the_first_pixel_in_reading_order() -> None:
    heatmaps = torch.zeros(1, 1, 3, 4)
    heatmaps[0, 0, 1, 2] = heatmaps[0, 0, 2, 0] = 5.0
    xy, score = decoders.argmax(heatmaps)
    assert xy.tolist() == [[[2.0, 1.0]]]
    assert score.tolist() == [[5.0]]


def test_the_quarter_goes_to_the_higher_neighbor() -> None:
    heatmaps = torch.zeros(1, 1, 5, 5)
    heatmaps[0, 0, 2, 2] = 1.0
    heatmaps[0, 0, 2, 3] = 0.5
    heatmaps[0, 0, 1, 2] = 0.3
    assert decoders.quarter_offset(heatmaps)[0].tolist() == [[[2.25, 1.75]]]


def test_the_quarter_stays_between_equal_neighbors() -> None:
    heatmaps = torch.zeros(1, 1, 5, 5)
    heatmaps[0, 0, 2, 2] = 1.0
    assert decoders.quarter_offset(heatmaps)[0].tolist() == [[[2.0, 2.0]]]


@pytest.mark.parametrize("name", ["argmax", "quarter_offset", "taylor"])
def test_a_peak_on_the_border_stays_on_its_pixel(name: str) -> None:
    heatmaps = torch.rand(1, 1, 5, 7)
    heatmaps[0, 0, 3, 0] = 2.0
    assert decoders.DECODERS[name](heatmaps)[0].tolist() == [[[0.0, 3.0]]]


@pytest.mark.parametrize("name", decoders.DECODERS)
def test_the_number_format_of_the_network_does_not_blur_what_is_read(name: str) -> None:
    heatmaps = targets.gaussian(torch.tensor([[[3.3, 5.4], [6.2, 1.9]]]), (12, 8), 1.0)
    xy, score = decoders.DECODERS[name](heatmaps)
    with torch.autocast("cpu", torch.bfloat16):
        found, height = decoders.DECODERS[name](heatmaps)
    assert torch.equal(found, xy)
    assert torch.equal(height, score)


def test_taylor_finds_the_top_of_a_tilted_hill() -> None:
    """Longer along a diagonal: a step along x and y alone would end beside the top."""
    top = torch.tensor([9.4, 7.3])
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(20.0), indexing="ij")
    x, y = columns - top[0], rows - top[1]
    hill = torch.exp(-(x**2 + y**2 - 1.2 * x * y) / 6)
    found, _ = decoders.taylor(hill[None, None])
    torch.testing.assert_close(found[0, 0], top, atol=0.03, rtol=0)


def test_soft_argmax_gives_negative_heights_no_weight() -> None:
    heatmaps = torch.zeros(1, 1, 9, 11)
    heatmaps[0, 0, 4, 5], heatmaps[0, 0, 4, 6], heatmaps[0, 0, 4, 3] = 3.0, 1.0, -2.0
    assert decoders.soft_argmax(heatmaps)[0].tolist() == [[[5.25, 4.0]]]


def test_soft_argmax_ignores_far_clutter() -> None:
    heatmaps = targets.gaussian(torch.tensor([[[6.0, 6.0]]]), SIZE, 1.0)
    heatmaps[0, 0, 18, 26] = 0.9
    torch.testing.assert_close(
        decoders.soft_argmax(heatmaps)[0], torch.tensor([[[6.0, 6.0]]]), atol=1e-3, rtol=0
    )


def test_heights_stay_heights() -> None:
    heatmaps = torch.randn(1, 2, 3, 4)
    assert torch.equal(decoders.heights(heatmaps, "heights"), heatmaps)


def test_logits_become_the_mass_around_each_pixel() -> None:
    """Two pixels of probability 1/2, three apart: neither window sees both."""
    logits = torch.full((1, 1, 5, 7), -1e9)
    logits[0, 0, 2, 1] = logits[0, 0, 2, 4] = 3.0
    mass = decoders.heights(logits, "logits")[0, 0]
    torch.testing.assert_close(mass[2, 1], torch.tensor(0.5))
    torch.testing.assert_close(mass[1, 2], torch.tensor(0.5))
    assert mass[2, 6] == 0.0


def test_scores_of_logits_do_not_depend_on_their_level() -> None:
    logits = torch.randn(2, 3, 6, 8) * 4
    low = decoders.taylor(decoders.heights(logits - 100, "logits"))
    high = decoders.taylor(decoders.heights(logits + 100, "logits"))
    torch.testing.assert_close(low, high, atol=1e-4, rtol=1e-4)


def test_a_sure_logit_scores_one() -> None:
    logits = torch.zeros(1, 1, 6, 8)
    logits[0, 0, 3, 4] = 50.0
    _, score = decoders.argmax(decoders.heights(logits, "logits"))
    torch.testing.assert_close(score, torch.ones(1, 1))


def test_log_odds_become_probabilities_pixel_by_pixel() -> None:
    log_odds = torch.tensor([[[[0.0, math.log(3.0)], [-1000.0, 1000.0]]]])
    expected = torch.tensor([[[[0.5, 0.75], [0.0, 1.0]]]])
    torch.testing.assert_close(decoders.heights(log_odds, "log_odds"), expected)
