"""Other libraries' checkpoints, under our names."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from hgzoo import convert, recipes
from hgzoo.config import ModelConfig
from hgzoo.convert import LAYOUTS
from hgzoo.errors import ConfigError, UnknownNameError, WeightsError
from hgzoo.model import StackedHourglass
from tests import upstream
from tests.conftest import small_config, small_model
from tests.upstream import as_theirs

GOLDEN = ("bearpaw_hg2_w32", "bearpaw_hg3_w32_b2", "princeton_hg2_w32")
BEARPAW, PRINCETON, OURS = LAYOUTS


def golden(assets: Path, name: str) -> tuple[dict[str, Tensor], Tensor, list[Tensor]]:
    """Read a golden file: its state dict, the input, and every stack's heatmaps."""
    with safe_open(assets / "golden" / f"{name}.safetensors", framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    state = {
        key.removeprefix("state_dict/").removeprefix("model.").removeprefix("module."): value
        for key, value in tensors.items()
        if key.startswith("state_dict/")
    }
    stacks = sum(key.startswith("heatmaps/") for key in tensors)
    return state, tensors["input"], [tensors[f"heatmaps/{stack}"] for stack in range(stacks)]


@pytest.mark.parametrize("name", GOLDEN)
def test_a_golden_network_gives_the_same_heatmaps(assets: Path, name: str) -> None:
    state, images, heatmaps = golden(assets, name)
    converted = convert.convert(state)
    model = StackedHourglass(converted.config).eval()
    model.load_state_dict(converted.tensors)
    with torch.no_grad():
        for one, other in zip(model(images), heatmaps, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=0.0)


def test_golden_networks_are_recognized(assets: Path) -> None:
    found = [convert.convert(golden(assets, name)[0]) for name in GOLDEN]
    assert [one.layout for one in found] == [BEARPAW.name, BEARPAW.name, PRINCETON.name]
    narrow = {"num_feats": 32, "stem_channels": (8, 16, 32, 32)}
    assert found[0].config == ModelConfig(num_stacks=2, **narrow)  # type: ignore[arg-type]
    assert found[1].config == ModelConfig(  # type: ignore[arg-type]
        num_stacks=3, num_blocks=2, num_keypoints=14, **narrow
    )
    assert found[2].config == ModelConfig(
        num_stacks=2, num_feats=32, stem_channels=(64, 128, 128, 32)
    )


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"num_stacks": 1, "depth": 1},
        {"num_stacks": 3, "depth": 3, "num_keypoints": 5, "in_channels": 1},
        {"stem_channels": (2, 6, 8, 4)},
    ],
)
def test_names_and_back_is_nothing(layout: convert.Layout, changes: dict[str, int]) -> None:
    model = small_model(**changes)
    for tensor in model.state_dict().values():
        tensor.copy_(torch.randn(tensor.shape))
    converted = convert.convert(as_theirs(model, layout))
    assert converted.config == model.config
    assert converted.layout == layout.name
    state = model.state_dict()
    assert converted.tensors.keys() == state.keys()
    assert all(torch.equal(state[name], value) for name, value in converted.tensors.items())


@pytest.mark.parametrize("layout", [BEARPAW, OURS], ids=lambda layout: layout.name)
def test_several_blocks_are_counted(layout: convert.Layout) -> None:
    model = small_model(num_blocks=3)
    assert convert.convert(as_theirs(model, layout)).config.num_blocks == 3


@pytest.mark.parametrize("name", recipes.names())
def test_our_own_keys_tell_every_variant(name: str) -> None:
    config = recipes.read(name).model
    with torch.device("meta"):
        model = StackedHourglass(config)
    converted = convert.convert(model.state_dict())
    assert converted.config == config
    assert converted.tensors.keys() == model.state_dict().keys()


@pytest.mark.parametrize("name", GOLDEN)
def test_the_networks_we_compare_with_are_the_golden_ones(assets: Path, name: str) -> None:
    state, images, heatmaps = golden(assets, name)
    run = upstream.princeton if name.startswith("princeton") else upstream.bearpaw
    for one, other in zip(run(state, images), heatmaps, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0.0)


