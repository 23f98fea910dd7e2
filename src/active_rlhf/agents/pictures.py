"""Which observations are pictures, how they lie in memory, and which networks can see what."""

from typing import Any

LEAST_PIXELS = 36  # height and width that leave the last convolution of a `cnn` one pixel


def is_picture(space: Any) -> bool:
    """Whether a gymnasium Box is pixels: uint8 [height, width], with channels first or last."""
    return space.dtype == "uint8" and len(space.shape) in (2, 3)


def unsuitable(network: str, space: Any) -> str | None:
    """Why a network cannot see what a gymnasium Box holds, in one line, or None if it can.

    space: None for some flat observation.
    """
    if network == "mlp":
        if space is None or not is_picture(space):
            return None
        return f"mlp cannot see pictures {tuple(space.shape)}; use cnn"
    if space is None:
        return "cnn needs pictures, not numbers; use mlp"
    shape = tuple(space.shape)
    if not is_picture(space):
        return f"cnn needs pictures (uint8, height x width), not {space.dtype} {shape}; use mlp"
    _, height, width = picture_shape(shape)
    if min(height, width) < LEAST_PIXELS:
        return f"cnn needs at least {LEAST_PIXELS} x {LEAST_PIXELS} pixels, not {height} x {width}"
    return None


def picture_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Channels, height and width of pictures; the channels are the smaller of first and last."""
    if len(shape) == 2:
        return 1, shape[0], shape[1]
    first, middle, last = shape
    return (last, first, middle) if last <= first else (first, middle, last)
