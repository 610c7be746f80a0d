"""What the demo page shows, computed without a page; the command, its guard and its Space."""

import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hgzoo import checkpoints, pictures, records
from hgzoo.cli import main
from hgzoo.errors import InputError, MissingExtraError, UnknownNameError, WeightsError
from hgzoo.skeletons import SKELETONS
from hgzoo.webdemo import chosen, looking, networks, server, space
from hgzoo.webdemo.chosen import Picture
from hgzoo.webdemo.looking import Seen
from hgzoo.webdemo.networks import Networks
from tests.conftest import small_model
from tests.people import WALKING

ROOT = Path(__file__).parent.parent

RED = (255, 0, 0)


@pytest.fixture(scope="module")
def offered() -> Networks:
    return Networks(["hg2_tiny"])


@pytest.fixture(scope="module")
def seen(offered: Networks) -> Seen:
    picture = chosen.open_picture(WALKING)
    return looking.look(
        picture, offered, network="hg2_tiny.people", box=(100.0, 80.0, 300.0, 480.0)
    )


def large() -> Picture:
    """A picture that is shown at half its size."""
    pixels = np.zeros((1024, 2048, 3), np.uint8)
    return Picture(name="large.png", pixels=pixels, shown=chosen.shrunk(pixels))


def test_a_large_picture_is_shown_smaller_and_a_small_one_as_it_is() -> None:
    assert large().shown.shape == (512, 1024, 3)
    small = np.zeros((5, 7, 3), np.uint8)
    assert chosen.shrunk(small) is small


def test_a_box_reaches_from_the_middle_of_one_pixel_to_that_of_the_other() -> None:
    assert chosen.drawn_box(large(), (10, 20), (99, 59)) == (21.0, 41.0, 199.0, 119.0)


def test_the_order_of_the_clicks_does_not_matter() -> None:
    boxes = {chosen.drawn_box(large(), *clicks) for clicks in (((3, 9), (8, 4)), ((8, 4), (3, 9)))}
    assert len(boxes) == 1


def test_a_box_is_shown_where_it_was_drawn() -> None:
    box = chosen.drawn_box(large(), (100, 200), (300, 400))
    shown = chosen.with_box(large(), box)
    rows, columns = np.nonzero((shown == chosen.BOX_COLOR).all(2))
    middle = (columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2
    np.testing.assert_allclose(middle, (200, 300), atol=1)


def test_the_first_corner_is_marked() -> None:
    shown = chosen.with_box(large(), None, corner=(100, 200))
    rows, columns = np.nonzero((shown == chosen.BOX_COLOR).all(2))
    np.testing.assert_allclose((columns.mean(), rows.mean()), (100, 200), atol=1)


def test_empty_fields_are_no_box() -> None:
    assert chosen.typed_box([None] * 4) is None


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([1, 2, None, 4], "all four edges"),
        ([5, 2, 5, 4], "right > left"),
        ([1, 4, 5, 2], "bottom > top"),
        ([1, 2, float("nan"), 4], "right > left"),
    ],
)
def test_a_box_that_is_none_says_why(edges: list[float | None], message: str) -> None:
    with pytest.raises(InputError, match=message):
        chosen.typed_box(edges)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text("a text"), "is not a picture"),
        (lambda path: path.write_bytes(b""), "is not a picture"),
        (lambda path: path.write_bytes(WALKING.read_bytes()[:3000]), "truncated"),
        (lambda path: os.truncate(path, chosen.MOST_BYTES + 1), "larger than 32 MB"),
        (lambda path: Image.new("1", (9000, 9000)).save(path, "PNG"), "at most 50 million"),
        (lambda path: Image.new("1", (20000, 20000)).save(path, "PNG"), "too large"),
    ],
    ids=["text", "empty", "truncated", "many bytes", "many pixels", "a bomb"],
)
def test_a_bad_file_is_refused_without_telling_its_folder(
    tmp_path: Path, make: Callable[[Path], object], message: str
) -> None:
    path = tmp_path / "<b>bad.jpg"
    path.touch()
    make(path)
    with pytest.raises(InputError, match=message) as caught:
        chosen.open_picture(path)
    assert str(tmp_path) not in str(caught.value)


