"""Training and judging: two plain loops."""

import json
import os
import pickle
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.utils import is_tensorboard_available

from hgzoo import engine, recipes
from hgzoo.config import EvalConfig, Options, Recipe
from hgzoo.data import DATASETS, Sample
from hgzoo.errors import ConfigError, HgzooError, UnknownNameError, WeightsError
from hgzoo.factory import load_model
from hgzoo.run import Run
from tests.people import write_lsp
from tests.training import QUIET, RECIPE, changed, held_out, network


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    root = tmp_path_factory.mktemp("people")
    write_lsp(root, number=20)
    return DATASETS["lsp"].train(root)


def train(
    recipe: Recipe, people: list[Sample], out: Path, *, resume: bool = False
) -> engine.Report | None:
    reports = engine.fit(
        recipe,
        network(recipe),
        train=[(people[4:], 1)],
        validation=held_out(people[:4]),
        out=out,
        resume=resume,
        options=QUIET,
    )
    return None if reports is None else reports["lsp"]


def weights(out: Path) -> dict[str, torch.Tensor]:
    state = torch.load(out / "last.pt", weights_only=True)
    return {**state["model"], **{f"ema.{k}": v for k, v in state["ema"].items()}}


def test_a_run_folder_holds_recipe_versions_metrics_and_weights(
    people: list[Sample], tmp_path: Path
) -> None:
    report = train(RECIPE, people, tmp_path)
    assert report is not None
    assert recipes.read(tmp_path / "recipe.json") == RECIPE
    if is_tensorboard_available():
        assert list(tmp_path.rglob("events.out.tfevents*"))
    versions = json.loads((tmp_path / "versions.json").read_text(encoding="utf-8"))
    assert versions["torch"] == torch.__version__.partition("+")[0]
    text = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert all(np.isfinite(line["loss"]) and 0 <= line["pck"] <= 100 for line in lines)
    best = max(line["mean"] for line in lines)
    assert all(line["mean"] == line["lsp/mean"] for line in lines)
    model = load_model(tmp_path / "best.safetensors")
    assert engine.evaluate(model, people[:4], RECIPE.eval, options=QUIET).mean == pytest.approx(
        best
    )
    model = load_model(tmp_path / "release.safetensors")
    again = engine.evaluate(model, people[:4], RECIPE.eval, options=QUIET)
    assert report.groups == again.groups


@pytest.fixture(scope="module", params=[1, 2])
def undisturbed(
    request: pytest.FixtureRequest, people: list[Sample], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Recipe, dict[str, torch.Tensor]]:
    """A recipe that accumulates one batch or two, and the weights that it ends with."""
    recipe, out = changed(accumulate=request.param), tmp_path_factory.mktemp("whole")
    train(recipe, people, out)
    return recipe, weights(out)


@pytest.mark.parametrize("steps", [2, 4, 7])
def test_resuming_ends_with_the_very_same_weights(
    people: list[Sample],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    steps: int,
    undisturbed: tuple[Recipe, dict[str, torch.Tensor]],
) -> None:
    recipe, whole = undisturbed
    step, done = Run.step, []

    def interrupted(self: Run, batch: object) -> object:
        out = step(self, batch)
        done.append(1)
        if len(done) == steps:
            os.kill(os.getpid(), signal.SIGINT)
        return out

    monkeypatch.setattr(Run, "step", interrupted)
    assert train(recipe, people, tmp_path) is None
    report = train(recipe, people, tmp_path, resume=True)
    assert report is not None
    assert len(done) == 12
    parts = weights(tmp_path)
    assert whole.keys() == parts.keys()
    assert [name for name in whole if not torch.equal(whole[name], parts[name])] == []


def test_the_plateau_schedule_divides_the_rate_and_resumes(
    people: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = changed(schedule="plateau", patience=1, warmup_epochs=0.0, epochs=5)
    figures = iter([50.0, 40.0, 40.0, 40.0, 40.0])
    step = Run.finish_epoch

    def stalled(self: Run, line: dict[str, float], mean: float) -> None:
        step(self, line, next(figures))
        if self.place.epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Run, "finish_epoch", stalled)
    assert train(recipe, people, tmp_path) is None
    train(recipe, people, tmp_path, resume=True)
    lines = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    rates = [json.loads(line)["lr"] for line in lines]
    assert rates == pytest.approx([1e-2, 1e-2, 1e-2, 2e-3, 2e-3])


