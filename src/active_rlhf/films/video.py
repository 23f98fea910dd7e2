"""Films as mp4 or GIF, by ffmpeg, of the package `imageio-ffmpeg` (the extra `video`).

Bodies are drawn by MuJoCo, which needs OpenGL without a screen (libEGL or libOSMesa), or else as
pages draw them, by a browser.
"""

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from ctypes.util import find_library
from math import ceil, radians, sin
from pathlib import Path
from typing import Any

import numpy as np

from active_rlhf.errors import InputError, line
from active_rlhf.files import atomic
from active_rlhf.films.browser import browser, drawn
from active_rlhf.films.film import BodyFilm, Film

FORMATS = (".mp4", ".gif")
WIDTH, HEIGHT, FIELD_OF_VIEW = 480, 360, 34.0
GIF_FRAME = 0.02  # seconds: the shortest that browsers show
BACKENDS = {"egl": "EGL", "osmesa": "OSMesa"}  # MUJOCO_GL -> library
PALETTE = "split[a][b];[a]palettegen[p];[b][p]paletteuse"


class CannotDraw(InputError):
    """There is nothing here that draws bodies."""


Painter = Callable[[int], np.ndarray]
"""Gives the picture uint8 [height, width, 3] of a frame."""


def check(path: Path) -> None:
    """Raise InputError unless a video can be written under this name.

    To be called before mujoco is imported, as it decides what mujoco draws with.
    """
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"--video: {path}: must end with {' or '.join(FORMATS)}")
    try:
        import imageio_ffmpeg  # noqa: F401
    except ImportError:
        raise InputError(
            "--video: needs imageio-ffmpeg, which `pip install 'active-rlhf[video]'` brings"
        ) from None
    if "MUJOCO_GL" not in os.environ and "mujoco" not in sys.modules:
        found = [name for name, library in BACKENDS.items() if find_library(library)]
        if found or "DISPLAY" not in os.environ:
            os.environ["MUJOCO_GL"] = found[0] if found else "off"


def write_video(films: Sequence[Film], path: str | Path) -> int:
    """Write films side by side in real time; returns the number of frames.

    An mp4 has every frame, a GIF at most 50 a second. A film that is shorter than others waits on
    its last frame. Raises InputError if bodies cannot be drawn here.
    """
    from imageio_ffmpeg import write_frames

    path = Path(path)
    gif = path.suffix.lower() == ".gif"
    dt = min(film.dt for film in films)
    total = round(max(len(film) * film.dt for film in films) / dt)
    stride = ceil(GIF_FRAME / dt - 1e-9) if gif else 1
    with ExitStack() as stack:
        painters = stack.enter_context(_painters(films))

        def picture(frame: int) -> np.ndarray:
            at = [min(int(frame * dt / film.dt + 1e-6), len(film) - 1) for film in films]
            return _beside([paint(t) for paint, t in zip(painters, at, strict=True)])

        height, width, _ = picture(0).shape
        temporary = stack.enter_context(atomic(path))
        writer = write_frames(
            str(temporary),
            (width, height),
            fps=1 / (dt * stride),
            codec="gif" if gif else "libx264",
            pix_fmt_out="pal8" if gif else "yuv420p",
            macro_block_size=2,
            output_params=["-filter_complex", PALETTE] if gif else ["-crf", "20"],
            quality=None,
            ffmpeg_log_level="error",
        )
        writer.send(None)
        frames = range(0, total, stride)
        for frame in frames:
            writer.send(np.ascontiguousarray(picture(frame)))
        writer.close()
    return len(frames)


def _beside(pictures: list[np.ndarray]) -> np.ndarray:
    """Pictures from left to right on white, of even width and height."""
    height = max(picture.shape[0] for picture in pictures)
    height += height % 2
    padded = [
        np.pad(p, ((0, height - len(p)), (0, p.shape[1] % 2), (0, 0)), constant_values=255)
        for p in pictures
    ]
    return np.hstack(padded)


