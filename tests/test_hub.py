"""Weights on disk."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hgzoo import hub
from hgzoo.config import Weights
from hgzoo.errors import HgzooError, WeightsError
from tests.conftest import small_model


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    model = small_model().eval()
    hub.save(model, tmp_path / "a.safetensors")
    back = hub.load(tmp_path / "a.safetensors")
    assert (back.config, back.input, back.output) == (model.config, model.input, model.output)
    images = torch.randn(2, 3, 32, 48)
    for one, other in zip(model(images), back(images), strict=True):
        assert torch.equal(one, other)
    assert not back.training


def test_half_precision_halves_the_file_and_loads_as_float32(tmp_path: Path) -> None:
    model = small_model(num_feats=32, stem_channels=(8, 16, 32, 32)).eval()
    hub.save(model, tmp_path / "full.safetensors")
    hub.save(model, tmp_path / "half.safetensors", half=True)
    full, half = ((tmp_path / f"{n}.safetensors").stat().st_size for n in ("full", "half"))
    assert half < 0.6 * full
    back = hub.load(tmp_path / "half.safetensors")
    assert {p.dtype for p in back.parameters()} == {torch.float32}
    images = torch.randn(1, 3, 32, 48)
    torch.testing.assert_close(back(images)[-1], model(images)[-1], atol=0.02, rtol=0.02)


def test_loading_leaves_the_random_numbers_alone(tmp_path: Path) -> None:
    hub.save(small_model(), tmp_path / "a.safetensors")
    state = torch.get_rng_state()
    hub.load(tmp_path / "a.safetensors")
    assert torch.equal(torch.get_rng_state(), state)


def test_another_architecture_lists_the_keys(tmp_path: Path) -> None:
    hub.save(small_model(num_keypoints=5), tmp_path / "a.safetensors")
    model = small_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(WeightsError) as error:
        hub.load_into(model, tmp_path / "a.safetensors")
    text = str(error.value)
    assert "(5 keys)" in text
    assert "heads.1.heatmaps.weight: [5, 4, 1, 1] in the file, [14, 4, 1, 1] in the net" in text
    assert "feedbacks.0.heatmaps.weight: [4, 5, 1, 1] in the file" in text
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_missing_and_leftover_keys_are_named(tmp_path: Path) -> None:
    hub.save(small_model(num_stacks=1), tmp_path / "one.safetensors")
    hub.save(small_model(), tmp_path / "two.safetensors")
    with pytest.raises(WeightsError, match="missing: feedbacks"):
        hub.load_into(small_model(), tmp_path / "one.safetensors")
    with pytest.raises(WeightsError, match="unexpected: feedbacks"):
        hub.load_into(small_model(num_stacks=1), tmp_path / "two.safetensors")


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('executed')",))


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff" * 100, pickle.dumps(Hostile()), b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "],
)
def test_a_damaged_or_hostile_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"a\.safetensors"):
        hub.load(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, share: float) -> None:
    path = tmp_path / "a.safetensors"
    hub.save(small_model(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(WeightsError, match="damaged"):
        hub.load(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot read"):
        hub.load(tmp_path / "none.safetensors")


def test_a_file_without_description_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match="not hgzoo's"):
        hub.load(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "described", ["[]", "{}", "nonsense", json.dumps({"model": {"num_stack": 1}})]
)
def test_a_wrong_description_is_refused(tmp_path: Path, described: str) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata={"hgzoo": described})
    with pytest.raises(HgzooError, match=r"a\.safetensors"):
        hub.load(path)


def test_packaged_weights_are_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hub, "files", lambda package: tmp_path)
    weights = Weights(file="a.safetensors", sha256="0" * 64, licence="l", source="s")
    with pytest.raises(WeightsError, match="install hgzoo again"):
        hub.packaged(weights)
    (tmp_path / "weights").mkdir()
    hub.save(small_model(), tmp_path / "weights" / "a.safetensors")
    with pytest.raises(WeightsError, match="SHA-256 differs"):
        hub.packaged(weights)


def test_saving_keeps_every_tensor(tmp_path: Path) -> None:
    model = small_model()
    hub.save(model, tmp_path / "a.safetensors")
    assert load_file(tmp_path / "a.safetensors").keys() == model.state_dict().keys()
