"""Films drawn as pages draw them, by a browser without a screen: for videos without OpenGL."""

import base64
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec

import numpy as np

from active_rlhf.films.film import Film
from active_rlhf.films.page import player

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ("--disable-gpu", "--no-first-run", "--disable-background-networking")
START = """
window.players = FILMS.map((film, i) => new Player(places[i], [film], { controls: false }));
"""


def browser() -> str | None:
    """The browser to draw with, if there is one and playwright to drive it."""
    own = os.environ.get("ACTIVE_RLHF_CHROMIUM")
    found = own if own else next(filter(None, map(shutil.which, NAMES)), None)
    return found if found and find_spec("playwright") else None


@contextmanager
def drawn(
    films: Sequence[Film], width: int, height: int
) -> Iterator[list[Callable[[int], np.ndarray]]]:
    """For each film what gives the picture of a frame, uint8 [height, width, 3], by `browser`."""
    from matplotlib.image import imread
    from playwright.sync_api import sync_playwright

    root = ("--no-sandbox",) if os.geteuid() == 0 else ()
    with sync_playwright() as started:
        launched = started.chromium.launch(executable_path=browser(), args=[*ARGUMENTS, *root])
        page = launched.new_page(
            viewport={"width": width, "height": height}, reduced_motion="reduce"
        )
        style = f"canvas{{height: {height}px; max-height: none !important}} body{{margin: 0}}"
        places = '<div class="place"></div>' * len(films)
        page.set_content(f"<style>{player('player.css')}{style}</style><body>{places}")
        data = f"const FILMS = {json.dumps([film.as_json() for film in films])};\n"
        data += "const places = document.querySelectorAll('.place');\n"
        page.add_script_tag(type="module", content=data + player("player.js") + START)
        page.wait_for_function("window.players")
        page.evaluate("Promise.all(players.map((player) => player.ready))")

        def paint(film: int, frame: int) -> np.ndarray:
            address = page.evaluate(
                "([i, t]) => { players[i].seek(t); "
                "return players[i].root.querySelector('canvas').toDataURL(); }",
                [film, frame],
            )
            picture = imread(io.BytesIO(base64.b64decode(address.partition(",")[2])))
            return np.rint(picture[..., :3] * 255).astype(np.uint8)

        try:
            yield [partial(paint, film) for film in range(len(films))]
        finally:
            launched.close()
