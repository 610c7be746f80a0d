"""The zoo under timm's names."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from hgzoo import factory, recipes, timm_bridge
from hgzoo.directories import GENERIC
from hgzoo.errors import ConfigError, UnknownArgumentError, WeightsError
from hgzoo.model import StackedHourglass
from hgzoo.timm_bridge import register_with_timm
from tests.conftest import small_model
from tests.hub_server import HubServer

timm = pytest.importorskip("timm")
pytest.importorskip("timm.data")
pytest.importorskip("timm.optim")

SMALL = {
    "num_stacks": 2,
    "num_feats": 4,
    "depth": 2,
    "stem_channels": (2, 4, 4, 4),
    "num_classes": 14,
}
"""The architecture of `small_model`, as timm's arguments."""


@pytest.fixture(autouse=True)
def registered() -> None:
    register_with_timm()


@pytest.fixture(scope="module")
def tiny() -> StackedHourglass:
    return factory.create_model("hg2_tiny", pretrained=True)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with a network of one's own."""
    small_model().save_pretrained(tmp_path / "own")
    return tmp_path / "own"


def assert_same(one: nn.Module, other: nn.Module, images: Tensor | None = None) -> None:
    """Compare the weights of two networks bit by bit, and their heatmaps.

    Where a file's weights lie in memory, MKL may add up in another order: the last bits differ.
    """
    state, others = one.state_dict(), other.state_dict()
    assert state.keys() == others.keys()
    assert [key for key in state if not torch.equal(state[key], others[key])] == []
    images = torch.randn(1, 3, 32, 48) if images is None else images
    torch.testing.assert_close(one.eval()(images), other.eval()(images), rtol=1e-5, atol=1e-5)


# The registry.


def test_the_module_alone_imports_neither_timm_nor_torchvision() -> None:
    code = "import sys, hgzoo.timm_bridge; print({'timm', 'torchvision'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_registering_twice_is_registering_once() -> None:
    before = timm.list_models()
    register_with_timm()
    assert timm.list_models() == before


def test_every_variant_is_listed() -> None:
    assert timm.list_models("hg?") == ["hg1", "hg2", "hg4", "hg8"]
    assert {*timm.list_models(module="hgzoo")} == {*recipes.names(), GENERIC}
    assert "hgzoo" in timm.models.list_modules()
    assert timm.is_model("hg8")
    assert timm.models.is_model_in_modules("hg8", ["hgzoo"])


def test_every_tag_is_listed() -> None:
    ours = [
        name for name in timm.list_pretrained() if timm.models.is_model_in_modules(name, ["hgzoo"])
    ]
    assert sorted(ours) == factory.list_models(pretrained=True)
    assert timm.models.is_model_pretrained("hg2_tiny")
    assert not timm.models.is_model_pretrained("hg4")


def test_the_default_weights_are_those_of_the_recipe() -> None:
    for name in recipes.names():
        assert (timm.get_pretrained_cfg(name).tag or "") == recipes.read(name).default_weights


def test_of_several_weights_the_recipes_default_comes_first() -> None:
    recipe = recipes.read("hg2_tiny")
    weights = {"other": recipe.weights["people"], **recipe.weights}
    records = timm_bridge._records(replace(recipe, weights=weights))
    assert list(records) == ["hg2_tiny.people", "hg2_tiny.other"]


def test_the_record_of_weights_tells_contract_and_terms() -> None:
    record = timm.get_pretrained_cfg("hg2_tiny.people")
    recipe = recipes.read("hg2_tiny")
    assert record.input_size == (3, *recipe.input.size)
    assert (record.mean, record.num_classes) == (recipe.input.mean, 19)
    assert record.license == "apache-2.0"
    assert record.hf_hub_id == "hgzoo/hg2_tiny.people@v1"


def test_the_entry_points_can_be_found_where_they_say_they_are() -> None:
    entry_point = timm.model_entrypoint("hg8")
    assert getattr(sys.modules[entry_point.__module__], entry_point.__name__) is entry_point


# Networks of the zoo.


@pytest.mark.parametrize("name", ["hg2_tiny", "hg2_tiny.people"])
def test_timm_gives_the_zoos_own_network(name: str, tiny: StackedHourglass) -> None:
    assert_same(timm.create_model(name, pretrained=True), tiny, torch.randn(1, 3, 64, 128))