@pytest.mark.parametrize(
    ("layout", "variant", "run"),
    [
        (BEARPAW, "hg1", upstream.bearpaw),
        (BEARPAW, "hg2", upstream.bearpaw),
        (BEARPAW, "hg8", upstream.bearpaw),
        (PRINCETON, "hg2_original", upstream.princeton),
        (PRINCETON, "hg8_original", upstream.princeton),
    ],
)
def test_a_full_size_network_gives_the_same_heatmaps(
    layout: convert.Layout, variant: str, run: Callable[..., list[Tensor]]
) -> None:
    config = recipes.read(variant).model
    theirs = as_theirs(StackedHourglass(config), layout)
    for key, value in theirs.items():
        if "running_mean" in key:
            value.normal_(std=0.1)
        elif "running_var" in key:
            value.uniform_(0.5, 1.5)
    converted = convert.convert(theirs)
    assert converted.config == config
    with torch.device("meta"):
        model = StackedHourglass(converted.config)
    model.load_state_dict(converted.tensors, assign=True)
    images = torch.rand(1, 3, 64, 128)
    with torch.no_grad():
        for one, other in zip(model.eval()(images), run(theirs, images), strict=True):
            height = other.abs().max().item()  # random heatmaps are higher than trained ones
            torch.testing.assert_close(one / height, other / height, atol=1e-5, rtol=0.0)


def test_idle_skips_are_dropped() -> None:
    model = small_model()
    theirs = as_theirs(model, PRINCETON)
    assert sum("skip_layer" in key for key in theirs) > 20
    kept = convert.convert(theirs).tensors
    assert [key for key in kept if ".skip.weight" in key] == ["stem.residual1.skip.weight"]


def test_pictures_are_expected_as_each_library_makes_them() -> None:
    model = small_model()
    found = {layout.name: convert.convert(as_theirs(model, layout)).input for layout in LAYOUTS}
    bearpaw, princeton = found[BEARPAW.name], found[PRINCETON.name]
    assert bearpaw is not None
    assert (bearpaw.mean, bearpaw.std) == ((0.4404, 0.4440, 0.4327), (1.0, 1.0, 1.0))
    assert princeton is not None
    assert (princeton.mean, princeton.std) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    assert found[OURS.name] is None


def test_fpds_blue_first_is_turned_round() -> None:
    model = small_model().eval()
    converted = convert.convert(as_theirs(model, BEARPAW), contract="fpd")
    assert converted.input is not None
    assert converted.input.std == (0.229, 0.224, 0.225)
    other = StackedHourglass(converted.config).eval()
    other.load_state_dict(converted.tensors)
    rgb = torch.rand(2, 3, 16, 32)
    torch.testing.assert_close(other(rgb)[-1], model(rgb.flip(1))[-1])


def test_an_unknown_contract_names_the_near_one() -> None:
    with pytest.raises(UnknownNameError, match="did you mean bearpaw"):
        convert.convert({}, contract="bearpow")


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_gaps_and_leftovers_are_listed_under_their_own_names(layout: convert.Layout) -> None:
    theirs = as_theirs(small_model(), layout)
    gap = dict(convert.names(layout, small_config()))["heads.1.bn.running_var"]
    del theirs[gap]
    theirs["extra.weight"] = torch.zeros(1)
    with pytest.raises(WeightsError) as error:
        convert.convert(theirs, where="a.pth")
    assert f"missing: {gap}" in str(error.value)
    assert "left over: extra.weight" in str(error.value)
    assert str(error.value).startswith("a.pth has the layout of")


def test_a_long_list_of_gaps_is_cut_short() -> None:
    theirs = as_theirs(small_model(), BEARPAW)
    kept = {key: value for key, value in theirs.items() if not key.startswith("hg.1")}
    with pytest.raises(WeightsError, match=r"missing: … and \d+ more"):
        convert.convert(kept)


def test_counts_of_steps_may_be_missing() -> None:
    theirs = as_theirs(small_model(), BEARPAW)
    old = {key: value for key, value in theirs.items() if "num_batches" not in key}
    converted = convert.convert(old)
    assert converted.tensors["stem.bn.num_batches_tracked"] == 0


@pytest.mark.parametrize("state", [{}, {"fc.weight": torch.zeros(3, 3)}])
def test_another_network_is_refused(state: dict[str, Tensor]) -> None:
    with pytest.raises(WeightsError, match="no stacked hourglass whose keys hgzoo knows"):
        convert.convert(state)


def test_shapes_that_are_no_network_are_refused() -> None:
    theirs = as_theirs(small_model(), BEARPAW)
    with pytest.raises(WeightsError, match=r"lacks fc\.0\.0\.weight, or it is no convolution"):
        convert.convert({**theirs, "fc.0.0.weight": torch.zeros(3)})
    with pytest.raises(ConfigError, match="even"):
        convert.convert({**theirs, "fc.0.0.weight": torch.zeros(3, 3, 1, 1)})


def test_layouts_name_every_module_of_a_stack() -> None:
    """A module that a later version adds must get its name in every table."""
    plain = {ours for ours in OURS.modules if not ours.startswith("inner_heads")}
    assert plain == BEARPAW.modules.keys() == PRINCETON.modules.keys()
    assert replace(BEARPAW, name="x").residual.keys() == PRINCETON.residual.keys()
