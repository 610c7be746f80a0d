"""The parts, each alone."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from hgzoo.blocks import (
    RESIDUALS,
    Feedback,
    Hourglass,
    PreActBottleneck,
    Residuals,
    Stem,
    SupervisionHead,
    add_upsampled,
)
from hgzoo.model import StackedHourglass
from tests.conftest import small_config


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_a_bottleneck_with_silent_layers_is_the_identity() -> None:
    block = PreActBottleneck(6, 6)
    nn.init.zeros_(block.conv3.weight)
    nn.init.zeros_(block.conv3.bias)
    x = torch.randn(2, 6, 3, 5)
    torch.testing.assert_close(block(x), x)


def test_a_bottleneck_has_a_skip_layer_only_where_the_width_changes() -> None:
    assert count(PreActBottleneck(6, 6).skip) == 0
    assert count(PreActBottleneck(6, 8).skip) == 6 * 8 + 8


def test_a_bottlenecks_size_by_hand() -> None:
    """Bn 2*8, 1x1 8*4+4, bn 2*4, 3x3 4*4*9+4, bn 2*4, 1x1 4*8+8."""
    assert count(PreActBottleneck(8, 8)) == 16 + 36 + 8 + 148 + 8 + 40


def test_the_skip_sees_the_raw_input() -> None:
    block = PreActBottleneck(2, 4).eval()
    nn.init.zeros_(block.conv3.weight)
    nn.init.zeros_(block.conv3.bias)
    x = -torch.ones(1, 2, 1, 1)
    expected = block.skip.weight.sum(1).flatten() * -1 + block.skip.bias
    torch.testing.assert_close(block(x).flatten(), expected)


@pytest.mark.parametrize(("bias", "expected"), [(4.0, [7.0, -10.0]), (-4.0, [3.0, -2.0])])
def test_each_convolution_of_a_bottleneck_sees_only_what_is_above_zero(
    bias: float, expected: list[float]
) -> None:
    """Of (2, -3): 2 + 0 - 5 = -3, seen as 0; 0 + bias; seen as 4 or 0, times (1, -2), plus 1."""
    block = PreActBottleneck(2, 2)
    block.bn1, block.bn2, block.bn3 = nn.Identity(), nn.Identity(), nn.Identity()
    for layer, weights, biases in (
        (block.conv1, [1.0, 1.0], [-5.0]),
        (block.conv2, [0.0] * 4 + [-1.0] + [0.0] * 4, [bias]),
        (block.conv3, [1.0, -2.0], [1.0, 1.0]),
    ):
        layer.weight.data = torch.tensor(weights).view_as(layer.weight)
        layer.bias.data = torch.tensor(biases)
    x = torch.tensor([2.0, -3.0]).view(1, 2, 1, 1)
    assert block(x).flatten().tolist() == expected


class Times(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * x


def test_an_hourglass_runs_each_of_its_blocks_once() -> None:
    """Around the maximum 3: down, inner and up make 2 * 3 * 5 * 3 = 90; the skip makes 10 x."""
    hourglass = Hourglass(1, nn.Identity)
    hourglass.skip, hourglass.down = Times(10.0), Times(2.0)
    hourglass.inner, hourglass.up = Times(3.0), Times(5.0)
    x = torch.arange(4.0).view(1, 1, 2, 2)
    torch.testing.assert_close(hourglass(x), 10 * x + 90)


def test_an_hourglass_of_identities_adds_the_averages_of_each_scale() -> None:
    """With every block the identity, each level adds the pooled maximum to what it has."""
    hourglass = Hourglass(2, nn.Identity)
    x = torch.arange(16.0).view(1, 1, 4, 4)
    half = torch.tensor([[5.0, 7.0], [13.0, 15.0]]) + 15.0
    expected = x[0, 0] + half.repeat_interleave(2, 0).repeat_interleave(2, 1)
    torch.testing.assert_close(hourglass(x)[0, 0], expected)


def test_an_hourglass_has_a_block_of_its_own_at_every_place() -> None:
    made: list[nn.Module] = []

    def make() -> nn.Module:
        made.append(nn.Conv2d(3, 3, 1))
        return made[-1]

    hourglass = Hourglass(3, make)
    assert len(made) == len(set(made)) == 3 * 3 + 1
    assert count(hourglass) == 10 * 12


def test_a_pyramid_goes_from_coarse_to_fine() -> None:
    pyramid = Hourglass(3, nn.Identity).pyramid(torch.randn(2, 3, 16, 8))
    assert [tuple(level.shape[-2:]) for level in pyramid] == [(2, 1), (4, 2), (8, 4), (16, 8)]


def test_upsampling_repeats_the_nearest_pixel() -> None:
    low = torch.tensor([[[[1.0, 2.0]]]])
    out = add_upsampled(torch.zeros(1, 1, 2, 4), low)
    assert out.flatten().tolist() == [1, 1, 2, 2, 1, 1, 2, 2]


def test_a_stem_quarters_the_size() -> None:
    stem = Stem(1, (2, 4, 6, 8), PreActBottleneck)
    assert stem(torch.randn(3, 1, 16, 24)).shape == (3, 8, 4, 6)


def test_heatmaps_may_be_negative() -> None:
    head = SupervisionHead(4, 3, nn.Identity)
    feats, heatmaps = head(torch.randn(2, 4, 5, 6))
    assert feats.min() >= 0
    assert heatmaps.shape == (2, 3, 5, 6)
    nn.init.constant_(head.heatmaps.bias, -5.0)
    nn.init.zeros_(head.heatmaps.weight)
    assert head(torch.randn(2, 4, 5, 6))[1].max() == -5.0


def test_feedback_adds_features_and_heatmaps_to_the_input() -> None:
    feedback = Feedback(4, 3)
    x, feats, heatmaps = torch.randn(2, 4, 5, 6), torch.randn(2, 4, 5, 6), torch.randn(2, 3, 5, 6)
    expected = x + feedback.feats(feats) + feedback.heatmaps(heatmaps)
    torch.testing.assert_close(feedback(x, feats, heatmaps), expected)


def two_residuals() -> Residuals:
    return Residuals(PreActBottleneck(4, 4), PreActBottleneck(4, 4))


def small_stem() -> Stem:
    return Stem(4, (2, 4, 6, 8), PreActBottleneck)


@pytest.mark.parametrize("make", [two_residuals, small_stem])
def test_forgetting_changes_neither_gradients_nor_statistics(
    make: Callable[[], Residuals | Stem],
) -> None:
    kept, forgetful = make(), make()
    forgetful.load_state_dict(kept.state_dict())
    forgetful.grad_checkpointing = True
    x = torch.randn(3, 4, 16, 24)
    for block in (kept, forgetful):
        for _ in range(2):
            block(x).square().sum().backward()
    for (name, one), (_, other) in zip(
        kept.named_parameters(), forgetful.named_parameters(), strict=True
    ):
        assert torch.equal(one.grad, other.grad), name
    for (name, one), (_, other) in zip(
        kept.named_buffers(), forgetful.named_buffers(), strict=True
    ):
        assert torch.equal(one, other), name


@pytest.mark.parametrize(("make", "times"), [(two_residuals, 4), (small_stem, 1.5)])
def test_forgetting_saves_memory(make: Callable[[], Residuals | Stem], times: float) -> None:
    def saved(forget: bool) -> int:
        block = make()
        block.grad_checkpointing = forget
        sizes: list[int] = []

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            block(torch.randn(2, 4, 16, 16, requires_grad=True))
        return sum(sizes)

    assert saved(True) < saved(False) / times


class Plain(nn.Module):
    """A residual of one's own."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.conv(x)
        return out


def test_a_residual_of_ones_own_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RESIDUALS, "plain", Plain)
    model = StackedHourglass(small_config(residual="plain"))
    assert sum(isinstance(module, Plain) for module in model.modules()) == 3 + 2 * (3 * 2 + 1 + 1)
    assert model(torch.randn(2, 3, 16, 32))[1].shape == (2, 14, 4, 8)