@pytest.mark.parametrize("name", ["hg1_b8_int", "hg2_tiny", "hg4_small", "hg8_original"])
def test_a_variant_has_its_architecture(name: str) -> None:
    with torch.device("meta"):
        model = timm.create_model(name)
    assert model.config == recipes.read(name).model
    assert model.training


def test_timm_asks_hgzoos_loader(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: dict[str, Any] = {}

    def create_model(name: str, **options: Any) -> StackedHourglass:
        asked.update(options, name=name)
        return small_model()

    monkeypatch.setattr(factory, "create_model", create_model)
    timm.create_model("hg8.bearpaw_mpii", pretrained=True, cache_dir=tmp_path)
    assert (asked["name"], asked["pretrained"]) == ("hg8.bearpaw_mpii", True)
    assert asked["cache_dir"] == tmp_path


def test_what_has_no_weights_says_which_exist() -> None:
    with pytest.raises(WeightsError, match="hg2_tiny"):
        timm.create_model("hg4_small", pretrained=True)


def test_classes_are_keypoints() -> None:
    model = timm.create_model("hg2_tiny", pretrained=True, num_classes=5)
    assert (model.num_classes, model.pretrained_cfg["num_classes"]) == (5, 5)
    assert model(torch.randn(1, 3, 64, 64))[-1].shape == (1, 5, 16, 16)


def test_a_gray_network_is_hgzoos_gray_network() -> None:
    gray = factory.create_model("hg2_tiny", pretrained=True, in_chans=1)
    model = timm.create_model("hg2_tiny", pretrained=True, in_chans=1)
    assert_same(model, gray, torch.randn(1, 1, 64, 64))
    assert model.pretrained_cfg["input_size"] == (1, 128, 128)
    assert len(timm.data.resolve_model_data_config(model)["mean"]) == 1


def test_another_architecture_comes_with_random_weights() -> None:
    model = timm.create_model("hg2_tiny", num_stacks=3)
    assert (model.config.num_stacks, model.config.num_feats) == (3, 128)
    assert model.output == recipes.read("hg2_tiny").output.uncalibrated()


def test_weights_do_not_fit_another_architecture() -> None:
    with pytest.raises(ConfigError, match="num_stacks=3"):
        timm.create_model("hg2_tiny", pretrained=True, num_stacks=3)


def test_the_generic_architecture_takes_all_as_arguments() -> None:
    model = timm.create_model(GENERIC, **SMALL, in_chans=2)
    assert model.config == small_model(in_channels=2).config
    assert model.pretrained_cfg["input_size"] == (2, 256, 256)


def test_the_generic_architecture_has_no_weights() -> None:
    with pytest.raises(WeightsError, match="local-dir"):
        timm.create_model(GENERIC, pretrained=True, **SMALL)


def test_unknown_arguments_do_not_vanish() -> None:
    with pytest.raises(UnknownArgumentError, match="did you mean num_stacks"):
        timm.create_model("hg2_tiny", num_stack=3)
    with pytest.raises(TypeError):
        timm.create_model(GENERIC, num_stacks=1, img_size=64)


def test_arguments_that_scripts_always_pass_are_taken_while_neutral() -> None:
    neutral = {"drop_rate": 0.0, "drop_path_rate": None, "scriptable": True, "global_pool": ""}
    assert timm.create_model(GENERIC, **SMALL, **neutral).num_classes == 14
    with pytest.raises(ConfigError, match="drop_rate"):
        timm.create_model(GENERIC, **SMALL, drop_rate=0.1)


# Weights from elsewhere.


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_timm_loads_a_checkpoint(own: Path, tmp_path: Path, suffix: str) -> None:
    path = own / "model.safetensors"
    if suffix == ".pth":
        path = tmp_path / "model.pth"
        torch.save(load_file(own / "model.safetensors"), path)
    before = factory.create_model(f"local-dir:{own}", pretrained=True)
    after = timm.create_model(GENERIC, **SMALL)
    timm.models.load_checkpoint(after, str(path))
    assert_same(after, before)
    assert_same(timm.create_model(GENERIC, **SMALL, checkpoint_path=str(path)), before)


def test_an_overlay_names_a_file(tiny: StackedHourglass, tmp_path: Path) -> None:
    changed = factory.create_model("hg2_tiny", pretrained=True)
    nn.init.ones_(changed.heads[0].heatmaps.weight)  # type: ignore[union-attr, arg-type]
    torch.save(changed.state_dict(), tmp_path / "model.pth")
    overlay = {"file": str(tmp_path / "model.pth"), "num_classes": -1}  # as timm's train.py
    model = timm.create_model("hg2_tiny", pretrained=True, pretrained_cfg_overlay=overlay)
    assert_same(model, changed, torch.randn(1, 3, 64, 64))
    assert model.pretrained_cfg["num_classes"] == 19


def test_an_overlay_cannot_change_what_pictures_are_expected() -> None:
    with pytest.raises(UnknownArgumentError, match="mean"):
        timm.create_model("hg2_tiny", pretrained_cfg_overlay={"mean": (0.0, 0.0, 0.0)})


def test_an_address_that_nobody_checked_is_refused() -> None:
    record = {"url": "https://example.org/a.pth"}
    with pytest.raises(WeightsError, match="checkpoint_path"):
        timm.create_model("hg2_tiny", pretrained=True, pretrained_cfg=record)


def test_timms_own_record_means_the_same_network(tiny: StackedHourglass) -> None:
    record = timm.get_pretrained_cfg("hg2_tiny.people").to_dict()  # as resolve_model_input_args
    model = timm.create_model("hg2_tiny", pretrained=True, pretrained_cfg=record)
    assert_same(model, tiny, torch.randn(1, 3, 64, 64))


# Folders and the Hub.


def test_a_folder_of_ones_own_loads(own: Path) -> None:
    model = timm.create_model(f"local-dir:{own}", pretrained=True)
    assert_same(model, factory.create_model(f"local-dir:{own}", pretrained=True))
    assert (model.output, model.input) == (small_model().output, small_model().input)


def test_a_folder_of_a_variant_loads(tiny: StackedHourglass, tmp_path: Path) -> None:
    tiny.save_pretrained(tmp_path)
    model = timm.create_model(f"local-dir:{tmp_path}", pretrained=True)
    assert_same(model, tiny, torch.randn(1, 3, 64, 64))
    assert model.pretrained_cfg["architecture"] == "hg2_tiny"


def test_a_folder_loads_for_other_keypoints(own: Path) -> None:
    model = timm.create_model(f"local-dir:{own}", pretrained=True, num_classes=5, in_chans=1)
    stem = load_file(own / "model.safetensors")["stem.conv.weight"]
    torch.testing.assert_close(model.stem.conv.weight, stem.sum(1, keepdim=True))
    assert model(torch.randn(1, 1, 32, 48))[-1].shape == (1, 5, 8, 12)


def test_a_folder_without_pretrained_is_random(own: Path) -> None:
    model = timm.create_model(f"local-dir:{own}")
    assert model.config == small_model().config
    assert model.output == small_model().output
    stem = load_file(own / "model.safetensors")["stem.conv.weight"]
    assert not torch.equal(model.stem.conv.weight, stem)


def test_a_repository_on_the_hub_loads(own: Path, hub_server: HubServer, tmp_path: Path) -> None:
    commit = hub_server.put("me/own", {file.name: file.read_bytes() for file in own.iterdir()})
    hub_server.put("me/own", {"README.md": b"nothing"})
    cache = tmp_path / "elsewhere"
    model = timm.create_model(f"hf-hub:me/own@{commit}", pretrained=True, cache_dir=cache)
    assert_same(model, factory.create_model(f"local-dir:{own}", pretrained=True))
    assert (cache / "models--me--own").is_dir()


def test_an_overlay_names_a_repository(own: Path, hub_server: HubServer) -> None:
    hub_server.put("me/own", {file.name: file.read_bytes() for file in own.iterdir()})
    overlay = {"hf_hub_id": "me/own"}
    model = timm.create_model(GENERIC, pretrained=True, pretrained_cfg_overlay=overlay)
    assert_same(model, factory.create_model(f"local-dir:{own}", pretrained=True))


@pytest.mark.parametrize("safe", [True, False])
def test_hgzoo_reads_a_variant_that_timm_wrote(
    tiny: StackedHourglass, tmp_path: Path, safe: bool
) -> None:
    model = timm.create_model("hg2_tiny", pretrained=True)
    timm.models.save_for_hf(model, tmp_path, safe_serialization=safe)
    back = factory.create_model(f"local-dir:{tmp_path}", pretrained=True)
    assert_same(back, tiny, torch.randn(1, 3, 64, 64))
    assert (back.input, back.output) == (tiny.input, tiny.output)


def test_hgzoo_reads_a_changed_variant_that_timm_wrote(tmp_path: Path) -> None:
    small = {key: SMALL[key] for key in ("num_feats", "stem_channels")}
    model = timm.create_model("hg2_tiny", **small, in_chans=1, global_pool="")
    model.reset_classifier(5)
    timm.models.save_for_hf(model, tmp_path)
    back = factory.create_model(f"local-dir:{tmp_path}", pretrained=True)
    assert_same(back, model, torch.randn(1, 1, 64, 64))


def test_hgzoo_reads_a_network_of_ones_own_that_timm_wrote(own: Path, tmp_path: Path) -> None:
    model = timm.create_model(f"local-dir:{own}", pretrained=True)
    timm.models.save_for_hf(model, tmp_path / "timm", safe_serialization=True)
    back = factory.create_model(f"local-dir:{tmp_path / 'timm'}", pretrained=True)
    assert_same(back, model)
    assert back.input == model.input


def test_timm_reads_what_timm_wrote(own: Path, tmp_path: Path) -> None:
    model = timm.create_model(f"local-dir:{own}", pretrained=True)
    timm.models.save_for_hf(model, tmp_path / "timm", safe_serialization=True)
    assert_same(timm.create_model(f"local-dir:{tmp_path / 'timm'}", pretrained=True), model)


# What timm does with a network.


def test_features_are_a_map_of_each_stack(own: Path) -> None:
    plain = factory.create_model(f"local-dir:{own}", pretrained=True)
    model = timm.create_model(f"local-dir:{own}", pretrained=True, features_only=True).eval()
    images = torch.randn(1, 3, 32, 48)
    wanted = plain.forward_intermediates(images, intermediates_only=True)
    torch.testing.assert_close(model(images), wanted, rtol=0, atol=0)
    assert model.feature_info.channels() == [4, 4]
    assert model.feature_info.reduction() == [4, 4]


@pytest.mark.parametrize("out_indices", [(1,), (-1,), 1])
def test_features_of_chosen_stacks(out_indices: Any) -> None:
    model = timm.create_model(GENERIC, **SMALL, features_only=True, out_indices=out_indices)
    features = model(torch.randn(2, 3, 32, 48))
    assert [tuple(one.shape) for one in features] == [(2, 4, 8, 12)]
    assert model.feature_info.module_name() == ["heads.1"]


@pytest.mark.parametrize("out_indices", [(0, 2), 3, -3, ()])
def test_features_of_stacks_that_do_not_exist_are_refused(out_indices: Any) -> None:
    with pytest.raises(ConfigError, match="stacks 0 to 1"):
        timm.create_model(GENERIC, **SMALL, features_only=True, out_indices=out_indices)


def test_indices_without_features_do_not_vanish() -> None:
    with pytest.raises(ConfigError, match="features_only=True"):
        timm.create_model(GENERIC, **SMALL, out_indices=(0,))


def test_features_cannot_be_taken_by_taking_the_network_apart() -> None:
    with pytest.raises(ConfigError, match="getter"):
        timm.create_model(GENERIC, **SMALL, features_only=True, feature_cls="hook")


def test_layer_decay_is_gentler_toward_the_last_stack() -> None:
    model = timm.create_model(GENERIC, **SMALL)
    optimizer = timm.optim.create_optimizer_v2(model, opt="sgd", lr=0.1, layer_decay=0.5)
    scales = {
        id(one): group["lr_scale"] for group in optimizer.param_groups for one in group["params"]
    }
    assert [scales[id(one.weight)] for one in (model.stem.conv, *model.get_classifier())] == [
        *(0.25, 0.5, 1.0)
    ]


def test_timm_prepares_pictures_as_the_network_expects(own: Path) -> None:
    model = timm.create_model(f"local-dir:{own}", pretrained=True)
    prepared = timm.data.resolve_model_data_config(model)
    assert prepared["input_size"] == (3, 32, 48)
    assert (prepared["mean"], prepared["std"]) == ((0.5, 0.4, 0.3), (1.0, 1.0, 1.0))


def test_the_record_follows_a_new_head() -> None:
    model = timm.create_model("hg2_tiny")
    model.reset_classifier(5)
    assert model.pretrained_cfg["num_classes"] == 5
    assert model.pretrained_cfg["tag"] == "people"


def test_grad_checkpointing_can_be_switched() -> None:
    model = timm.create_model(GENERIC, **SMALL).eval()
    images = torch.randn(1, 3, 32, 48)
    plain = model(images)
    model.set_grad_checkpointing()
    torch.testing.assert_close(model(images), plain, rtol=0, atol=0)
