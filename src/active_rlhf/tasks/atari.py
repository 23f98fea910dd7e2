"""Games of the Atari 2600, `ALE/<Game>-v5`, in the Arcade Learning Environment (ale-py).

The emulator is stepped here, and not by ale-py's AtariVectorEnv, although that prepares frames
alike (a test compares them): it shows neither the memory (`ram`) nor the picture that a film needs,
its automatic reset ends in a game that nobody seeded, and on one core it is the slower one, by a
fifth. All randomness is drawn from the task's own stream and an episode begins in the same state of
the emulator, so that its origin and its actions repeat it to the bit. `AtariVectorEnv` seeds a
hidden generator instead.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import field_validator

from active_rlhf.errors import InputError
from active_rlhf.parts.settings import complete
from active_rlhf.study.sections import Section, setting
from active_rlhf.tasks import replay
from active_rlhf.tasks.screens import areas, shrink

PREFIX, SUFFIX = "ALE/", "-v5"
FRAMES_PER_SECOND = 60  # of the console
STACK, SIDE = 4, 84
RAM = 128  # bytes

Rectangle = tuple[int, int, int, int]

# Where a game shows its score, as rows and columns of its screen: what Christiano et al. (2017,
# app. A) replace with black, including BeamRider's count of enemies and Enduro's panel.
SCORES: Mapping[str, tuple[Rectangle, ...]] = {
    "BeamRider": ((0, 43, 0, 160),),
    "Breakout": ((0, 17, 0, 160),),
    "Enduro": ((160, 195, 0, 160),),
    "Pong": ((0, 24, 0, 160),),
    "Qbert": ((0, 18, 0, 160),),
    "Seaquest": ((0, 20, 0, 160),),
    "SpaceInvaders": ((0, 22, 0, 160),),
}
# The bytes that hold it: in all of a random policy's steps they change only when the score does.
SCORE_BYTES: Mapping[str, tuple[int, ...]] = {"Seaquest": (26, 56, 57, 58)}


class AtariOptions(Section):
    """The options of a game."""

    ram: bool = setting(
        False,
        "observe the console's 128 bytes of memory rather than its screen",
        unit="true, false",
    )
    frame_skip: int = setting(
        4, "frames of the console in a step, in which the action is held", unit="frames", ge=1
    )
    sticky: float = setting(
        0.0,
        "probability in each frame that the action before is held instead: 0 as in Christiano et "
        "al. 2017; gymnasium's v5 has .25 (Machado et al. 2018)",
        unit="probability",
        ge=0,
        lt=1,
    )
    noops: int = setting(
        30, "an episode begins with up to so many frames without action", unit="frames", ge=0
    )
    full_action_set: bool = setting(
        False, "all 18 actions rather than those the game uses", unit="true, false"
    )
    life_loss: bool = setting(
        False, "a lost life ends the episode, and the game begins anew", unit="true, false"
    )
    max_episode_steps: int = setting(
        27_000, "steps after which an episode is cut off: 30 minutes", unit="steps", ge=1
    )
    blank: tuple[tuple[int, ...] | int, ...] | None = setting(
        None,
        "what is not shown: `[[top, bottom, left, right]]` of the screen (as a rule 210 x 160 "
        "pixels), or with `ram` the numbers of bytes; `[]` for nothing",
        unit="list",
        shown="the score, where it is known",
    )

    @field_validator("blank", mode="before")
    @classmethod
    def _tuples(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return tuple(tuple(item) if isinstance(item, list) else item for item in value)
        return value


def is_atari(environment: str) -> bool:
    """Whether this is the name of a game."""
    return environment.startswith(PREFIX)


@cache
def _games() -> dict[str, Path]:
    """The files of the games that one person can play, by name. Raises InputError."""
    try:
        from ale_py import ALEInterface, LoggerMode, roms
        from ale_py.registration import rom_id_to_name
    except ImportError as error:
        raise InputError(f"needs ale-py: pip install 'active-rlhf[atari]' ({error})") from None
    ALEInterface.setLoggerMode(LoggerMode.Error)
    files = {rom_id_to_name(name): roms.get_rom_path(name) for name in roms.get_all_rom_ids()}
    return {
        name: Path(file)
        for name, file in files.items()
        if file is not None and Path(file).is_file() and ALEInterface.isSupportedROM(file)
    }


def rom(environment: str) -> tuple[str, Path]:
    """The game of an environment, and the file that holds it. Raises InputError."""
    try:
        games = _games()
    except InputError as error:
        raise InputError(f"environment {environment!r} {error}") from None
    game = environment.removeprefix(PREFIX).removesuffix(SUFFIX)
    if game in games and environment == f"{PREFIX}{game}{SUFFIX}":
        return game, games[game]
    close = get_close_matches(game, games, n=1)
    hint = f", did you mean '{PREFIX}{close[0]}{SUFFIX}'?" if close else ""
    raise InputError(
        f"environment {environment!r}: ale-py has no such game for one player{hint}; it has "
        f"{len(games)}, such as {PREFIX}Seaquest{SUFFIX}"
    )


class AtariTask:
    """A game in the middle of an episode. `seed` seeds its stream.

    Observations are uint8: the last four frames [4, 84, 84], black before the episode, or the
    console's memory [128]. Actions are numbers; rewards are the game's own score.

    Raises InputError, in one line, for an unknown game or option.
    """

    def __init__(self, name: str, seed: int, options: Mapping[str, Any] | None = None):
        from ale_py import ALEInterface
        from gymnasium.spaces import Box, Discrete

        game, file = rom(name)
        given = complete(AtariOptions, options or {})
        assert isinstance(given, AtariOptions)
        self.name, self.options, self.horizon = name, given, given.max_episode_steps
        self.dt = given.frame_skip / FRAMES_PER_SECOND
        self._ale = ALEInterface()
        self._ale.setInt("random_seed", 0)
        self._ale.setFloat("repeat_action_probability", 0.0)  # the task's stream decides
        self._ale.loadROM(file)
        self._start = self._ale.cloneState()
        full = given.full_action_set
        self._actions = self._ale.getLegalActionSet() if full else self._ale.getMinimalActionSet()
        height, width = self._ale.getScreenDims()
        self._blank = _blanked(game, given, (height, width))
        self._screens = np.zeros((2, height, width), np.uint8)
        self._areas = *areas(height, SIDE), *areas(width, SIDE), np.empty(width, np.float32)
        shape = (RAM,) if given.ram else (STACK, SIDE, SIDE)
        self.observation_space = Box(0, 255, shape, np.uint8)
        self.action_space = Discrete(len(self._actions))
        self.stream = np.random.default_rng(seed)
        self.elapsed, self._held = 0, self._actions[0]
        self.origin: Mapping[str, Any] | None = None
        self.observation = np.zeros(shape, np.uint8)
        self.reset()

    def reset(self) -> None:
        self.origin = self.stream.bit_generator.state
        # Some games begin otherwise after one of these alone.
        self._ale.reset_game()
        self._ale.restoreState(self._start)
        self._held, self.elapsed = self._actions[0], 0
        for _ in range(int(self.stream.integers(self.options.noops + 1))):
            self._ale.act(self._actions[0])
            if self._ale.game_over():
                self._ale.reset_game()
                self._ale.restoreState(self._start)
        self._lives = self._ale.lives()
        if self.options.ram:
            self.observation = self._memory()
            return
        self._ale.getScreenGrayscale(self._screens[0])
        self._screens[1] = self._screens[0]
        self.observation = np.zeros((STACK, SIDE, SIDE), np.uint8)
        self.observation[-1] = self._frame()

    def step(self, action: np.ndarray) -> tuple[float, bool, bool]:
        ale, options, chosen, reward = self._ale, self.options, self._actions[int(action)], 0
        held, over = None, False
        if options.sticky > 0:
            held = self.stream.random(options.frame_skip) < options.sticky
        for frame in range(options.frame_skip):
            if held is None or not held[frame]:
                self._held = chosen
            reward += ale.act(self._held)
            over = ale.game_over()
            if not options.ram and (over or frame >= options.frame_skip - 2):
                self._screens[0] = self._screens[1]
                ale.getScreenGrayscale(self._screens[1])
            if over:
                break
        self.elapsed += 1
        self._observe()
        over = over or (options.life_loss and ale.lives() < self._lives)
        return float(reward), over, self.elapsed >= self.horizon and not over

    def _observe(self) -> None:
        if self.options.ram:
            self.observation = self._memory()
            return
        stack = np.empty_like(self.observation)
        stack[:-1] = self.observation[1:]
        stack[-1] = self._frame()
        self.observation = stack

    def _memory(self) -> np.ndarray:
        seen: np.ndarray = self._ale.getRAM()
        seen[list(self._blank)] = 0
        return seen

    def _frame(self) -> np.ndarray:
        """What is seen of the last two screens, uint8 [84, 84]."""
        for top, bottom, left, right in self._blank:
            self._screens[:, top:bottom, left:right] = 0
        frame = np.empty((SIDE, SIDE), np.uint8)
        shrink(*self._screens, *self._areas, frame)
        return frame

    def executed(self, actions: np.ndarray) -> np.ndarray:
        return actions

    def render(self) -> np.ndarray:
        """The screen as a person sees it, score included: uint8 [height, width, 3]."""
        shown: np.ndarray = self._ale.getScreenRGB()
        return shown

    def state_dict(self) -> dict[str, Any]:
        return {"origin": self.origin, "elapsed": self.elapsed, "observation": self.observation}

    def load_state_dict(
        self, state: Mapping[str, Any], actions: np.ndarray, rewards: np.ndarray
    ) -> None:
        self.stream.bit_generator.state = state["origin"]
        self.reset()
        replay(self, state, actions, rewards)


def _blanked(game: str, options: AtariOptions, screen: tuple[int, int]) -> Any:
    """The rectangles, or the bytes, that are not shown. Raises InputError."""
    known: Mapping[str, Any] = SCORE_BYTES if options.ram else SCORES
    if options.blank is None:
        return known.get(game, ())
    height, width = screen
    for item in options.blank:
        if options.ram:
            fits = isinstance(item, int) and 0 <= item < RAM
        else:
            top, bottom, left, right = (
                item if isinstance(item, tuple) and len(item) == 4 else [-1] * 4
            )
            fits = 0 <= top < bottom <= height and 0 <= left < right <= width
        if not fits:
            needed = (
                f"the number of a byte, 0 to {RAM - 1}"
                if options.ram
                else f"[top, bottom, left, right] within {height} rows and {width} columns"
            )
            raise InputError(f"blank: must be a list of {needed}, not {item!r}")
    return options.blank
