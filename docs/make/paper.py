"""The table of docs/paper.md: what the paper says, where the code does it, which test shows it.

Making the table fails where a name cannot be imported, a recipe does not exist, or a test file has
no test of that name.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from itertools import groupby

from docs.make.links import reference
from docs.make.pages import ROOT, Make
from hgzoo import recipes

WHOLE: dict[str, Make] = {}

TITLES = {
    "1": "The problem",
    "2": "Against earlier networks",
    "3.1": "The hourglass",
    "3.2": "Layers",
    "3.3": "Stacks and intermediate supervision",
    "3.4": "Training and use",
    "4": "Results on the benchmarks",
    "4.3": "Ablations",
    "4.4": "Further analysis",
}


@dataclass(frozen=True, kw_only=True)
class Statement:
    """Something that the paper says.

    Attributes:
        section: Of the paper; a key of `TITLES`.
        says: What, in our words.
        code: What realizes it: full names, or "recipe NAME" for a file of zoo_configs.
        tests: What shows it, "FILE::NAME" without the folder and the ending.
        differs: Where the code departs from it, and why; or what is not there.
    """

    section: str
    says: str
    code: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    differs: str = ""


STATEMENTS = (
    Statement(
        section="1",
        says="The keypoints of one person from one RGB picture.",
        code=("hgzoo.predict.Predictor",),
        tests=("test_predict::test_keypoints_come_back_in_the_pictures_pixels",),
        differs="Several people are several boxes, each read alone; people are looked for where no "
        "boxes are given, which the paper does not do.",
    ),
    Statement(
        section="2",
        says="Down and up are symmetric, in one pipeline whose skips keep every scale.",
        code=("hgzoo.blocks.Hourglass",),
        tests=("test_blocks::test_an_hourglass_of_identities_adds_the_averages_of_each_scale",),
    ),
    Statement(
        section="3.1",
        says="Convolution and max pooling bring the features down to 4x4.",
        code=("hgzoo.blocks.Hourglass", "hgzoo.config.ModelConfig"),
        tests=("test_blocks::test_a_pyramid_goes_from_coarse_to_fine",),
        differs="Any depth can be asked for; 4 is every variant's. Sides that do not divide are "
        "refused, with the nearest that do.",
    ),
    Statement(
        section="3.1",
        says="Before each pooling a branch leaves at that resolution, with a residual of its own.",
        code=("hgzoo.blocks.Hourglass",),
        tests=("test_blocks::test_an_hourglass_has_a_block_of_its_own_at_every_place",),
    ),
    Statement(
        section="3.1",
        says="On the way back, nearest-neighbor upsampling, and the branch is added.",
        code=("hgzoo.blocks.add_upsampled",),
        tests=("test_blocks::test_upsampling_repeats_the_nearest_pixel",),
    ),
    Statement(
        section="3.1",
        says="Two rounds of 1x1 convolution make the heatmaps.",
        code=("hgzoo.blocks.SupervisionHead",),
        tests=("test_blocks::test_heatmaps_may_be_negative",),
        differs="Batch norm and ReLU follow the first, and residuals precede it, as in the "
        "authors' code. The second is linear.",
    ),
    Statement(
        section="3.2",
        says="Residuals of 1x1, 3x3 and 1x1 convolutions, the inner ones narrower.",
        code=("hgzoo.blocks.PreActBottleneck",),
        tests=(
            "test_blocks::test_a_bottlenecks_size_by_hand",
            "test_blocks::test_a_bottleneck_with_silent_layers_is_the_identity",
            "test_blocks::test_the_skip_sees_the_raw_input",
        ),
        differs="Batch norm and ReLU come before each convolution, as in the authors' code. No "
        "skip layer exists where the channels stay.",
    ),
    Statement(
        section="3.2",
        says="256 features throughout.",
        code=("hgzoo.config.ModelConfig", "recipe hg8_original"),
        tests=("test_model::test_parameter_counts_are_those_of_the_public_networks",),
        differs="Smaller variants have 64 or 128.",
    ),
    Statement(
        section="3.2",
        says="From 256x256 to 64x64 by a 7x7 convolution of stride 2, a residual and a max "
        "pooling; two residuals before the first hourglass.",
        code=("hgzoo.blocks.Stem",),
        tests=(
            "test_blocks::test_a_stem_quarters_the_size",
            "test_model::test_parameter_counts_are_those_of_the_public_networks",
        ),
        differs="The paper does not give the widths in between. `hg2_original` and `hg8_original` "
        "have the authors' (64, 128, 128, 256); hg1 to hg8 have the later ports' (64, 128, 256, "
        "256), because the weights with published hashes do.",
    ),
    Statement(
        section="3.2",
        says="Heatmaps of 64x64.",
        code=("hgzoo.config.InputSpec",),
        tests=("test_recipes::test_heatmaps_are_a_quarter_of_the_input",),
        differs="A quarter of whatever the input is; hg2_tiny and hg1_nano have 32x32.",
    ),
    Statement(
        section="3.3",
        says="Hourglasses end to end, eight in the final network, without shared weights.",
        code=("hgzoo.model.StackedHourglass", "recipe hg8_original", "recipe hg8"),
        tests=("test_model::test_stacks_share_no_weights",),
    ),
    Statement(
        section="3.3",
        says="Each predicts, and each has a loss against the same target.",
        code=("hgzoo.losses.stacked",),
        tests=("test_losses::test_stacks_add_up",),
        differs="The losses of the stacks are added; each is a mean over the keypoints that count, "
        "so that the batch's size does not change the rate.",
    ),
    Statement(
        section="3.3",
        says="Predictions return to the features by a 1x1 convolution, and are added to the "
        "features on both sides of the head.",
        code=("hgzoo.blocks.Feedback",),
        tests=(
            "test_blocks::test_feedback_adds_features_and_heatmaps_to_the_input",
            "test_model::test_stacks_come_first_to_last_and_feed_the_next",
        ),
    ),
    Statement(
        section="3.4",
        says="FLIC: 5,003 pictures, 3,987 for training and 1,016 for judging.",
        code=("hgzoo.data.DATASETS",),
        tests=("test_datasets::test_flic_is_read",),
        differs="The authors' `valid.h5` is read and tested. Nothing was trained on FLIC here.",
    ),
    Statement(
        section="3.4",
        says="MPII: about 28,000 people for training, about 3,000 for validation as Tompson et al. "
        "split them.",
        code=("hgzoo.data.DATASETS",),
        tests=(
            "test_datasets::test_mpiis_h5_is_read_0_based",
            "test_datasets::test_h5_and_json_of_mpii_say_the_same",
        ),
        differs="Our coordinates count from 0, the files from 1. Nothing has been trained on MPII "
        "here: its pictures were not at hand.",
    ),
    Statement(
        section="3.4",
        says="The crop is centered on the person by the given center and scale, which alone says "
        "who is meant.",
        code=("hgzoo.geometry.Crop", "hgzoo.data.crop_of"),
        tests=(
            "test_geometry::test_center_and_scale_are_mpiis",
            "test_geometry::test_warping_puts_pixels_where_the_matrix_says",
        ),
        differs="Exact to a fraction of a pixel: see [coordinates](decoding.md).",
    ),
    Statement(
        section="3.4",
        says="Crops of 256x256 are rotated by up to 30 degrees and scaled by 0.75 to 1.25; no "
        "translation.",
        code=("hgzoo.config.AugmentConfig", "hgzoo.data.Crops"),
        tests=(
            "test_data::test_random_scale_has_its_spread_and_limits",
            "test_data::test_random_rotation_has_its_spread_limits_and_share",
            "test_data::test_keypoints_follow_the_picture_through_every_augmentation",
        ),
        differs="The defaults are those of the authors' option file, which says more than the "
        "paper: normal draws, clipped at two deviations; 2**N(0, 0.25) for the scale; six crops of "
        "ten are not rotated; mirrored half the time; colors changed.",
    ),
    Statement(
        section="3.4",
        says="RMSprop with a rate of 2.5e-4.",
        code=("hgzoo.config.TrainConfig", "recipe train/paper"),
        tests=("test_recipes::test_the_papers_training_is_the_papers",),
        differs="`--recipe paper` does this; it has not been run to its end here. Our own small "
        "weights were trained by AdamW.",
    ),
    Statement(
        section="3.4",
        says="The rate drops by five once, after validation has stalled.",
        code=("hgzoo.config.TrainConfig", "recipe train/paper"),
        tests=("test_engine::test_the_plateau_schedule_divides_the_rate_and_resumes",),
        differs="It drops each time validation stalls.",
    ),
    Statement(
        section="3.4",
        says="Mean squared error against a Gaussian of one pixel round the keypoint.",
        code=(
            "hgzoo.losses.mse",
            "hgzoo.targets.gaussian",
            "hgzoo.targets.gaussian_rounded",
        ),
        tests=(
            "test_losses::test_the_squared_error_by_hand",
            "test_targets::test_a_gaussian_is_one_at_its_keypoint_and_falls_by_hand",
            "test_targets::test_the_older_form_rounds_and_cuts_at_three_sigma",
        ),
        differs="The Gaussian is drawn at the exact place; the authors' code rounds it to a pixel, "
        "which `gaussian_rounded` repeats.",
    ),
    Statement(
        section="3.4",
        says="Keypoints without annotation have an empty target (the authors' option file).",
        code=("hgzoo.losses.stacked", "recipe train/paper"),
        tests=("test_losses::test_the_papers_rule_wants_unlabeled_heatmaps_empty",),
        differs='`unlabeled = "zero"`; the default leaves them out of the loss.',
    ),
    Statement(
        section="3.4",
        says="The heatmaps of the picture and of its mirror are averaged.",
        code=("hgzoo.inference.read_keypoints", "hgzoo.geometry.flip_heatmaps"),
        tests=(
            "test_predict::test_the_flip_test_makes_a_mirrored_picture_a_mirrored_pose",
            "test_geometry::test_flipping_twice_is_nothing",
        ),
        differs="No shift of the mirrored heatmap: with centers for pixels none is needed.",
    ),
    Statement(
        section="3.4",
        says="The prediction moves a quarter pixel from the peak towards its higher neighbor.",
        code=("hgzoo.decoders.quarter_offset",),
        tests=(
            "test_decoders::test_the_quarter_goes_to_the_higher_neighbor",
            "test_decoders::test_the_quarter_stays_between_equal_neighbors",
        ),
        differs="In x and in y, as in the authors' code. `taylor` and `soft_argmax` are nearer to "
        "the truth: see [decoding](decoding.md).",
    ),
    Statement(
        section="3.4",
        says="Training takes about three days on a Titan X.",
        differs="Not measured: no such GPU. What a step costs on a CPU stands in "
        "[training](training.md#speed).",
    ),
    Statement(
        section="4",
        says="PCK@0.2 of the torso on FLIC: elbow 99.0, wrist 97.0.",
        code=("hgzoo.metrics.pck", "hgzoo.scoring.BENCHMARKS"),
        tests=("test_metrics::test_pck_by_hand", "test_scoring::test_flic_is_read"),
        differs="The measure is there; the figures are not repeated: no weights for FLIC exist "
        "here.",
    ),
    Statement(
        section="4",
        says="PCKh@0.5 on MPII: distances over the head's size.",
        code=("hgzoo.metrics.hits", "hgzoo.metrics.means"),
        tests=(
            "test_metrics::test_the_head_is_six_tenths_of_its_boxs_diagonal",
            "test_scoring::test_published_predictions_give_the_known_answers",
        ),
        differs="Every mean in use is given, by name: they differ by more than a point on the same "
        "predictions ([results](results.md)).",
    ),
    Statement(
        section="4",
        says="PCKh@0.5 on MPII's test set: total 90.9, from head 98.2 down to ankle 83.6.",
        differs="Cannot be measured here: the labels of the test set are kept by its authors, and "
        "nothing was sent in.",
    ),
    Statement(
        section="4",
        says="Curves of the share of hits over the threshold.",
        code=("hgzoo.scoring.score",),
        tests=(
            "test_scoring::test_the_stricter_threshold_and_the_area",
            "test_metrics::test_the_area_under_a_straight_line_is_half_its_end",
        ),
    ),
    Statement(
        section="4.3",
        says="One long hourglass (HG), the same with supervision inside (HG-Int), and two, four "
        "and eight shorter ones of equal size.",
        code=(
            "recipe hg1_b8",
            "recipe hg1_b8_int",
            "recipe hg2_b4",
            "recipe hg4_b2",
            "recipe hg8_original",
        ),
        tests=(
            "test_model::test_the_ablations_are_of_comparable_size",
            "test_recipes::test_inner_supervision_is_for_a_single_hourglass",
        ),
        differs="The networks are there, within an eighth of the parameters. The paper's figures "
        "on validation (87.4, 87.8, 88.1 for two, four and eight) are not repeated: that needs "
        "MPII's pictures and GPU days.",
    ),
    Statement(
        section="4.3",
        says="Accuracy rises from stack to stack inside one network.",
        code=("hgzoo.engine.Report",),
        tests=("test_engine::test_a_report_tells_stacks_company_and_annotation_apart",),
        differs="Measured on hg2_tiny: see [results](results.md#after-each-stack).",
    ),
    Statement(
        section="4.4",
        says="Who is meant when several people are near: the centered one; predictions may mix "
        "them where they overlap.",
        code=("hgzoo.engine.Report",),
        tests=("test_engine::test_a_report_tells_stacks_company_and_annotation_apart",),
        differs="`hgzoo evaluate --dataset mpii` splits the figure into people alone and among "
        "others. Not measured: LSP's annotations tell of one person a picture.",
    ),
    Statement(
        section="4.4",
        says="Accuracy of keypoints that are to be seen, and of hidden ones.",
        code=("hgzoo.scoring.score",),
        tests=("test_scoring::test_hidden_keypoints_count_and_are_told_apart",),
        differs="Measured on LSP and on published predictions for MPII: see "
        "[results](results.md#seen-and-hidden).",
    ),
    Statement(
        section="4.4",
        says="The mean activation of a heatmap tells whether a keypoint was annotated: area under "
        "the precision-recall curve 92.1 for knees, 96.0 for ankles.",
        code=("hgzoo.engine.Report", "hgzoo.metrics.average_precision"),
        tests=(
            "test_engine::test_a_report_tells_stacks_company_and_annotation_apart",
            "test_metrics::test_a_perfect_ranking_has_area_one_and_ties_tell_nothing",
        ),
        differs="The measure is there. Not measured: every keypoint of LSP is annotated.",
    ),
)


@cache
def tests_in(file: str) -> frozenset[str]:
    """Return the names of a test file's tests; of a file that is missing, none.

    Args:
        file: Its name without the ending, such as "test_blocks".
    """
    path = ROOT / "tests" / f"{file}.py"
    tree = ast.parse(path.read_text(encoding="utf-8") if path.is_file() else "")
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def row(statement: Statement) -> str:
    """Return a statement as a row of the table.

    Raises:
        AttributeError: Nothing has a name that it gives for its code.
        ValueError: A recipe or a test that it names does not exist.
    """
    ours = f"<br>**Ours:** {statement.differs}" if statement.differs else ""
    shown = [*map(_code, statement.code), *map(_test, statement.tests)]
    return f"| {statement.says}{ours} | {'<br>'.join(shown) or 'nothing'} |"


def _code(name: str) -> str:
    if not name.startswith("recipe "):
        return reference(name)
    recipe = f"zoo_configs/{name.removeprefix('recipe ')}.toml"
    if not (recipes.folder().parent / recipe).is_file():
        raise ValueError(f"docs/make/paper.py names {recipe}, which does not exist")
    return f"`{recipe}`"


def _test(test: str) -> str:
    file, _, name = test.partition("::")
    if name not in tests_in(file):
        raise ValueError(f"docs/make/paper.py names tests/{file}.py::{name}, which does not exist")
    return f"test: {name.removeprefix('test_').replace('_', ' ')} (`{file}.py`)"


def table() -> str:
    """Return the tables of all sections."""
    lines: list[str] = []
    for section, statements in groupby(STATEMENTS, key=lambda one: one.section):
        lines += [f"## Section {section}: {TITLES[section]}", ""]
        lines += ["| what the paper says, and where we differ | code and tests |", "| --- | --- |"]
        lines += [*map(row, statements), ""]
    return "\n".join(lines).rstrip()


def count() -> str:
    """Return how many statements there are, and how many of them nothing realizes."""
    bare = sum(not one.code for one in STATEMENTS)
    tests = {test for one in STATEMENTS for test in one.tests}
    return (
        f"{len(STATEMENTS)} statements, {len(STATEMENTS) - bare} of them realized by code, "
        f"{len(tests)} different tests; {bare} that nothing here realizes."
    )


PARTS: dict[tuple[str, str], Make] = {
    ("docs/paper.md", "statements"): table,
    ("docs/paper.md", "count"): count,
}
