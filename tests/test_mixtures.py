"""Several datasets for one network: matched by name, weighted, each evaluated by itself."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import hgzoo
from hgzoo import engine, inference, recipes
from hgzoo.cli import main
from hgzoo.config import EvalConfig, Options, TrainConfig
from hgzoo.data import DATASETS, EpochBatches, Sample, find, matched
from hgzoo.errors import ConfigError, DataError, UnknownNameError
from hgzoo.factory import begin_from
from hgzoo.losses import LOSSES, stacked
from hgzoo.run import Run
from hgzoo.skeletons import SKELETONS, Skeleton, matching, nameless
from tests.people import write_coco, write_lsp
from tests.test_engine import QUIET, RECIPE, changed, held_out, network

COCO, LSP, PEOPLE = SKELETONS["coco"], SKELETONS["lsp"], SKELETONS["people"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    write_lsp(folder, number=20)
    write_coco(folder)
    return folder


# Matched by name.


def test_a_keypoint_keeps_its_place_in_another_skeleton(root: Path) -> None:
    person = DATASETS["lsp"].train(root)[0]
    (mapped,) = matched([person], LSP, PEOPLE, where="lsp")
    for name in LSP.keypoints:
        there, here = PEOPLE.keypoints.index(name), LSP.keypoints.index(name)
        np.testing.assert_array_equal(mapped.keypoints[there], person.keypoints[here])
        assert mapped.visible[there] == person.visible[here]
        assert mapped.hidden[there] == person.hidden[here]
    assert (mapped.center, mapped.scale) == (person.center, person.scale)
    assert mapped.reference == person.reference


def test_what_a_dataset_does_not_annotate_is_not_visible(root: Path) -> None:
    (mapped,) = matched(DATASETS["lsp"].train(root)[:1], LSP, PEOPLE, where="lsp")
    missing = [PEOPLE.keypoints.index(name) for name in ("nose", "left_eye", "right_ear")]
    assert not mapped.visible[missing].any()
    assert not mapped.hidden[missing].any()


def test_there_and_back_is_nothing(root: Path) -> None:
    person = DATASETS["lsp"].train(root)[0]
    there = matched([person], LSP, PEOPLE, where="lsp")
    (back,) = matched(there, PEOPLE, LSP, where="people")
    np.testing.assert_array_equal(back.keypoints, person.keypoints)
    np.testing.assert_array_equal(back.visible, person.visible)


def test_a_missing_keypoint_has_no_column() -> None:
    assert matching(LSP, Skeleton(name="two", keypoints=("nose", "neck"))) == [-1, 12]


def test_nothing_in_common_is_refused(root: Path) -> None:
    people = DATASETS["lsp"].train(root)
    with pytest.raises(ConfigError, match="shares none with the network's 5"):
        matched(people, LSP, SKELETONS["box"], where="lsp")
    with pytest.raises(ConfigError, match="shares none"):
        matched(people, LSP, nameless(16), where="lsp")


def test_a_nameless_network_takes_as_many_keypoints(root: Path) -> None:
    people = DATASETS["lsp"].train(root)
    assert matched(people, LSP, nameless(14), where="lsp") == people


# How often an epoch shows what.


def shown(batches: EpochBatches) -> Counter[int]:
    return Counter(index for batch in batches for _, index in batch)


def test_a_fraction_shows_that_part_of_the_samples() -> None:
    batches = EpochBatches([1.0] * 10 + [0.3] * 20 + [2.5] * 4, batch_size=2, seed=0)
    assert len(batches) == (10 + 6 + 10) // 2
    counts = shown(batches)
    assert [counts[index] for index in range(10)] == [1] * 10
    assert {counts[index] for index in range(10, 30)} == {0, 1}
    assert {counts[index] for index in range(30, 34)} == {2, 3}
    assert counts.total() == 26


def test_a_fraction_shows_other_samples_in_another_epoch() -> None:
    batches = EpochBatches([0.5] * 40, batch_size=1, seed=0)
    seen = []
    for epoch in range(12):
        batches.epoch = epoch
        seen.append(shown(batches))
        assert seen[-1].total() == 20
    assert seen[0] != seen[1]
    assert shown(batches) == seen[-1]  # asked again, the same
    times = sum(seen, Counter())
    assert set(times) == set(range(40))


def test_no_two_showings_of_a_sample_share_their_number() -> None:
    batches = EpochBatches([2.5, 0.5, 1.0], batch_size=1, seed=0)
    keys = []
    for epoch in range(10):
        batches.epoch = epoch
        keys += [key for batch in batches for key in batch]
    assert len(set(keys)) == len(keys)


# Weights of labels.


def test_a_label_counts_by_its_weight() -> None:
    """Losses 1 and 4 with weights 3 and 1: (3 + 4) / 4."""
    heatmaps = torch.tensor([1.0, 2.0])[:, None, None, None].expand(2, 1, 4, 4)
    visible = torch.ones(2, 1, dtype=torch.bool)
    weight = torch.tensor([3.0, 1.0])
    target = torch.zeros(2, 1, 4, 4)
    total, number = stacked([heatmaps], target, visible, loss=LOSSES["mse"], weight=weight)
    assert (total.item(), number.item()) == (7.0, 4.0)


def test_a_weight_counts_with_hard_keypoints_too() -> None:
    """Of losses 1 and 4 the harder one counts, twice."""
    heatmaps = torch.tensor([1.0, 2.0])[None, :, None, None].expand(1, 2, 4, 4)
    visible, weight = torch.ones(1, 2, dtype=torch.bool), torch.tensor([2.0])
    target = torch.zeros(1, 2, 4, 4)
    total, number = stacked(
        [heatmaps], target, visible, loss=LOSSES["mse"], weight=weight, hard_keypoints=1
    )
    assert (total.item(), number.item()) == (8.0, 2.0)


def test_labels_of_weight_0_teach_nothing(root: Path) -> None:
    people = DATASETS["lsp"].train(root)

    def gradient(samples: list[Sample]) -> torch.Tensor:
        recipe = changed(batch_size=len(samples))
        model = network(recipe)
        run = Run(recipe, model, [(samples, 1)], out=Path("unused"), options=QUIET)
        run.optimizer.zero_grad = lambda: None  # type: ignore[method-assign]
        (batch,) = run.loader
        run.step(batch)
        grad = model.heads[-1].heatmaps.weight.grad
        assert grad is not None
        return grad

    nothing = [replace(person, weight=0.0) for person in people[:4]]
    assert gradient(nothing).abs().max() == 0.0
    assert gradient(people[:4]).abs().max() > 0.0


def test_an_annotation_may_carry_a_weight(root: Path, tmp_path: Path) -> None:
    path = root / "coco" / "annotations" / "person_keypoints_val2017.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    for annotation in content["annotations"]:
        annotation["weight"] = 0.25
    (tmp_path / "mine.json").write_text(json.dumps(content), encoding="utf-8")
    _, read = find("mine.json", "train", tmp_path)
    assert {person.weight for person in read(tmp_path)} == {0.25}
    content["annotations"][0]["weight"] = -1
    (tmp_path / "mine.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError, match=r"has the weight -1\.0"):
        read(tmp_path)


def test_weights_of_labels_and_sets_are_checked() -> None:
    with pytest.raises(UnknownNameError, match="did you mean lspet"):
        TrainConfig(datasets={"lspet": 1.0}, label_weights={"lsptt": 0.5})
    with pytest.raises(ConfigError, match=r"datasets\.lsp must be 0 or more"):
        TrainConfig(datasets={"lsp": -1.0})
    with pytest.raises(ConfigError, match="share above 0"):
        TrainConfig(validation={"lsp": 0.0})


# Evaluated by name, each set by itself.


def test_a_network_is_evaluated_on_the_keypoints_it_shares(root: Path) -> None:
    """On COCO's people, LSP's network is given no blame for eyes it does not know."""
    coco = [replace(one, reference=10.0) for one in DATASETS["coco"].validation(root)]
    model = network(RECIPE)
    report = engine.evaluate(model, coco, EvalConfig(flip=False), skeleton=COCO, options=QUIET)
    mapped = matched(coco, COCO, LSP, where="coco")
    other = engine.evaluate(model, mapped, EvalConfig(flip=False), options=QUIET)
    assert report.predicted.shape[1:] == (17, 2)
    assert np.isnan(report.score.keypoints["nose"])
    assert np.isnan(report.predicted[:, COCO.keypoints.index("nose")]).all()
    assert (report.scores[:, COCO.keypoints.index("nose")] == 0.0).all()
    for name in ("left_wrist", "right_ankle"):
        np.testing.assert_array_equal(
            report.predicted[:, COCO.keypoints.index(name)],
            other.predicted[:, LSP.keypoints.index(name)],
        )
        assert report.score.keypoints[name] == other.score.keypoints[name]


def test_a_network_without_any_of_the_keypoints_is_refused(root: Path) -> None:
    people = DATASETS["lsp"].train(root)
    with pytest.raises(ConfigError, match="the network has none of these 5 keypoints"):
        engine.evaluate(network(RECIPE), people, EvalConfig(), skeleton=SKELETONS["box"])


def test_limbs_are_the_twelve_joints_pooled(root: Path) -> None:
    people = DATASETS["lsp"].train(root)[:6]
    report = engine.evaluate(network(RECIPE), people, EvalConfig(flip=False), options=QUIET)
    rows = [report.groups[row] for row in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")]
    assert report.limbs == pytest.approx(np.mean(rows))  # each joint is annotated as often


def test_the_best_epoch_is_chosen_by_the_shares(root: Path, tmp_path: Path) -> None:
    people = DATASETS["lsp"].train(root)
    sets = {
        "first": held_out(people[:4], share=3.0)["lsp"],
        "second": held_out(people[4:10], share=1.0)["lsp"],
        "told": held_out(people[:10], share=0.0)["lsp"],
    }
    recipe = changed(epochs=2)
    reports = engine.fit(
        recipe, network(recipe), train=[(people, 1)], validation=sets, out=tmp_path, options=QUIET
    )
    assert reports is not None
    assert list(reports) == ["first", "second", "told"]
    text = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8")
    for line in map(json.loads, text.splitlines()):
        mean = (3 * line["first/mean"] + line["second/mean"]) / 4
        assert line["mean"] == pytest.approx(mean, abs=1e-4)
        assert "told/wrist" in line


def test_without_a_share_no_epoch_can_be_chosen(root: Path, tmp_path: Path) -> None:
    people = DATASETS["lsp"].train(root)
    with pytest.raises(ConfigError, match="no held-out set has a share"):
        engine.fit(
            RECIPE,
            network(RECIPE),
            train=[(people, 1)],
            validation=held_out(people[:4], share=0.0),
            out=tmp_path,
        )


def test_train_mixes_a_file_of_ones_own_with_a_dataset(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = "coco/annotations/person_keypoints_val2017.json"
    (root / "coco" / "annotations" / "images").exists() or (
        root / "coco" / "annotations" / "images"
    ).symlink_to(root / "coco" / "val2017")
    table = recipes.to_table(
        changed(
            epochs=1,
            datasets={"lsp": 1.5, mine: 2.0},
            label_weights={mine: 0.5},
            validation={mine: 1.0, "coco": 0.0},
        )
    )
    (tmp_path / "mine.json").write_text(json.dumps(table), encoding="utf-8")
    command = ["train", str(tmp_path / "mine.json"), "--data", str(root), "--quiet"]
    assert main([*command, "--out", str(tmp_path / "run")]) == 0
    printed = capsys.readouterr().out
    assert "coco: PCK@0.2" in printed
    assert f"{mine}: PCK@0.2" in printed


# Weights to begin with.


def test_heatmap_layers_begin_with_those_of_the_same_name() -> None:
    recipe = recipes.read("hg1_nano")
    torch.manual_seed(0)
    model = hgzoo.StackedHourglass(
        replace(recipe.model, num_keypoints=2),
        input=recipe.input,
        output=replace(recipe.output, skeleton=Skeleton(name="two", keypoints=("tail", "nose"))),
    )
    donor = hgzoo.create_model("hg1_nano", pretrained=True)
    names = donor.output.skeleton.keypoints
    two = Skeleton(name="two", keypoints=("tail", names[3]))
    model.output = replace(model.output, skeleton=two)
    begin_from(model, "hg1_nano")
    old, new = donor.heads[0].heatmaps, model.heads[0].heatmaps
    torch.testing.assert_close(new.weight[1], old.weight[3])
    torch.testing.assert_close(new.bias[1], old.bias[3])
    assert not any(torch.equal(new.weight[0], row) for row in old.weight)
    torch.testing.assert_close(model.stem.conv.weight, donor.stem.conv.weight)


def test_feedback_begins_with_channels_of_the_same_name(tmp_path: Path) -> None:
    donor = network(RECIPE)
    donor.save_pretrained(tmp_path)
    names = LSP.keypoints
    turned = Skeleton(name="turned", keypoints=(names[5], "tail", names[0]))
    model = hgzoo.StackedHourglass(
        replace(RECIPE.model, num_keypoints=3),
        input=RECIPE.input,
        output=replace(RECIPE.output, skeleton=turned),
    )
    begin_from(model, tmp_path)
    old, new = donor.feedbacks[0].heatmaps.weight, model.feedbacks[0].heatmaps.weight
    torch.testing.assert_close(new[:, [0, 2]], old[:, [5, 0]])


# Precision.


@pytest.mark.parametrize(("slower", "chosen"), [("bfloat16", "float32"), ("float32", "bfloat16")])
def test_precision_auto_takes_the_faster_one(
    monkeypatch: pytest.MonkeyPatch, slower: str, chosen: str
) -> None:
    """The clock runs on by a second for a product in the slower format."""
    clock = iter(
        second
        for round_ in range(5)
        for place, dtype in enumerate(("float32", "bfloat16"))
        for second in (10.0 * round_ + place, 10.0 * round_ + place + 0.1 + (dtype == slower) / 2)
    )
    inference._faster_precision.cache_clear()
    monkeypatch.setattr(inference.time, "perf_counter", lambda: next(clock))
    assert inference.chosen_precision(torch.device("cpu"), "auto") == chosen
    inference._faster_precision.cache_clear()


def test_a_precision_that_is_named_is_taken() -> None:
    assert inference.chosen_precision(torch.device("cpu"), "float32") == "float32"
    assert inference.chosen_precision(torch.device("cpu"), "bfloat16") == "bfloat16"
    assert Options(precision="auto").precision == "auto"