@contextmanager
def _painters(films: Sequence[Film]) -> Iterator[list[Painter]]:
    """Who draws each film: MuJoCo or, where it cannot, a browser."""
    with ExitStack() as stack:
        try:
            painters = [stack.enter_context(_painter(film)) for film in films]
        except CannotDraw:
            if not browser():
                raise
            painters = stack.enter_context(drawn(films, WIDTH, HEIGHT))
        yield painters


@contextmanager
def _painter(film: Film) -> Iterator[Painter]:
    if isinstance(film, BodyFilm):
        with _bodies(film) as paint:
            yield paint
    else:
        yield lambda t: film.pictures[t]


@contextmanager
def _bodies(film: BodyFilm) -> Iterator[Painter]:
    """Draws a film's geoms with MuJoCo, each body moved to its pose."""
    import mujoco

    model = mujoco.MjModel.from_xml_string(_mjcf(film))
    data, camera = mujoco.MjData(model), mujoco.MjvCamera()
    try:
        with warnings.catch_warnings(action="ignore"):  # the error below says it all
            renderer = mujoco.Renderer(model, HEIGHT, WIDTH)
    except Exception as error:  # what is missing differs, and with it the kind of error
        raise CannotDraw(
            f"--video: MuJoCo cannot draw here ({line(error)}); it needs libEGL or libOSMesa "
            "(Debian: libegl1 libgl1, or libosmesa6), or else chromium and the extra browser; "
            "pages need none of them"
        ) from error
    stage = film.stage
    camera.azimuth, camera.elevation = (
        90 + stage["view"]["azimuth"],
        -stage["view"]["elevation"],
    )
    camera.distance = 1.4 * stage["reach"] / sin(radians(FIELD_OF_VIEW / 2))

    def paint(t: int) -> np.ndarray:
        data.mocap_pos[:], data.mocap_quat[:] = film.poses[t, :, :3], film.poses[t, :, 3:]
        mujoco.mj_forward(model, data)
        camera.lookat[:] = stage["centre"]
        if stage["follow"] is not None:
            middle = film.poses[t, :, :3].mean(0)
            camera.lookat[:] = *middle[:2], max(stage["centre"][2], middle[2])
        renderer.update_scene(data, camera)
        return renderer.render().copy()

    try:
        yield paint
    finally:
        renderer.close()


def _mjcf(film: BodyFilm) -> str:
    """A model whose bodies are moved by hand."""
    bodies: dict[int | None, list[str]] = {None: []}
    for geom in film.stage["geoms"]:
        plane = geom["shape"] == "plane"
        bodies.setdefault(geom["body"], []).append(_geom(geom, plane))
    moved = "".join(
        f'<body mocap="true">{"".join(bodies.get(body, []))}</body>'
        for body in range(film.poses.shape[1])
    )
    return f"""<mujoco>
  <visual>
    <global fovy="{FIELD_OF_VIEW}" offwidth="{WIDTH}" offheight="{HEIGHT}"/>
    <quality offsamples="0"/>
  </visual>
  <statistic extent="{4 * film.stage["reach"]}"/>
  <asset>
    <texture type="skybox" builtin="gradient" rgb1=".93 .95 .97" rgb2=".6 .72 .85"
      width="64" height="64"/>
    <texture name="floor" type="2d" builtin="checker" rgb1=".87 .89 .88" rgb2=".74 .78 .76"
      width="128" height="128"/>
    <material name="floor" texture="floor" texrepeat="1 1" texuniform="true"/>
  </asset>
  <worldbody>
    <light directional="true" dir=".3 .4 -1" diffuse=".7 .7 .7" ambient=".3 .3 .3"/>
    {"".join(bodies[None])}{moved}
  </worldbody>
</mujoco>"""


def _geom(geom: Any, plane: bool) -> str:
    red, green, blue = (int(geom["colour"][i : i + 2], 16) / 255 for i in (1, 3, 5))
    looks = 'material="floor"' if plane else f'rgba="{red} {green} {blue} {geom["alpha"]}"'
    size = "0 0 1" if plane else " ".join(map(str, geom["size"]))
    at, turn = (" ".join(map(str, geom[key])) for key in ("at", "turn"))
    kind = geom["shape"]
    return f'<geom type="{kind}" size="{size}" pos="{at}" quat="{turn}" {looks}/>'
