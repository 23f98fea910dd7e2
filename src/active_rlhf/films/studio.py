"""Making films of episodes: they are replayed, or put together from what was observed."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from active_rlhf import parts, tasks
from active_rlhf.errors import InputError, line
from active_rlhf.films.film import BodyFilm, Film, PictureFilm
from active_rlhf.tasks.rollout import stored_dtype

if TYPE_CHECKING:
    from active_rlhf.behaviour.store import SegmentStore
    from active_rlhf.study.settings import Spec

PIXELS = 32_000_000  # of all pictures of a film; more are made smaller
WIDTH = 640  # pixels
USUAL_DT = 1 / 30  # seconds, of tasks that name no speed


class NoFilm(InputError):
    """There is no film of this; the one-line message says why."""


class Camera(Protocol):
    """Sees a task as it is now. Tasks are seen by one of these, whichever fits first."""

    dt: float
    """Seconds from frame to frame in which the task runs in real time."""

    def shot(self) -> np.ndarray:
        """One frame."""

    def film(self, shots: Sequence[np.ndarray]) -> Film:
        """The film of these frames."""


class BodyCamera:
    """Sees the bodies of an environment that has MuJoCo's `model` and `data`."""

    def __init__(self, env: Any):
        from active_rlhf.films.mujoco import Bodies

        self._bodies, self._data, self.dt = Bodies(env.model), env.data, float(env.dt)

    def shot(self) -> np.ndarray:
        return self._bodies.poses(self._data)

    def film(self, shots: Sequence[np.ndarray]) -> BodyFilm:
        return BodyFilm(self._bodies.stage, np.array(shots), self.dt)


