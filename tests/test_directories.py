"""A network as a folder: what is saved comes back, and says only what is true of it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import hgzoo
from hgzoo import cards, checkpoints, recipes
from hgzoo.config import InputSpec, Measured, OutputSpec, Reported, Weights
from hgzoo.errors import ConfigError, HgzooError, WeightsError
from hgzoo.model import StackedHourglass
from hgzoo.skeletons import Skeleton
from tests.conftest import small_config, small_model

FACE = Skeleton(
    name="face",
    keypoints=("left_eye", "right_eye", "nose"),
    flip_pairs=((0, 1),),
    limbs=((0, 2), (1, 2)),
    groups={"eyes": (0, 1)},
)
TERMS = Weights(
    licence="Only for tests.",
    source="Random numbers.",
    not_for="Anything.",
    measured=(Measured(value=12.34, metric="PCK@0.2", command="hgzoo evaluate"),),
    reported=(Reported(value=56.78, metric="PCKh@0.5", source="Somebody"),),
)


def face_model() -> StackedHourglass:
    return StackedHourglass(
        small_config(num_keypoints=3),
        input=InputSpec(size=(32, 48), mean=(0.5, 0.4, 0.3), contrast="stretched"),
        output=OutputSpec(heatmaps="logits", skeleton=FACE, decoder="argmax"),
    ).eval()


def described_model(tmp_path: Path) -> StackedHourglass:
    """A network that was read from a file with terms and figures."""
    path = tmp_path / "described.safetensors"
    described = replace(small_model().checkpoint(), name="own.mine", weights=TERMS)
    checkpoints.write(described, path)
    return StackedHourglass.from_checkpoint(checkpoints.read(path), where=str(path))


def card_of(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("model", [small_model().eval(), face_model()], ids=["lsp", "face"])
def test_what_was_saved_comes_back(tmp_path: Path, model: StackedHourglass) -> None:
    model.save_pretrained(tmp_path / "saved")
    back = StackedHourglass.from_pretrained(tmp_path / "saved")
    assert (back.config, back.input, back.output) == (model.config, model.input, model.output)
    images = torch.randn(2, 3, 32, 48)
    for one, other in zip(model(images), back(images), strict=True):
        assert torch.equal(one, other)
    assert not back.training


def test_every_form_of_name_finds_a_folder(tmp_path: Path) -> None:
    face_model().save_pretrained(tmp_path / "face")
    for name in (f"local-dir:{tmp_path / 'face'}", str(tmp_path / "face"), tmp_path / "face"):
        model = hgzoo.create_model(name, pretrained=True)
        assert model.output.skeleton == FACE
    random = hgzoo.create_model(f"local-dir:{tmp_path / 'face'}")
    assert random.training
    assert random.config == model.config
    assert not torch.equal(random.stem.conv.weight, model.stem.conv.weight)
    assert hgzoo.Predictor(tmp_path / "face").skeleton == FACE
    assert hgzoo.model_info(tmp_path / "face").output.skeleton == FACE


def test_saving_changes_nothing_in_the_network(tmp_path: Path) -> None:
    model = small_model().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.save_pretrained(tmp_path)
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_saving_leaves_frozen_parts_frozen(tmp_path: Path) -> None:
    model = small_model().train()
    model.stem.eval()
    model.save_pretrained(tmp_path)
    assert model.training
    assert not model.stem.training


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_networks_in_other_number_formats_are_saved_and_predict(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    model = small_model().eval().to(dtype)
    model.save_pretrained(tmp_path)
    assert next(model.parameters()).dtype == dtype
    assert (tmp_path / "picture.jpg").exists()
    assert hgzoo.Predictor(model, detector="whole")(np.zeros((32, 48, 3), np.uint8))


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    for name, text in (("README.md", "# My project"), ("config.json", '{"mine": 1}')):
        folder = tmp_path / name[:3]
        folder.mkdir()
        (folder / name).write_text(text, encoding="utf-8")
        with pytest.raises(WeightsError, match="would be lost"):
            small_model().save_pretrained(folder)
        assert [path.name for path in folder.iterdir()] == [name]
        assert (folder / name).read_text(encoding="utf-8") == text


def test_saving_over_an_older_folder_leaves_nothing_of_it(tmp_path: Path) -> None:
    small_model().save_pretrained(tmp_path)
    assert (tmp_path / "picture.jpg").exists()
    face_model().save_pretrained(tmp_path)
    assert not (tmp_path / "picture.jpg").exists()
    assert StackedHourglass.from_pretrained(tmp_path).output.skeleton == FACE


def test_an_interrupted_saving_leaves_no_wrong_description(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_model().save_pretrained(tmp_path)

    def interrupt(*_: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(cards, "front_matter", interrupt)
        with pytest.raises(KeyboardInterrupt):
            face_model().save_pretrained(tmp_path)
    assert StackedHourglass.from_pretrained(tmp_path).output.skeleton == FACE


@pytest.mark.parametrize("directory", ["", "a\0b"])
def test_what_is_no_folder_is_refused(directory: str) -> None:
    with pytest.raises(HgzooError):
        small_model().save_pretrained(directory)


@pytest.mark.parametrize(
    "source", ["", "local-dir:", "local-dir:none", "no/such/folder", "x" * 5000]
)
def test_a_folder_that_is_not_there_is_told(source: str) -> None:
    with pytest.raises(HgzooError):
        StackedHourglass.from_pretrained(source)
    with pytest.raises(HgzooError):
        hgzoo.create_model(source, pretrained=True)


def test_half_precision_halves_the_file(tmp_path: Path) -> None:
    model = small_model(num_feats=32, stem_channels=(8, 16, 32, 32))
    model.save_pretrained(tmp_path / "full")
    model.save_pretrained(tmp_path / "half", half=True)
    full, half = (
        (tmp_path / name / "model.safetensors").stat().st_size for name in ("full", "half")
    )
    assert half < 0.6 * full


def test_config_json_says_what_timm_reads(tmp_path: Path) -> None:
    face_model().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert config["architecture"] == "stacked_hourglass"
    assert config["num_classes"] == config["pretrained_cfg"]["num_classes"] == 3
    assert config["pretrained_cfg"]["input_size"] == [3, 32, 48]
    assert config["model_args"]["num_stacks"] == 2
    assert config["keypoints"] == ["left_eye", "right_eye", "nose"]
    assert config["flip_pairs"] == [[0, 1]]
    assert config["limbs"] == [[0, 2], [1, 2]]


def test_config_json_outweighs_what_the_file_itself_says(tmp_path: Path) -> None:
    """People edit it: a renamed keypoint must count."""
    face_model().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    text = path.read_text(encoding="utf-8").replace('"nose"', '"snout"')
    path.write_text(text, encoding="utf-8")
    back = StackedHourglass.from_pretrained(tmp_path)
    assert back.output.skeleton.keypoints == ("left_eye", "right_eye", "snout")


def change(**entries: Any) -> Any:
    return lambda table: {**table, **entries}


@pytest.mark.parametrize(
    "changed",
    [
        lambda table: [],
        lambda table: {},
        change(num_classes="three"),
        change(num_classes=0),
        change(model_args={"num_stack": 2}),
        change(pretrained_cfg={}),
        change(pretrained_cfg={"input_size": []}),
        change(num_classes=2**70),
        change(flip_pairs=[[0, 1], [0, 2]]),
        change(flip_pairs=[[0, 9]]),
        change(hgzoo={"input": {}, "output": 3}),
        change(hgzoo=None),
        change(limbs=7),
        change(model_args={"num_stacks": 10**9, "num_feats": 4, "stem_channels": [2, 4, 4, 4]}),
    ],
)
def test_a_wrong_config_json_is_refused(tmp_path: Path, changed: Any) -> None:
    face_model().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    table = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(changed(table)), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"config\.json"):
        StackedHourglass.from_pretrained(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_config_json_is_refused(tmp_path: Path, content: bytes) -> None:
    face_model().save_pretrained(tmp_path)
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"config\.json"):
        StackedHourglass.from_pretrained(tmp_path)


def test_weights_of_another_architecture_list_the_keys(tmp_path: Path) -> None:
    face_model().save_pretrained(tmp_path)
    checkpoints.write(small_model().checkpoint(), tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=r"heads\.0\.heatmaps\.weight: \[14, 4, 1, 1\]"):
        StackedHourglass.from_pretrained(tmp_path)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"holds none of model\.safetensors"):
        hgzoo.create_model(f"local-dir:{tmp_path}", pretrained=True)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WeightsError, match="cannot write"):
        small_model().save_pretrained(tmp_path / "file" / "folder")


# What the card says.


def test_the_card_tells_all_that_is_known(tmp_path: Path) -> None:
    described_model(tmp_path).save_pretrained(tmp_path / "saved")
    card = card_of(tmp_path / "saved")
    for fact in (
        *("own.mine", "Only for tests.", "Random numbers.", "Anything.", "12.34", "56.78"),
        *("Somebody", "right_ankle", "32x48", "[0.5, 0.4, 0.3]", "logits", "taylor"),
        *("hgzoo.Predictor", "picture.jpg", "1603.06937"),
    ):
        assert fact in card


def test_the_card_begins_with_what_the_hub_reads(tmp_path: Path) -> None:
    small_model().save_pretrained(tmp_path)
    head = card_of(tmp_path).split("---\n")[1]
    assert "library_name: hgzoo\n" in head
    assert "license: other\n" in head
    assert "pipeline_tag: keypoint-detection\n" in head


def test_terms_and_figures_survive_saving_twice(tmp_path: Path) -> None:
    described_model(tmp_path).save_pretrained(tmp_path / "one")
    StackedHourglass.from_pretrained(tmp_path / "one").save_pretrained(tmp_path / "two")
    assert card_of(tmp_path / "two").replace("local-dir:two", "local-dir:one") == card_of(
        tmp_path / "one"
    )


def test_figures_do_not_survive_a_change_of_the_weights_but_terms_do(tmp_path: Path) -> None:
    model = described_model(tmp_path)
    with torch.no_grad():
        model.stem.conv.bias[0] += 1e-3
    model.save_pretrained(tmp_path / "saved")
    card = card_of(tmp_path / "saved")
    assert "12.34" not in card
    assert "56.78" not in card
    assert "Only for tests." in card
    assert "beginning from own.mine" in card
    again = StackedHourglass.from_pretrained(tmp_path / "saved")
    with torch.no_grad():
        again.stem.conv.bias[0] += 1e-3
    again.save_pretrained(tmp_path / "again")
    assert "Only for tests." in card_of(tmp_path / "again")


def test_saving_changed_weights_twice_does_not_bring_the_figures_back(tmp_path: Path) -> None:
    described_model(tmp_path).save_pretrained(tmp_path / "saved")
    model = StackedHourglass.from_pretrained(tmp_path / "saved")
    with torch.no_grad():
        model.stem.conv.weight.mul_(0)
    for _ in range(2):
        model.save_pretrained(tmp_path / "saved")
        assert "12.34" not in card_of(tmp_path / "saved")


def test_figures_do_not_survive_another_input_contract(tmp_path: Path) -> None:
    model = described_model(tmp_path)
    model.input = replace(model.input, contrast="stretched")
    model.save_pretrained(tmp_path / "saved")
    assert "12.34" not in card_of(tmp_path / "saved")


def test_figures_survive_when_the_file_is_gone(tmp_path: Path) -> None:
    model = described_model(tmp_path)
    (tmp_path / "described.safetensors").unlink()
    model.save_pretrained(tmp_path / "saved")
    assert "12.34" in card_of(tmp_path / "saved")


def test_new_heads_are_a_change_too(tmp_path: Path) -> None:
    model = described_model(tmp_path)
    model.reset_classifier(14)
    model.save_pretrained(tmp_path / "saved")
    assert "12.34" not in card_of(tmp_path / "saved")


def test_the_card_of_unknown_weights_says_so(tmp_path: Path) -> None:
    small_model().save_pretrained(tmp_path)
    assert "Not stated" in card_of(tmp_path)


def test_the_card_counts_parameters() -> None:
    model = small_model()
    expected = sum(parameter.numel() for parameter in model.parameters())
    assert cards.num_parameters(model.state_dict()) == expected


# The picture.


def test_the_picture_shows_the_crop_and_every_stack(tmp_path: Path) -> None:
    model = hgzoo.create_model("hg2_tiny", pretrained=True)
    model.save_pretrained(tmp_path)
    with Image.open(tmp_path / "picture.jpg") as picture:
        assert picture.size == (3 * 256 + 2 * 4, 256)
        pixels = np.asarray(picture.convert("RGB"))
    assert pixels.std() > 20


def test_keypoints_of_other_things_than_people_get_no_picture(tmp_path: Path) -> None:
    face_model().save_pretrained(tmp_path)
    assert not (tmp_path / "picture.jpg").exists()
    assert "picture.jpg" not in card_of(tmp_path)


# What others left.


def test_a_run_folder_is_read(tmp_path: Path) -> None:
    checkpoints.write(small_model().checkpoint(), tmp_path / "best.safetensors")
    assert hgzoo.create_model(tmp_path, pretrained=True).output.skeleton.name == "lsp"
    assert hgzoo.model_info(tmp_path).model == small_config()


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_a_folder_that_timm_wrote_is_read(tmp_path: Path, file: str) -> None:
    recipe = recipes.read("hg2_tiny")
    model = StackedHourglass(replace(recipe.model, num_keypoints=5)).eval()
    if file.endswith("bin"):
        torch.save(model.state_dict(), tmp_path / file)
    else:
        checkpoints.write(model.checkpoint(), tmp_path / file)
    table = {
        "architecture": "hg2_tiny",
        "num_classes": 5,
        "num_features": 128,
        "pretrained_cfg": {"input_size": [3, 64, 128], "mean": [0.1, 0.2, 0.3], "std": [1, 1, 1]},
    }
    (tmp_path / "config.json").write_text(json.dumps(table), encoding="utf-8")
    back = StackedHourglass.from_pretrained(tmp_path)
    assert back.config == model.config
    assert (back.input.size, back.input.mean) == ((64, 128), (0.1, 0.2, 0.3))
    assert back.output == recipe.output
    images = torch.randn(1, 3, 64, 128)
    assert torch.equal(back(images)[-1], model(images)[-1])
