"""The assembled network: counts, gradients, sizes, and timm's interface."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from hgzoo import recipes
from hgzoo.benchmark import live_bytes
from hgzoo.config import ModelConfig
from hgzoo.errors import ConfigError, InputError, UnknownNameError
from hgzoo.model import StackedHourglass
from tests.conftest import small_config, small_model

WIDE, ORIGINAL = (64, 128, 256, 256), (64, 128, 128, 256)


def count(config: ModelConfig) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in StackedHourglass(config).parameters())


@pytest.mark.parametrize(
    ("num_stacks", "wide", "original"),
    [
        (1, 3_586_960, 3_426_448),
        (2, 6_730_912, 6_570_400),
        (4, 13_018_816, 12_858_304),
        (8, 25_594_624, 25_434_112),
    ],
)
def test_parameter_counts_are_those_of_the_public_networks(
    num_stacks: int, wide: int, original: int
) -> None:
    assert count(ModelConfig(num_stacks=num_stacks, stem_channels=WIDE)) == wide
    assert count(ModelConfig(num_stacks=num_stacks, stem_channels=ORIGINAL)) == original


def test_the_ablations_are_of_comparable_size() -> None:
    """Each within an eighth of the eight-stack network (paper, Section 4.3)."""
    eight = count(recipes.read("hg8_original").model)
    for name in ("hg1_b8", "hg1_b8_int", "hg2_b4", "hg4_b2"):
        assert abs(count(recipes.read(name).model) / eight - 1) < 1 / 8, name


def shrunk(name: str) -> StackedHourglass:
    config = replace(recipes.read(name).model, num_feats=8, stem_channels=(2, 4, 8, 8))
    return StackedHourglass(config)


@pytest.mark.parametrize("name", recipes.names())
def test_every_parameter_learns(name: str) -> None:
    """A parameter without a gradient is a part nobody wired up."""
    model = shrunk(name)
    sum(heatmaps.sum() for heatmaps in model(torch.randn(2, 3, 128, 64))).backward()
    idle = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert not idle


@pytest.mark.parametrize("name", recipes.names())
@pytest.mark.parametrize("training", [True, False])
def test_every_variant_gives_a_list_of_heatmaps(name: str, training: bool) -> None:
    model = shrunk(name).train(training)
    config = model.config
    heatmaps = model(torch.randn(2, 3, 64, 128))
    assert isinstance(heatmaps, list)
    assert len(heatmaps) == config.num_stacks + config.inner_supervision
    assert {tuple(stack.shape) for stack in heatmaps} == {(2, config.num_keypoints, 16, 32)}


def test_a_batch_equals_one_by_one() -> None:
    model = small_model().eval()
    images = torch.randn(3, 3, 32, 48)
    together = model(images)
    for index in range(3):
        for stack, alone in zip(together, model(images[index : index + 1]), strict=True):
            torch.testing.assert_close(stack[index], alone[0], atol=1e-5, rtol=1e-4)


def test_stacks_come_first_to_last_and_feed_the_next() -> None:
    model = small_model().eval()
    images = torch.randn(1, 3, 32, 48)
    before = [stack.clone() for stack in model(images)]
    with torch.no_grad():
        model.feedbacks[0].heatmaps.weight.mul_(2)
    after = model(images)
    assert torch.equal(before[0], after[0])
    assert not torch.equal(before[1], after[1])


def test_feedback_goes_to_the_input_of_its_own_stack() -> None:
    """The second stack's input: the first one's, and its features and heatmaps."""
    model = small_model(num_stacks=3).eval()
    given: dict[nn.Module, tuple[torch.Tensor, ...]] = {}
    made: dict[nn.Module, Any] = {}

    def listen(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: Any) -> None:
        given[module], made[module] = inputs, output

    for module in (model.stem, *model.heads, *model.feedbacks):
        module.register_forward_hook(listen)
    model(torch.randn(1, 3, 32, 48))
    for before, head, feedback in zip(
        (model.stem, model.feedbacks[0]), model.heads, model.feedbacks, strict=False
    ):
        assert given[feedback][0] is made[before]
        assert given[feedback][1:] == made[head]


def test_stacks_share_no_weights() -> None:
    state = small_model().state_dict(keep_vars=True)
    addresses = [value.data_ptr() for value in state.values() if value.numel() > 1]
    assert len(addresses) == len(set(addresses))


@pytest.mark.parametrize(("height", "width"), [(224, 256), (256, 100), (16, 64), (0, 64)])
def test_another_size_is_refused_with_the_nearest_that_work(height: int, width: int) -> None:
    with pytest.raises(InputError, match="must divide by 64"):
        shrunk("hg1")(torch.zeros(1, 3, height, width))


def test_the_nearest_sizes_are_named() -> None:
    with pytest.raises(InputError, match="got 224x256; the nearest that work: 192x256 or 256x256"):
        shrunk("hg1")(torch.zeros(1, 3, 224, 256))


def test_wrong_channels_are_refused() -> None:
    with pytest.raises(InputError, match="expected images \\[B, 3, H, W\\]"):
        small_model()(torch.zeros(1, 1, 32, 32))


def test_an_unknown_residual_names_the_near_one() -> None:
    with pytest.raises(UnknownNameError, match="did you mean preact_bottleneck"):
        StackedHourglass(small_config(residual="preact_bottlenek"))


def test_gradient_checkpointing_by_switch() -> None:
    plain, saving = small_model(), small_model()
    saving.load_state_dict(plain.state_dict())
    saving.set_grad_checkpointing()
    images = torch.randn(2, 3, 32, 48)
    for model in (plain, saving):
        sum(stack.square().sum() for stack in model(images)).backward()
    for one, other in zip(plain.parameters(), saving.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)


def test_timms_features_and_head_make_the_last_heatmaps() -> None:
    model = small_model().eval()
    images = torch.randn(2, 3, 32, 48)
    feats = model.forward_features(images)
    assert feats.shape == (2, model.num_features, 8, 12)
    torch.testing.assert_close(model.forward_head(feats), model(images)[-1])
    assert model.forward_head(feats, pre_logits=True) is feats


def test_timms_intermediates_are_the_stacks_features() -> None:
    model = small_model(num_stacks=3).eval()
    images = torch.randn(2, 3, 32, 48)
    final, all_three = model.forward_intermediates(images)
    assert len(all_three) == 3
    assert torch.equal(final, all_three[-1])
    last_two = model.forward_intermediates(images, 2, intermediates_only=True)
    assert [torch.equal(a, b) for a, b in zip(last_two, all_three[1:], strict=True)] == [True] * 2
    first = model.forward_intermediates(images, [0], intermediates_only=True)
    assert torch.equal(first[0], all_three[0])
    with pytest.raises(ConfigError, match="stacks 0 to 2"):
        model.forward_intermediates(images, [3])
    with pytest.raises(ConfigError, match="NCHW"):
        model.forward_intermediates(images, output_fmt="NLC")


def test_features_that_nobody_asked_for_are_let_go() -> None:
    """Two more stacks cost their heatmaps, and the features that are asked for, no more."""
    wide = {"num_feats": 8, "stem_channels": (2, 4, 4, 8)}
    few, many = (live(small_model(num_stacks=stacks, **wide).eval()) for stacks in (3, 5))
    feats, heatmaps = (4 * channels * 16 * 16 for channels in (8, 14))
    assert many["forward"] - few["forward"] == 2 * heatmaps
    assert many["features"] == few["features"]
    assert many["first"] == few["first"]
    assert many["all"] - few["all"] == 2 * feats


def live(model: StackedHourglass) -> dict[str, int]:
    images = torch.zeros(1, 3, 64, 64)
    calls = {
        "forward": model,
        "features": model.forward_features,
        "first": partial(model.forward_intermediates, indices=[0]),
        "all": model.forward_intermediates,
    }
    known = [images, *model.parameters(), *model.buffers()]
    return {name: live_bytes(partial(call, images), known=known) for name, call in calls.items()}


def test_timms_reset_replaces_every_head_and_feedback() -> None:
    model = small_model().eval()
    kept = model.stem.conv.weight.clone()
    model.reset_classifier(5)
    assert [head.out_channels for head in model.get_classifier()] == [5, 5]
    assert model.num_classes == model.config.num_keypoints == 5
    assert model(torch.randn(1, 3, 16, 16))[0].shape == (1, 5, 4, 4)
    assert torch.equal(model.stem.conv.weight, kept)


def test_timms_records_name_real_modules() -> None:
    model = small_model()
    names = dict(model.named_modules())
    assert all(info["module"] in names for info in model.feature_info)
    cfg = model.pretrained_cfg
    assert cfg["first_conv"] in names
    assert [names[name] for name in cfg["classifier"]] == list(model.get_classifier())
    assert cfg["input_size"] == (3, 32, 48)


def test_timm_itself_takes_features_and_groups() -> None:
    timm_models = pytest.importorskip("timm.models")
    model = small_model(num_stacks=3)
    info = timm_models.FeatureInfo(model.feature_info, (0, 1, 2))
    assert info.channels() == [4, 4, 4]
    assert info.reduction() == [4, 4, 4]
    groups = timm_models.group_parameters(model, model.group_matcher())
    names = {name for group in groups.values() for name in group}
    assert names == dict(model.named_parameters()).keys()
    assert groups[0][0].startswith("stem")


def test_timms_groups_cover_every_parameter() -> None:
    import re

    model = small_model()
    groups = model.group_matcher()
    patterns = [groups["stem"], *(pattern for pattern, _ in groups["blocks"])]
    for name, _ in model.named_parameters():
        assert sum(bool(re.match(pattern, name)) for pattern in patterns) == 1, name


@pytest.mark.parametrize("indices", [0, [], 9, [2]])
def test_stacks_that_do_not_exist_are_refused(indices: int | list[int]) -> None:
    with pytest.raises(ConfigError, match="must name stacks"):
        small_model().forward_intermediates(torch.zeros(1, 3, 16, 16), indices=indices)