class PictureCamera:
    """Sees what `render()` returns: uint8 [height, width, 3]."""

    def __init__(self, shown: Any, dt: float):
        self._shown, self.dt = shown, dt
        self.shot()  # a task that cannot be seen after all says so here

    def shot(self) -> np.ndarray:
        picture = np.asarray(self._shown.render())
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[-1] != 3:
            raise ValueError(
                f"its render() returns {picture.dtype} {picture.shape} rather than "
                "uint8 (height, width, 3)"
            )
        return picture

    def film(self, shots: Sequence[np.ndarray]) -> PictureFilm:
        height, width, _ = shots[0].shape
        factor = -(-width // WIDTH)
        while len(shots) * (height // factor) * (width // factor) > PIXELS:
            factor += 1
        return PictureFilm(np.array([_smaller(shot, factor) for shot in shots]), self.dt)


def _smaller(picture: np.ndarray, factor: int) -> np.ndarray:
    """The means of squares of factor x factor pixels; what is left at the edges is cut off."""
    if factor == 1:
        return picture
    height, width, _ = picture.shape
    h, w = height // factor, width // factor
    squares = picture[: h * factor, : w * factor].reshape(h, factor, w, factor, 3)
    return np.rint(squares.mean((1, 3))).astype(np.uint8)


class Studio:
    """A task of its own in which the episodes of runs are replayed, and a camera.

    environment, options: as of the run's task; seed: with which the run made it, which only its
    very first episode depends on. Making one takes some tenths of a second, a film some
    milliseconds.

    Raises NoFilm for a task that cannot be seen: it has neither MuJoCo's model and data nor a
    picture to show, that is a `render()` that returns uint8 [height, width, 3] (gymnasium's
    `render_mode="rgb_array"`) and, if it names its speed, `dt` (seconds a step) or gymnasium's
    `metadata["render_fps"]`.
    """

    def __init__(self, environment: str, options: Mapping[str, Any] | None = None, seed: int = 0):
        self.environment, self.options, self.seed = environment, dict(options or {}), seed
        self.task, self.camera = self._made()

    @classmethod
    def of(cls, spec: "Spec") -> "Studio":
        """The studio for the episodes of a run."""
        from active_rlhf.run.streams import streams

        seed = int(streams(spec.seed)["environment"].integers(2**31))  # as `tasks.build`
        return cls(spec.environment, spec.options, seed)

    @property
    def dt(self) -> float:
        """Seconds from frame to frame in real time."""
        return self.camera.dt

    def _made(self) -> tuple[Any, Camera]:
        task = tasks.made(self.environment, self.seed, self.options)
        env = getattr(getattr(task, "env", None), "unwrapped", None)
        if hasattr(env, "model") and hasattr(env, "data") and hasattr(env, "dt"):
            return task, BodyCamera(env)
        try:
            if hasattr(task, "render"):
                return task, PictureCamera(task, float(getattr(task, "dt", USUAL_DT)))
            if env is None or parts.declared("task", self.environment):
                raise ValueError("it has no render()")
            modes = getattr(env, "metadata", {}).get("render_modes") or []
            if "rgb_array" not in modes:
                raise ValueError(f"its render modes are {', '.join(modes) or 'none'}")
            rendering = self.options | {"render_mode": "rgb_array"}
            task = tasks.made(self.environment, self.seed, rendering)
            fps = task.env.unwrapped.metadata.get("render_fps")
            return task, PictureCamera(task.env, 1 / float(fps) if fps else USUAL_DT)
        except Exception as error:  # rendering is other people's code
            raise NoFilm(
                f"{self.environment} cannot be filmed: {line(error)}; a film needs MuJoCo's model "
                'and data, or a picture uint8 (height, width, 3) by render_mode="rgb_array"'
            ) from error

    def segment(
        self,
        origin: Mapping[str, Any] | None,
        actions: np.ndarray,
        offset: int = 0,
        observations: np.ndarray | None = None,
    ) -> Film:
        """The film of an episode's steps from `offset` on.

        origin: of the episode, as `SegmentStore.origins` has it; actions: as sampled, from the
        episode's first to the last that is shown; observations: what the run saw at the steps
        shown, raw, if they are known. A frame shows what an action was taken at.

        Raises NotReproducible if the observations are not the same to the bit, as may happen
        on another machine.
        """
        shown = slice(offset, len(actions))
        return self.segments(origin, actions, [shown], [observations])[0]

    def segments(
        self,
        origin: Mapping[str, Any] | None,
        actions: np.ndarray,
        shown: Sequence[slice],
        observations: Sequence[np.ndarray | None] | None = None,
    ) -> list[Film]:
        """The films of several parts of one episode, which is replayed once."""
        expected = [None] * len(shown) if observations is None else observations
        needed = {t for part in shown for t in range(part.start, part.stop)}
        shots, met = {}, {}
        for t in self._replayed(origin, actions[: max(needed) + 1]):
            if t in needed:
                shots[t], met[t] = self.camera.shot(), self._stored(self.task.observation)
        films = []
        for part, known in zip(shown, expected, strict=True):
            steps = range(part.start, part.stop)
            if known is not None and not np.array_equal(
                np.array([met[t] for t in steps]), known, equal_nan=known.dtype.kind == "f"
            ):
                raise tasks.NotReproducible(
                    f"{self.environment} does not repeat an episode bit for bit here"
                )
            films.append(self.camera.film([shots[t] for t in steps]))
        return films

    def of_store(self, store: "SegmentStore", ids: Iterable[int], length: int) -> dict[int, Film]:
        """The films of segments of a run's behaviour, by id; each episode is replayed once.

        Where it does not repeat itself to the bit they are put together from what was observed, if
        that shows everything; else raises NotReproducible.
        """
        begun, origins = store.episodes()[0], store.origins
        films: dict[int, Film] = {}
        by_episode: dict[int, list[int]] = {}
        wanted = sorted(set(ids))
        for i, episode in zip(wanted, store.episodes_of(np.array(wanted)).tolist(), strict=True):
            by_episode.setdefault(episode, []).append(i)
        for episode, mine in by_episode.items():
            first, end = int(begun[episode]), mine[-1] + length
            actions = store.actions[first:end]
            shown = [slice(i - first, i - first + length) for i in mine]
            seen = [store.observations[i : i + length] for i in mine]
            try:
                made = self.segments(origins[episode], actions, shown, seen)
            except tasks.NotReproducible:
                if not self.reconstructs:
                    raise
                parts = zip(shown, seen, strict=True)
                made = [self.observed(observed, actions[part]) for part, observed in parts]
            films |= dict(zip(mine, made, strict=True))
        return films

    def _replayed(self, origin: Mapping[str, Any] | None, actions: np.ndarray) -> Iterator[int]:
        """Bring the task to each step of an episode in turn."""
        if origin is None:
            self.task, self.camera = self._made()
        else:
            self.task.stream.bit_generator.state = origin
            self.task.reset()
        for t, action in enumerate(actions):
            yield t
            if t + 1 < len(actions):
                self.task.step(action)

    def acted(self, act: Callable[[np.ndarray], np.ndarray], steps: int) -> tuple[Film, float]:
        """The film of a new task's first episode, or of its first steps, and the true return.

        act: gives the actions [1, ...] for raw observations [1, ...].
        """
        self.task, self.camera = self._made()
        shots: list[np.ndarray] = []
        returned = 0.0
        while len(shots) < steps:
            shots.append(self.camera.shot())
            reward, *ended = self.task.step(act(self._stored(self.task.observation)[None])[0])
            returned += reward
            if any(ended):
                break
        return self.camera.film(shots), returned

    def _stored(self, observation: np.ndarray) -> np.ndarray:
        return observation.astype(stored_dtype(self.task.observation_space))

    @property
    def reconstructs(self) -> bool:
        """Whether `observed` works: observations hold all positions but the place on the floor."""
        return getattr(self.task, "unobserved", None) is not None

    def observed(self, observations: np.ndarray, actions: np.ndarray) -> Film:
        """The film of a segment of which only raw observations [H, o] and actions [H, a] are known.

        It begins at the origin of the floor. From there, each step moves the robot as far as the
        simulation does from what was observed. Raises NoFilm if observations do not hold all
        other positions; `reconstructs` says whether they do.
        """
        import mujoco

        if not self.reconstructs:
            raise NoFilm(
                f"{self.environment} cannot be filmed from its observations alone, which may not "
                "hold all positions"
            )
        env, unseen = self.task.env, self.task.unobserved
        shots: list[np.ndarray] = []
        model, data = env.model, env.data
        place = np.zeros(unseen)
        for observation, action in zip(observations, actions, strict=True):
            mujoco.mj_resetData(model, data)
            data.qpos[:unseen] = place
            data.qpos[unseen:] = observation[: model.nq - unseen]
            data.qvel[:] = observation[model.nq - unseen :][: model.nv]
            shots.append(self.camera.shot())
            data.ctrl[:] = self.task.control(action)
            mujoco.mj_step(model, data, nstep=env.frame_skip)
            moved = np.array(data.qpos[:unseen])
            place = np.where(np.isfinite(moved), moved, place)
        return self.camera.film(shots)


def film_of_segment(
    environment: str,
    options: Mapping[str, Any] | None,
    seed: int,
    origin: Mapping[str, Any] | None,
    actions: np.ndarray,
    offset: int = 0,
    observations: np.ndarray | None = None,
) -> Film:
    """The film of one segment; for more, make one `Studio` and use its `segment`."""
    return Studio(environment, options, seed).segment(origin, actions, offset, observations)
