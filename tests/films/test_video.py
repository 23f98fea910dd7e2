"""Films as mp4 and GIF."""

import os
import subprocess
import sys

import numpy as np
import pytest
from browsing import CHROMIUM, browser
from PIL import Image, ImageSequence
from test_player import STEPS, film

from active_rlhf.cli import main
from active_rlhf.films.browser import drawn

ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="no imageio-ffmpeg: no video is written")


@pytest.mark.parametrize("name", [pytest.param("Hopper-v5", marks=pytest.mark.slow), "Dot-v0"])
def test_a_video_has_the_frames_of_the_film(name, tmp_path):
    code = f"""
import sys
from pathlib import Path
sys.path[:0] = {sys.path!r}
from active_rlhf.films.video import check, write_video
paths = [Path({str(tmp_path)!r}) / file for file in ("film.mp4", "film.gif")]
for path in paths:
    check(path)
import shown
from test_player import film
for path in paths:
    print(write_video([film({name!r}), film({name!r}, 4)], str(path)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if "MuJoCo cannot draw here" in done.stderr:
        pytest.skip("MuJoCo draws only with libEGL or libOSMesa: no video of robots is written")
    assert done.returncode == 0, done.stderr
    dt = 0.04 if name == "Dot-v0" else 0.008
    frames = [STEPS, STEPS if name == "Dot-v0" else -(-STEPS // 3)]  # a GIF has fewer a second
    assert [int(count) for count in done.stdout.split()] == frames
    with Image.open(tmp_path / "film.gif") as gif:
        assert gif.info["duration"] in (20, 30, 40)
        gifs = [np.asarray(shot.convert("RGB")) for shot in ImageSequence.Iterator(gif)]
    reader = ffmpeg.read_frames(str(tmp_path / "film.mp4"))
    about = next(reader)
    assert about["fps"] == pytest.approx(1 / dt, rel=0.01)
    width, height = about["size"]
    video = [np.frombuffer(p, np.uint8).reshape(height, width, 3) for p in reader]
    for pictures, count in zip((video, gifs), frames, strict=True):
        assert len(pictures) == count
        middle = pictures[0].shape[1] // 2
        assert min(half.std() for half in (pictures[0][:, :middle], pictures[0][:, middle:])) > 2
        assert len({picture.tobytes() for picture in pictures}) > 10


@pytest.mark.parametrize("draws_with", ["off", "glfw"])
def test_what_video_lacks_is_said_in_one_line(draws_with, tmp_path):
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "from active_rlhf.films.video import write_video\n"
        "from test_player import film\n"
        "try: write_video([film('Hopper-v5')], 'film.mp4')\n"
        "except ValueError as error: print(error)"
    )
    there = {key: value for key, value in os.environ.items() if "DISPLAY" not in key}
    environment = there | {"MUJOCO_GL": draws_with, "ACTIVE_RLHF_CHROMIUM": ""}
    environment["PATH"] = str(tmp_path)  # no browser either
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert "MuJoCo cannot draw here" in done.stdout and "libosmesa6" in done.stdout
    assert done.stdout.count("\n") == 1 and "GLFW" not in done.stderr, done.stderr
    assert not list(tmp_path.iterdir())


def test_without_ffmpeg_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    assert main(["film", "anything", "--video", "film.mp4"]) == 2
    assert "pip install 'active-rlhf[video]'" in capsys.readouterr().err


@pytest.mark.slow
def test_without_opengl_a_browser_draws(monkeypatch, tmp_path):
    """As the page does: the same robot at the same place, moving."""
    with browser():  # or skip
        pass
    monkeypatch.setenv("ACTIVE_RLHF_CHROMIUM", str(CHROMIUM))
    with drawn([film("Hopper-v5"), film("Hopper-v5", 4)], 240, 180) as (paint, other):
        first, again, last, others = paint(0), paint(0), paint(STEPS - 1), other(0)
    assert first.shape == others.shape == (180, 240, 3) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert first.std() > 5 and (first != last).any() and (first != others).any()
