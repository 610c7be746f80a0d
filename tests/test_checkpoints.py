"""Weights on disk: any checkpoint in, safetensors out."""

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hgzoo import checkpoints
from hgzoo.config import InputSpec, Weights
from hgzoo.convert import LAYOUTS
from hgzoo.errors import ConfigError, HgzooError, WeightsError
from hgzoo.model import StackedHourglass
from hgzoo.recipes import read as read_recipe
from tests.conftest import small_model
from tests.upstream import as_theirs


def save(model: StackedHourglass, path: Path, *, half: bool = False) -> None:
    checkpoints.write(model.checkpoint(), path, half=half)


def load(path: Path) -> StackedHourglass:
    return StackedHourglass.from_checkpoint(checkpoints.read(path), where=str(path))


def load_into(model: StackedHourglass, path: Path) -> None:
    checkpoints.fill(model, checkpoints.read(path).tensors, where=str(path))


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    model = small_model().eval()
    save(model, tmp_path / "a.safetensors")
    back = load(tmp_path / "a.safetensors")
    assert (back.config, back.input, back.output) == (model.config, model.input, model.output)
    images = torch.randn(2, 3, 32, 48)
    for one, other in zip(model(images), back(images), strict=True):
        assert torch.equal(one, other)
    assert not back.training


def test_half_precision_halves_the_file_and_loads_as_float32(tmp_path: Path) -> None:
    model = small_model(num_feats=32, stem_channels=(8, 16, 32, 32)).eval()
    save(model, tmp_path / "full.safetensors")
    save(model, tmp_path / "half.safetensors", half=True)
    full, half = ((tmp_path / f"{n}.safetensors").stat().st_size for n in ("full", "half"))
    assert half < 0.6 * full
    back = load(tmp_path / "half.safetensors")
    assert {p.dtype for p in back.parameters()} == {torch.float32}
    images = torch.randn(1, 3, 32, 48)
    torch.testing.assert_close(back(images)[-1], model(images)[-1], atol=0.02, rtol=0.02)


def test_loading_leaves_the_random_numbers_alone(tmp_path: Path) -> None:
    save(small_model(), tmp_path / "a.safetensors")
    state = torch.get_rng_state()
    load(tmp_path / "a.safetensors")
    assert torch.equal(torch.get_rng_state(), state)


def test_another_architecture_lists_the_keys(tmp_path: Path) -> None:
    save(small_model(num_keypoints=5), tmp_path / "a.safetensors")
    model = small_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(WeightsError) as error:
        load_into(model, tmp_path / "a.safetensors")
    text = str(error.value)
    assert "(5 keys)" in text
    assert "heads.1.heatmaps.weight: [5, 4, 1, 1] in the file, [14, 4, 1, 1] in the net" in text
    assert "feedbacks.0.heatmaps.weight: [4, 5, 1, 1] in the file" in text
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_missing_and_leftover_keys_are_named(tmp_path: Path) -> None:
    save(small_model(num_stacks=1), tmp_path / "one.safetensors")
    save(small_model(), tmp_path / "two.safetensors")
    with pytest.raises(WeightsError, match="missing: feedbacks"):
        load_into(small_model(), tmp_path / "one.safetensors")
    with pytest.raises(WeightsError, match="unexpected: feedbacks"):
        load_into(small_model(num_stacks=1), tmp_path / "two.safetensors")


