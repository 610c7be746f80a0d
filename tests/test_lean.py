"""The network that computes only what the last heatmaps need."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import hgzoo
from hgzoo.blocks import RESIDUALS, Hourglass
from hgzoo.errors import ConfigError, InputError
from hgzoo.lean import LeanHourglass
from hgzoo.model import StackedHourglass
from tests.conftest import images, shaken, small_config, small_model


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"num_stacks": 1},
        {"num_stacks": 3, "num_blocks": 2},
        {"num_stacks": 1, "inner_supervision": 2},
        {"depth": 1, "stem_channels": (2, 2, 2, 4)},
    ],
)
@torch.inference_mode()
def test_the_last_heatmaps_are_the_same(changes: dict[str, int]) -> None:
    model = shaken(small_model(**changes))
    pictures = images()
    wanted = model(pictures)[-1]
    (found,) = LeanHourglass(model)(pictures)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", hgzoo.list_models())
@torch.inference_mode()
def test_every_variant_can_be_made_lean(name: str) -> None:
    recipe = hgzoo.model_info(name)
    changes = {"num_stacks": min(2, recipe.model.num_stacks), "stem_channels": (2, 4, 8, 8)}
    narrow = replace(recipe.model, num_feats=8, **changes)
    model = shaken(StackedHourglass(narrow))
    pictures = torch.randn(1, 3, 64, 128)
    wanted = model(pictures)[-1]
    torch.testing.assert_close(LeanHourglass(model)(pictures)[-1], wanted, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_both_ways_to_double_and_add_agree() -> None:
    model = shaken(small_model())
    pictures = images()
    one, other = LeanHourglass(model), LeanHourglass(model, exported=True)
    torch.testing.assert_close(one(pictures), other(pictures))


@torch.inference_mode()
def test_fewer_stacks_give_the_heatmaps_of_that_stack() -> None:
    model = shaken(small_model(num_stacks=3))
    pictures = images()
    for number, wanted in enumerate(model(pictures), 1):
        lean = LeanHourglass(model, num_stacks=number)
        assert lean.config.num_stacks == number
        torch.testing.assert_close(lean(pictures)[-1], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("number", [0, 4])
def test_only_stacks_that_exist_can_be_kept(number: int) -> None:
    with pytest.raises(ConfigError, match="num_stacks must be 1 to 3"):
        LeanHourglass(small_model(num_stacks=3), num_stacks=number)


@torch.inference_mode()
def test_a_few_pictures_at_a_time_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model = shaken(small_model())
    pictures = images(5)
    seen = []
    lean = LeanHourglass(model)
    one = lean.one
    monkeypatch.setattr(lean, "one", lambda few: seen.append(len(few)) or one(few))
    monkeypatch.setattr("hgzoo.lean.TOGETHER", 2 * 32 * 48)
    torch.testing.assert_close(lean(pictures)[-1], model(pictures)[-1], rtol=1e-4, atol=1e-5)
    assert seen == [2, 2, 1]


def test_bfloat16_is_near_and_heatmaps_are_float32() -> None:
    model = shaken(small_model())
    pictures = images()
    with torch.inference_mode():
        wanted = model(pictures)[-1]
        (found,) = LeanHourglass(model, dtype=torch.bfloat16)(pictures)
    assert found.dtype == torch.float32
    assert (found - wanted).abs().max() < 0.05 * wanted.abs().max()


class AddsNothing(nn.Module):
    """A residual that hgzoo does not know, and that returns what it is given."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        same = in_channels == out_channels
        self.change = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.change(x)
        return out


@torch.inference_mode()
def test_a_block_that_nobody_knows_runs_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above all, what it returns is not written over: it may be its own input."""
    monkeypatch.setitem(RESIDUALS, "nothing", AddsNothing)
    model = shaken(StackedHourglass(small_config(residual="nothing")))
    pictures = images()
    wanted = model(pictures)[-1]
    torch.testing.assert_close(LeanHourglass(model)(pictures)[-1], wanted, rtol=1e-4, atol=1e-5)


def test_the_model_is_not_touched() -> None:
    model = shaken(small_model()).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.inference_mode():
        LeanHourglass(model)(images())
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_only_first_batch_norms_are_left_and_intermediate_heads_are_gone() -> None:
    lean = LeanHourglass(small_model(num_stacks=3))
    assert not any(isinstance(part, nn.BatchNorm2d | Hourglass) for part in lean.modules())
    plain = sum(p.numel() for p in small_model(num_stacks=3).parameters())
    assert sum(p.numel() for p in lean.parameters()) < plain


def test_sizes_are_checked_as_in_the_network() -> None:
    with pytest.raises(InputError, match="must divide by 16"):
        LeanHourglass(small_model())(torch.zeros(1, 3, 32, 40))