def test_ctrl_c_gives_the_signal_back(people: list[Sample], tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    train(changed(epochs=1), people, tmp_path)
    assert signal.getsignal(signal.SIGINT) is before


def test_training_leaves_a_plain_network(people: list[Sample], tmp_path: Path) -> None:
    model = network(RECIPE)
    engine.fit(
        changed(epochs=1),
        model,
        train=[(people, 1)],
        validation=held_out(people[:4]),
        out=tmp_path,
        options=Options(precision="bfloat16", progress=False),
    )
    heatmaps = model(torch.randn(1, 3, 32, 48))
    assert heatmaps[0].dtype == torch.float32
    assert "forward" not in vars(model)


def test_a_folder_with_a_run_is_not_overwritten(people: list[Sample], tmp_path: Path) -> None:
    train(changed(epochs=1), people, tmp_path)
    before = (tmp_path / "last.pt").read_bytes()
    with pytest.raises(ConfigError, match="add --resume"):
        train(changed(epochs=1), people, tmp_path)
    assert (tmp_path / "last.pt").read_bytes() == before


def test_what_a_run_killed_at_its_start_left_is_cleared(
    people: list[Sample], tmp_path: Path
) -> None:
    (tmp_path / ".last.pt.abcdefgh").touch()
    train(changed(epochs=1), people, tmp_path)
    assert not list(tmp_path.glob(".last.pt.*"))


def test_another_recipe_does_not_resume(people: list[Sample], tmp_path: Path) -> None:
    train(changed(epochs=1), people, tmp_path)
    with pytest.raises(ConfigError, match="another recipe"):
        train(changed(epochs=1, lr=1.0), people, tmp_path, resume=True)


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('executed')",))


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 broken", pickle.dumps(Hostile(), protocol=2)]
)
def test_a_damaged_or_hostile_checkpoint_is_refused(
    people: list[Sample], tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(WeightsError, match=r"last\.pt"):
        train(RECIPE, people, tmp_path, resume=True)


def test_nothing_to_resume_is_an_error(people: list[Sample], tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="leave --resume out"):
        train(RECIPE, people, tmp_path, resume=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": "msee"}, "did you mean mse"),
        ({"target": "gauss"}, "did you mean gaussian"),
        ({"loss": "mse"}, 'set heatmaps = "heights"'),
        ({"batch_size": 100}, "lower batch_size"),
        ({"optimizer": "adamww"}, "timm refuses"),
        ({"schedule": "cosinus"}, "timm refuses"),
        ({"schedule": "plateau"}, "has no warm-up"),
        ({"schedule": "none"}, "such as cosine"),
    ],
)
def test_a_recipe_that_cannot_train_is_refused(
    people: list[Sample], tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        train(changed(**change), people, tmp_path)
    assert not (tmp_path / "last.pt").exists()


def test_a_loss_that_explodes_stops_with_advice(people: list[Sample], tmp_path: Path) -> None:
    with pytest.raises(HgzooError, match="lower lr"):
        train(changed(lr=1e30, clip_grad=0.0, warmup_epochs=0.0), people, tmp_path)


def test_judging_knows_a_perfect_network(
    people: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heatmaps drawn at the true places give 100 percent, and nearly the true keypoints."""
    from hgzoo.data import crop_of
    from hgzoo.geometry import crop_to_heatmap
    from hgzoo.targets import gaussian

    model = network(RECIPE)
    crops = np.stack([crop_of(p, RECIPE.input).to_crop(p.keypoints) for p in people])
    where = iter(range(0, len(people), 8))

    def perfect(images: torch.Tensor) -> list[torch.Tensor]:
        start = next(where)
        xy = torch.from_numpy(crops[start : start + 8]).float()
        return [gaussian(crop_to_heatmap(xy, 4), (8, 12), 0.7).clamp_min(1e-6).log()]

    monkeypatch.setattr(model, "forward", perfect)
    report = engine.evaluate(model, people, EvalConfig(flip=False), batch_size=8, options=QUIET)
    true = np.stack([person.keypoints for person in people])
    error = np.abs(report.predicted - true)
    assert np.median(error) < 0.1
    assert error.max() < 4.0  # half a heatmap pixel, where a peak lies on the border
    torso = np.linalg.norm(true[:, 9] - true[:, 2], axis=1)  # left shoulder to right hip
    near = np.linalg.norm(report.predicted - true, axis=2) <= 0.2 * torso[:, None]
    assert list(report.score.keypoints.values()) == pytest.approx(100 * near.mean(0))
    rows = ("head", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    assert report.mean == pytest.approx(np.mean([report.groups[row] for row in rows]))
    assert report.groups["wrist"] == pytest.approx(100 * near[:, [6, 11]].mean())


def test_a_report_tells_stacks_company_and_annotation_apart(
    people: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right in the last stack alone, for people alone; empty where a keypoint is not annotated."""
    from hgzoo.data import crop_of
    from hgzoo.geometry import crop_to_heatmap
    from hgzoo.targets import gaussian

    model = network(replace(RECIPE, output=replace(RECIPE.output, heatmaps="heights")))
    people = [
        replace(
            person,
            others=index % 2,
            visible=person.visible & ((np.arange(14) > 0) | (index % 3 > 0)),
        )
        for index, person in enumerate(people)
    ]
    crops = np.stack([crop_of(p, RECIPE.input).to_crop(p.keypoints) for p in people])
    drawn = gaussian(crop_to_heatmap(torch.from_numpy(crops).float(), 4), (8, 12), 0.7)
    drawn *= torch.from_numpy(np.stack([person.visible for person in people]))[..., None, None]
    last = drawn * torch.tensor([1.0 - person.others for person in people])[:, None, None, None]
    monkeypatch.setattr(model, "forward", lambda images: [torch.zeros_like(drawn), last])
    report = engine.evaluate(model, people, EvalConfig(flip=False), options=QUIET)
    assert report.stacks[0] < report.stacks[1]
    assert report.stacks[1] == report.score.means["14 pooled"]
    assert report.company["among others"] < report.company["alone"]
    assert report.annotated.keys() == {"right_ankle"}
    monkeypatch.setattr(model, "forward", lambda images: [drawn, drawn])
    report = engine.evaluate(model, people, EvalConfig(flip=False), options=QUIET)
    assert report.annotated == {"right_ankle": 100.0}


def test_judging_needs_people_and_a_torso(people: list[Sample]) -> None:
    with pytest.raises(ConfigError, match="the validation set is empty; check that its pictures"):
        engine.evaluate(network(RECIPE), [], EvalConfig(), options=QUIET)
    strangers = [replace(person, reference=0.0) for person in people]
    with pytest.raises(
        ConfigError, match=r"give Sample\.reference, in picture pixels: of the torso for PCK"
    ):
        engine.evaluate(network(RECIPE), strangers, EvalConfig(), options=QUIET)


def test_an_unknown_key_is_named() -> None:
    with pytest.raises(UnknownNameError, match="'sigmaa'; did you mean sigma"):
        recipes.changed(RECIPE, ["sigmaa=2"])


def test_the_shipped_weights_are_as_good_as_their_card_says(assets: Path) -> None:
    """Known answer: the figure in the recipe, printed by `hgzoo evaluate`."""
    from hgzoo.data import DATASETS
    from hgzoo.factory import create_model, model_info

    by_hand, lsp = model_info("hg2_tiny").weights["people"].measured
    model = create_model("hg2_tiny", pretrained=True)
    for name, figure in (("people_by_hand", by_hand), ("lsp", lsp)):
        people, skeleton = DATASETS[name].validation(assets / "data"), DATASETS[name].skeleton
        report = engine.evaluate(model, people, EvalConfig(), skeleton=skeleton, options=QUIET)
        found = report.limbs if name == "people_by_hand" else report.mean
        assert found == pytest.approx(figure.value, abs=0.15)