class Hostile:
    """Leaves a file where it is unpickled."""

    def __init__(self, trace: Path = Path("executed")) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, (f"import pathlib; pathlib.Path({str(self.trace)!r}).touch()",))


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff" * 100, pickle.dumps(Hostile()), b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "],
)
def test_a_damaged_or_hostile_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"a\.safetensors"):
        load(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, share: float) -> None:
    path = tmp_path / "a.safetensors"
    save(small_model(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(WeightsError, match="damaged"):
        load(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot read"):
        load(tmp_path / "none.safetensors")


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match="no stacked hourglass"):
        load(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "described", ["[]", "{}", "nonsense", json.dumps({"model": {"num_stack": 1}})]
)
def test_a_wrong_description_is_refused(tmp_path: Path, described: str) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata={"hgzoo": described})
    with pytest.raises(HgzooError, match=r"a\.safetensors"):
        load(path)


def test_saving_keeps_every_tensor(tmp_path: Path) -> None:
    model = small_model()
    save(model, tmp_path / "a.safetensors")
    assert load_file(tmp_path / "a.safetensors").keys() == model.state_dict().keys()


def test_terms_travel_with_the_file(tmp_path: Path) -> None:
    weights = Weights(licence="Mine.", source="Here.")
    checkpoint = replace(small_model().checkpoint(), name="own.mine", weights=weights)
    checkpoints.write(checkpoint, tmp_path / "a.safetensors")
    back = checkpoints.read(tmp_path / "a.safetensors")
    assert (back.name, back.weights) == ("own.mine", weights)


BEARPAW, PRINCETON, OURS = LAYOUTS


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".pth.tar", ".bin", ".ckpt"])
@pytest.mark.parametrize("zipped", [True, False])
def test_what_training_scripts_wrap_is_unwrapped(tmp_path: Path, suffix: str, zipped: bool) -> None:
    model = small_model(num_keypoints=16).eval()
    state = {f"module.{key}": value for key, value in as_theirs(model, BEARPAW).items()}
    inner = {"epoch": 3, "state_dict": state, "best_acc": 0.5, "optimizer": {}}
    content = {"model": inner}
    path = tmp_path / f"a{suffix}"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    read = checkpoints.read(path)
    images = torch.randn(1, 3, 32, 48)
    back = StackedHourglass.from_checkpoint(read, where="a")
    assert torch.equal(back(images)[-1], model(images)[-1])
    assert read.input.mean == (0.4404, 0.4440, 0.4327)
    assert read.output.skeleton.name == "mpii"


@pytest.mark.parametrize("prefix", ["", "module.", "model.module.", "_orig_mod.module."])
def test_prefixes_are_taken_off(tmp_path: Path, prefix: str) -> None:
    model = small_model()
    theirs = as_theirs(model, PRINCETON)
    torch.save({prefix + key: value for key, value in theirs.items()}, tmp_path / "a.pt")
    assert checkpoints.read(tmp_path / "a.pt").model == model.config


def test_safetensors_of_another_library_are_converted(tmp_path: Path) -> None:
    model = small_model()
    theirs = {key: value.clone() for key, value in as_theirs(model, BEARPAW).items()}
    save_file(theirs, tmp_path / "a.safetensors")
    assert checkpoints.read(tmp_path / "a.safetensors").layout == BEARPAW.name


def test_a_bare_state_dict_of_ours_needs_a_recipe(tmp_path: Path) -> None:
    torch.save(small_model().state_dict(), tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="does not say what pictures it expects; name a recipe"):
        checkpoints.read(tmp_path / "a.pth")
    recipe = read_recipe("hg2_tiny")
    read = checkpoints.read(tmp_path / "a.pth", like=recipe)
    assert (read.input, read.output) == (recipe.input, recipe.output.uncalibrated())


def test_half_precision_is_read_as_it_is(tmp_path: Path) -> None:
    state = {key: value.half() for key, value in as_theirs(small_model(), BEARPAW).items()}
    torch.save(state, tmp_path / "a.pth")
    back = load(tmp_path / "a.pth")
    assert {parameter.dtype for parameter in back.parameters()} == {torch.float32}


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("wrap", [lambda bad: bad, lambda bad: {"state_dict": {}, "x": bad}])
def test_pickled_code_is_refused_and_never_executed(
    tmp_path: Path, protocol: int, wrap: Callable[[object], object]
) -> None:
    content = wrap(Hostile(tmp_path / "executed"))
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(content, protocol))
    torch.save(content, tmp_path / "zip.pth", pickle_protocol=protocol)
    torch.save(content, tmp_path / "old.pth.tar", _use_new_zipfile_serialization=False)
    for name in ("plain.pth", "zip.pth", "old.pth.tar"):
        with pytest.raises(WeightsError, match="never does"):
            checkpoints.read(tmp_path / name)
    assert not (tmp_path / "executed").exists()


def test_the_hostile_file_would_do_harm(tmp_path: Path) -> None:
    """Else the test above could not fail."""
    pickle.loads(pickle.dumps(Hostile(tmp_path / "executed")))
    assert (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [b"", b"\x80", b"PK\x03\x04", b"\x80\x02.", b"a" * 999])