def test_all_kinds_of_pictures_are_shown(tmp_path: Path) -> None:
    gray = Image.new("I;16", (6, 4), 65535)
    frames = [Image.new("P", (6, 4), color) for color in range(3)]
    turned = Image.Exif()
    turned[0x0112] = 6
    gray.save(tmp_path / "16bit.png")
    Image.new("L", (6, 4), 9).save(tmp_path / "gray.jpg")
    Image.new("RGBA", (6, 4), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    Image.new("RGB", (6, 4), RED).save(tmp_path / "turned.jpg", exif=turned)
    sizes = {path.name: chosen.open_picture(path).size for path in sorted(tmp_path.iterdir())}
    assert sizes.pop("turned.jpg") == (6, 4)
    assert set(sizes.values()) == {(4, 6)}
    assert len(sizes) == 4
    assert chosen.open_picture(tmp_path / "clear.png").shown.min() == 255


def test_a_page_offers_what_needs_no_download_the_named_one_first() -> None:
    assert Networks(["hg1_nano"]).names == ["hg1_nano.people", "hg2_tiny.people"]


def test_weights_in_the_cache_are_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    here = {"hg2_tiny.people", "hg1_nano.people", "hg8.bearpaw_mpii"}
    monkeypatch.setattr(
        networks.sources, "at_hand", lambda name, weights: WALKING if name in here else None
    )
    assert networks.at_hand() == ["hg1_nano.people", "hg2_tiny.people", "hg8.bearpaw_mpii"]


def test_a_file_is_offered_by_its_last_part(tmp_path: Path, seen: Seen) -> None:
    path = tmp_path / "mine.safetensors"
    checkpoints.write(small_model().checkpoint(), path)
    mine = Networks([str(path)])
    assert mine.names[0] == "mine.safetensors"
    box = (100.0, 80.0, 300.0, 480.0)
    found = looking.look(seen.picture, mine, network="mine.safetensors", box=box)
    assert found.record["model"] == "mine.safetensors"
    assert found.num_stacks == 2


@pytest.mark.parametrize("name", ["hg8.bearpaw_mpii", "/etc/passwd", "hf-hub:some/body"])
def test_a_visitor_has_no_other_network(offered: Networks, name: str) -> None:
    with pytest.raises(UnknownNameError, match="unknown network"):
        offered.predictor(name)


def test_a_network_that_does_not_exist_is_told_at_once() -> None:
    with pytest.raises(UnknownNameError, match="did you mean hg2_tiny"):
        Networks(["hg2_tny"])
    with pytest.raises(WeightsError, match="hg4 has no pretrained weights"):
        Networks(["hg4"])


def test_an_unknown_decoder_is_refused(offered: Networks) -> None:
    with pytest.raises(UnknownNameError, match="did you mean argmax"):
        offered.predictor("hg2_tiny.people", decoder="argmaxx")


def test_a_box_outside_is_refused(seen: Seen, offered: Networks) -> None:
    with pytest.raises(InputError, match="outside the picture"):
        looking.look(seen.picture, offered, network="hg2_tiny.people", box=(900, 900, 950, 950))


def test_without_a_box_people_are_found(seen: Seen, offered: Networks) -> None:
    found = looking.look(seen.picture, offered, network="hg2_tiny.people")
    assert found.record["settings"]["boxes"] is None
    assert looking.people(found) == ["Person 1 of 1"]
    assert looking.summary(found) == "One person found, 19 of 19 keypoints drawn."


def test_the_record_is_that_of_hgzoo_predict(seen: Seen, tmp_path: Path) -> None:
    lines = tmp_path / "demo.jsonl"
    box = "100,80,300,480"
    words = ["predict", str(WALKING), "--no-draw", "--quiet", "--json", str(lines), "--boxes", box]
    assert main(words) == 0
    theirs = json.loads(lines.read_text())
    assert seen.record.keys() == theirs.keys()
    assert seen.record["settings"] == theirs["settings"]
    ours, other = (
        records.to_pose(record["poses"][0], SKELETONS["lsp"]) for record in (seen.record, theirs)
    )
    np.testing.assert_allclose(ours.keypoints, other.keypoints, atol=0.02)


def test_what_is_taken_home_is_the_record_and_the_whole_picture(seen: Seen, tmp_path: Path) -> None:
    record, drawn = looking.save(seen, tmp_path)
    assert (record.name, drawn.name) == ("walking.jpg.pose.json", "walking.jpg.pose.png")
    assert json.loads(record.read_text())["drawn"] == drawn.name
    assert pictures.load(drawn).shape == seen.picture.pixels.shape


def test_a_hostile_name_stays_in_its_folder_and_out_of_the_page(seen: Seen, tmp_path: Path) -> None:

    picture = replace(seen.picture, name="../<script>\n.png")
    record, drawn = looking.save(replace(seen, picture=picture), tmp_path)
    assert record.parent == drawn.parent == tmp_path
    assert drawn.name == "..__script__.png.pose.png"


def test_names_of_keypoints_are_escaped_in_the_table(seen: Seen) -> None:

    pose = replace(seen.poses[0], names=("<b>", *seen.poses[0].names[1:]))
    table = looking.table(replace(seen, poses=[pose]), 0)
    assert "&lt;b&gt;" in table
    assert "<b>" not in table
    assert table.count("<tr>") == 1 + len(pose.names)


def test_the_heatmap_of_a_keypoint_is_brightest_where_the_keypoint_is(seen: Seen) -> None:
    last = looking.heatmap(seen, 0, stack=2, keypoint="head_top")
    assert last is not None
    assert last.shape == (512, 512, 3)
    row, column = np.unravel_index(last.astype(int).sum(2).argmax(), last.shape[:2])
    assert row < 130
    assert 150 < column < 350


def test_stacks_beyond_the_last_are_the_last(seen: Seen) -> None:
    np.testing.assert_array_equal(
        looking.heatmap(seen, 0, stack=9), looking.heatmap(seen, 0, stack=2)
    )


def test_the_caption_tells_the_peaks_from_first_to_last(seen: Seen) -> None:
    told = looking.caption(seen, 0, stack=2, keypoint="left_wrist")
    assert told.startswith("Hourglass 2 of 2. Peak of left wrist, first to last: 0.")
    assert seen.poses[0].heatmaps is not None
    pose = seen.poses[0]
    peak = pose.heatmaps[1, pose.names.index("left_wrist")].max()
    assert told.endswith(f"→ {peak:.2f}")


def test_an_unknown_keypoint_is_refused(seen: Seen) -> None:
    with pytest.raises(UnknownNameError, match="did you mean"):
        looking.heatmap(seen, 0, stack=1, keypoint="neckk")


def test_a_network_without_heatmaps_says_so(seen: Seen) -> None:

    bare = replace(seen, poses=[replace(seen.poses[0], heatmaps=None)])
    assert bare.num_stacks == 0
    assert looking.heatmap(bare, 0, stack=1) is None
    assert looking.caption(bare, 0, stack=1) == "This network gives no heatmaps."


def test_skeletons_are_drawn_at_the_size_that_is_shown(seen: Seen) -> None:
    drawn = looking.skeletons(seen, 0)
    assert drawn.shape == seen.picture.shown.shape
    assert (drawn != seen.picture.shown).any()


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"data": [{"path": "http://example.com/x.png"}]}', True),
        (b'{"data": [[{"a": {"path": "\\u0068ttp://example.com"}}]]}', True),
        (b'{"data": [{"path": "/tmp/x.png", "url": "http://127.0.0.1:7860/x.png"}]}', False),
        (b"", False),
        (b"not json", False),
    ],
)
def test_a_question_that_names_an_address_is_known(body: bytes, named: bool) -> None:
    assert server.names_address(body) is named


