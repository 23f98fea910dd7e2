"""Films as data: JSON whose numbers a page unpacks.

Poses are packed as whole numbers, each the difference to the frame before; these and the pixels of
pictures are deflated, in base64. A Hopper's segment of 50 steps takes 4 KB, an Ant's 11 KB.
"""

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

Json = dict[str, Any]

STEPS = 65535  # that the range of a coordinate is divided into
COLOURS = 256  # more of them are stored as red, green and blue
POSE = 7  # numbers: position x, y, z in metres, unit quaternion w, x, y, z


def _packed(numbers: np.ndarray) -> str:
    """Unsigned whole numbers [frames, n] as the differences between frames, modulo their range.

    All numbers' low bytes come before the high ones, and each number's frames lie together.
    """
    first = np.zeros_like(numbers[:1])
    differences = np.ascontiguousarray(np.diff(numbers, axis=0, prepend=first).T)
    content = differences[..., None].view(np.uint8).transpose(2, 0, 1).tobytes()
    return base64.b64encode(zlib.compress(content, 9)).decode()


def _floats(values: np.ndarray) -> str:
    """Little-endian float32 in base64."""
    return base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()


@dataclass(frozen=True)
class BodyFilm:
    """Rigid bodies in motion.

    stage: what does not change: its `geoms` (`mujoco.stage_of`), which `body` the camera follows,
    and from where it looks; poses: float32 [frames, bodies, 7]; dt: seconds from frame to frame.
    """

    stage: Mapping[str, Any]
    poses: np.ndarray
    dt: float

    def __len__(self) -> int:
        return len(self.poses)

    def as_json(self) -> Json:
        """JSON values. Positions are relative to the body that is followed, and are rounded, as
        quaternions are, to a 65535th of the range that a coordinate has in this film."""
        poses, followed = self.poses.astype(np.float64), self.stage["follow"]
        path = np.zeros((len(poses), 3)) if followed is None else poses[:, followed, :3].copy()
        path = path.astype(np.float32)
        poses[..., :3] -= path[:, None]
        for before, now in pairwise(poses):  # q and -q turn alike
            now[(before[:, 3:] * now[:, 3:]).sum(-1) < 0, 3:] *= -1
        numbers = poses.reshape(len(poses), -1)
        low, high = (bound(0).astype(np.float32) for bound in (numbers.min, numbers.max))
        varying = high > low
        span = np.where(varying, high.astype(np.float64) - low, 1)
        rounded = np.clip(np.rint((numbers - low) / span * STEPS), 0, STEPS)
        return {
            "kind": "bodies",
            "dt": self.dt,
            "frames": len(self),
            "stage": dict(self.stage),
            "path": _floats(path),
            "low": _floats(low),
            "high": _floats(high),
            "data": _packed(rounded[:, varying].astype("<u2")),
        }

    def to_bytes(self) -> bytes:
        """`as_json` as text in UTF-8."""
        return json.dumps(self.as_json(), separators=(",", ":")).encode()


@dataclass(frozen=True)
class PictureFilm:
    """Pictures uint8 [frames, height, width, 3] of red, green and blue; dt: seconds a frame."""

    pictures: np.ndarray
    dt: float

    def __len__(self) -> int:
        return len(self.pictures)

    def as_json(self) -> Json:
        """JSON values: the colours, and the number of each pixel's, without loss if there are no
        more than 256. With more, the lowest bits of red, green and blue go, up to three of each;
        if that is not enough, all are stored."""
        frames, height, width, _ = self.pictures.shape
        colours, numbers = _palette(self.pictures)
        return {
            "kind": "pictures",
            "dt": self.dt,
            "frames": frames,
            "width": width,
            "height": height,
            "palette": None if colours is None else [f"#{c:06x}" for c in colours.tolist()],
            "data": base64.b64encode(zlib.compress(numbers.tobytes())).decode(),
        }

    def to_bytes(self) -> bytes:
        """`as_json` as text in UTF-8."""
        return json.dumps(self.as_json(), separators=(",", ":")).encode()


def _palette(pictures: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """The colours 0xRRGGBB, and the number of each pixel's; or None, and the pictures."""
    for lost in range(4):
        kept = pictures & np.uint8(256 - (1 << lost))
        pixels = kept[..., 0].astype(np.uint32) << 16
        pixels |= kept[..., 1].astype(np.uint32) << 8
        pixels |= kept[..., 2]
        used = np.zeros(1 << 24, bool)
        used[pixels] = True
        colours = np.flatnonzero(used)
        if len(colours) <= COLOURS:
            number = np.zeros(1 << 24, np.uint8)
            number[colours] = np.arange(len(colours))
            return colours, number[pixels]
    return None, pictures


Film = BodyFilm | PictureFilm