def test_a_damaged_pickle_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(WeightsError, match="damaged"):
        checkpoints.read(tmp_path / "a.pth")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.99])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_truncated_pickle_is_refused(tmp_path: Path, share: float, zipped: bool) -> None:
    path = tmp_path / "a.pth"
    theirs = as_theirs(small_model(), BEARPAW)
    torch.save(theirs, path, _use_new_zipfile_serialization=zipped)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(WeightsError, match=r"a\.pth"):
        checkpoints.read(path)


@pytest.mark.parametrize("content", [3, [1], {"state_dict": 3}, {"a": 1}, {1: torch.zeros(1)}])
def test_what_is_no_state_dict_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="holds no state dict"):
        checkpoints.read(tmp_path / "a.pth")


def test_a_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot read"):
        checkpoints.read(tmp_path / "none.pth")


def test_a_full_disk_leaves_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.safetensors"
    save(small_model(), path)
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(WeightsError, match="No space left"):
        save(small_model(), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("in_channels", [1, 2, 4])
def test_originals_of_other_channels_have_a_mean_for_each(tmp_path: Path, in_channels: int) -> None:
    torch.save(as_theirs(small_model(in_channels=in_channels), BEARPAW), tmp_path / "a.pth")
    read = checkpoints.read(tmp_path / "a.pth")
    assert len(read.input.mean) == len(read.input.std) == in_channels


def odd(value: torch.Tensor, kind: str) -> torch.Tensor:
    return {
        "meta": lambda: value.to("meta"),
        "sparse": lambda: value.to_sparse(),
        "complex": lambda: value.to(torch.complex64),
        "nan": lambda: value * float("nan"),
        "inf": lambda: value / 0.0,
    }[kind]()


@pytest.mark.parametrize("kind", ["meta", "sparse", "complex", "nan", "inf"])
def test_tensors_that_are_no_plain_numbers_are_refused(kind: str) -> None:
    model = small_model()
    state = {**model.state_dict(), "stem.conv.bias": odd(model.stem.conv.bias.detach(), kind)}
    with pytest.raises(WeightsError, match=r"stem\.conv\.bias"):
        checkpoints.fill(small_model(), state, where="a")


def test_a_fingerprint_changes_with_every_number_and_its_place() -> None:
    checkpoint = small_model().checkpoint()
    before = checkpoints.fingerprint(checkpoint)
    assert checkpoints.fingerprint(small_model().checkpoint()) != before  # other random numbers
    first, second = "heads.0.heatmaps.weight", "heads.1.heatmaps.weight"
    tensors = dict(checkpoint.tensors)
    tensors[first], tensors[second] = tensors[second], tensors[first]
    assert checkpoints.fingerprint(replace(checkpoint, tensors=tensors)) != before
    assert checkpoints.fingerprint(replace(checkpoint, input=InputSpec())) != before


def test_numbers_that_are_not_finite_are_told_with_the_way_out() -> None:
    state = small_model().state_dict()
    state["stem.conv.bias"] = odd(state["stem.conv.bias"], "nan")
    with pytest.raises(WeightsError, match=r"^a: stem\.conv\.bias .* take an earlier checkpoint$"):
        checkpoints.fill(small_model(), state, where="a")


def test_tensors_that_share_memory_are_taken_apart(tmp_path: Path) -> None:
    model = small_model()
    model.heads[1].heatmaps.weight = model.heads[0].heatmaps.weight
    save(model, tmp_path / "a.safetensors")
    state = {**model.state_dict(), "stem.bn.weight": torch.ones(1).expand(2)}
    with torch.device("meta"):
        other = small_model()
    checkpoints.fill(other, state, where="a")
    with torch.no_grad():
        other.heads[0].heatmaps.weight.zero_()
        other.stem.bn.weight[0] = 5.0
    assert other.heads[1].heatmaps.weight.any()
    assert other.stem.bn.weight[1] == 1.0


def test_numbers_too_large_for_half_precision_are_refused(tmp_path: Path) -> None:
    model = small_model()
    with torch.no_grad():
        model.stem.conv.weight[0] = 1e5
    with pytest.raises(WeightsError, match=r"above 65504; save it in full precision"):
        save(model, tmp_path / "a.safetensors", half=True)
    assert list(tmp_path.iterdir()) == []


def test_a_contract_for_a_file_that_describes_itself_is_refused(tmp_path: Path) -> None:
    save(small_model(), tmp_path / "a.safetensors")
    with pytest.raises(ConfigError, match="leave contract out"):
        checkpoints.read(tmp_path / "a.safetensors", contract="fpd")