def test_gradio_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(MissingExtraError, match=r'pip install "hgzoo\[demo\]"'):
        space.write(Path("anywhere"), ["hg2_tiny"])


def test_a_port_is_a_port(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--port", "70000"]) == 1
    assert "--port takes 1 to 65535" in capsys.readouterr().err


def served(*words: str, cwd: Path, code: str | None = None) -> subprocess.Popen[str]:
    """Start the command in an environment where temporary files go into `cwd`/tmp."""
    (cwd / "tmp").mkdir(exist_ok=True)
    start = [code] if code else ["-m", "hgzoo", "demo", "--no-browser", *words]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, *start],
        cwd=cwd,
        env={**os.environ, "TMPDIR": str(cwd / "tmp"), "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answer(url: str, data: bytes | None = None) -> int:
    """Return the code of the answer to a request."""
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    assert line.startswith("http://"), process.communicate()
    return line


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_leaves_nothing_behind(tmp_path: Path, stop: signal.Signals) -> None:
    process = served(cwd=tmp_path)
    url = address(process)
    assert answer(url) == 200
    assert list((tmp_path / "tmp").glob("hgzoo-demo-*"))
    process.send_signal(stop)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert err.endswith("hgzoo: stopped\n")
    assert list(tmp_path.iterdir()) == [tmp_path / "tmp"]
    assert not list((tmp_path / "tmp").iterdir())


def test_the_server_gives_no_file_and_fetches_no_address(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(WALKING.read_bytes())
    process = served(cwd=tmp_path)
    try:
        url = address(process)
        api = f"{url}gradio_api/"
        for file in ("/etc/passwd", str(tmp_path / "secret.png"), "secret.png", str(WALKING)):
            assert answer(f"{api}file={file}") == 403
        assert answer(f"{api}file=http://127.0.0.1:1/x.png") == 403
        assert answer(f"{api}proxy=http://127.0.0.1:1/x.png") in (400, 403)
        question = json.dumps({"data": [{"path": "http://127.0.0.1:1/x.png"}]}).encode()
        assert answer(f"{api}queue/join", question) == 403
        assert answer(f"{api}queue/join", b"x" * 2**21) == 403
    finally:
        process.kill()
        process.communicate()


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = served("--port", str(port), cwd=tmp_path)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in err
    assert out == ""


def test_a_space_has_what_it_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "space"
    assert main(["demo", "--export-space", str(folder), "--model", "hg1_nano"]) == 0
    written = sorted(path.name for path in folder.iterdir())
    assert written == ["README.md", "app.py", "requirements.txt"]
    assert capsys.readouterr().out.count("\n") == 3
    front = (folder / "README.md").read_text().split("---")[1]

    gradio = version("gradio")
    for line in ("sdk: gradio", f'sdk_version: "{gradio}"', "app_file: app.py"):
        assert line in front
    assert "license: apache-2.0" in front
    assert '["--model", "hg1_nano"]' in (folder / "app.py").read_text()


def test_a_space_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kept").touch()
    assert main(["demo", "--export-space", str(tmp_path)]) == 1
    assert "is not an empty folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_space_cannot_read_files_of_this_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.safetensors"
    checkpoints.write(small_model().checkpoint(), path)
    assert main(["demo", "--export-space", str(tmp_path / "space"), "--model", str(path)]) == 1
    assert "hgzoo push" in capsys.readouterr().err


def test_the_app_of_a_space_calls_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (app, *_) = space.write(tmp_path / "space", ["hg2_tiny"])
    called: list[list[str]] = []
    monkeypatch.setattr("hgzoo.cli.main", lambda words: called.append(words) or 0)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(app), run_name="__main__")
    assert ended.value.code == 0
    where = ["demo", "--host", "0.0.0.0", "--port", "7860", "--no-browser"]
    assert called == [[*where, "--model", "hg2_tiny"]]


def test_the_app_of_a_space_runs(tmp_path: Path) -> None:
    space.write(tmp_path / "space", ["hg2_tiny"])
    app = tmp_path / "space" / "app.py"
    text = app.read_text().replace('"7860"', '"7861"').replace("0.0.0.0", "127.0.0.1")
    app.write_text(text)  # a port and a host that a test may use
    process = served(cwd=tmp_path, code=str(app))
    assert answer(address(process)) == 200
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130


def test_a_space_asks_for_what_the_project_does() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = space.requirements()
    torch = next(line for line in project["dependencies"] if line.startswith("torch"))
    assert f"\n{torch},<3\n" in asked
    assert "demo" in project["optional-dependencies"]
    assert "\nhgzoo[demo]>=0.1.0,<0.2\n" in asked
