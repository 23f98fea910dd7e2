"""What MuJoCo's bodies look like, and where they are."""

from typing import Any

import mujoco
import numpy as np

SHAPES = {
    mujoco.mjtGeom.mjGEOM_PLANE: "plane",
    mujoco.mjtGeom.mjGEOM_SPHERE: "sphere",
    mujoco.mjtGeom.mjGEOM_CAPSULE: "capsule",
    mujoco.mjtGeom.mjGEOM_ELLIPSOID: "ellipsoid",
    mujoco.mjtGeom.mjGEOM_CYLINDER: "cylinder",
    mujoco.mjtGeom.mjGEOM_BOX: "box",
}
VISIBLE_GROUPS = 3  # MuJoCo shows geoms of groups 0 to 2
MOST = 1e6  # metres: a coordinate of a simulation that blew up


class Bodies:
    """The rigid bodies of a model, and where they are for a position qpos.

    Bodies welded together count as one. `parts` are the ids of those that move.
    """

    def __init__(self, model: Any):
        self.model, self._data = model, mujoco.MjData(model)
        self.parts = sorted({int(body) for body in model.body_weldid if body})
        self.stage = _stage(model, self.parts)

    def poses(self, data: Any) -> np.ndarray:
        """Positions and quaternions, float32 [bodies, 7], for the positions in MuJoCo's data.

        Those that MuJoCo keeps itself lie one substep behind, and are left alone.
        """
        own = self._data
        own.qpos[:], own.mocap_pos[:], own.mocap_quat[:] = (
            data.qpos,
            data.mocap_pos,
            data.mocap_quat,
        )
        mujoco.mj_kinematics(self.model, own)
        poses = np.hstack([own.xpos[self.parts], own.xquat[self.parts]])
        return np.nan_to_num(np.clip(poses, -MOST, MOST)).astype(np.float32)


def _stage(model: Any, parts: list[int]) -> dict[str, Any]:
    """What a film of this model does not repeat.

    geoms: each with the `body` it is part of (its place in `parts`, None for the fixed world), its
    `shape`, MuJoCo's `size`s in metres, where it is (`at`) and how it is turned (`turn`, a
    quaternion) on this body, and its colour. follow: the body that the camera follows, or None;
    centre and reach: the middle of the model at rest and how far it extends, in metres; view: the
    direction to look from, in degrees; flat: whether it moves in a plane, where legs pass through
    each other.
    """
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    geoms, moving = [], []
    for geom in range(model.ngeom):
        if model.geom_group[geom] >= VISIBLE_GROUPS:
            continue
        rgba = model.geom_rgba[geom]
        material = int(model.geom_matid[geom])
        if material >= 0 and np.array_equal(rgba, (0.5, 0.5, 0.5, 1)):  # MuJoCo's default
            rgba = model.mat_rgba[material]
        if rgba[3] == 0:
            continue
        kind, size = mujoco.mjtGeom(model.geom_type[geom]), model.geom_size[geom]
        at, turn = np.zeros(3), np.zeros(4)
        body = int(model.body_weldid[model.geom_bodyid[geom]])
        orientation = np.zeros(4)
        mujoco.mju_mat2Quat(orientation, data.geom_xmat[geom])
        back = np.zeros(4)
        mujoco.mju_negQuat(back, data.xquat[body])
        offset = data.geom_xpos[geom] - data.xpos[body]
        if kind not in SHAPES:  # meshes and the like: the box around
            box, centre = model.geom_aabb[geom][3:], np.zeros(3)
            mujoco.mju_rotVecQuat(centre, model.geom_aabb[geom][:3], orientation)
            offset, size = offset + centre, box
        mujoco.mju_rotVecQuat(at, offset, back)
        mujoco.mju_mulQuat(turn, back, orientation)
        shown = {
            "body": parts.index(body) if body else None,
            "shape": SHAPES.get(kind, "box"),
            "size": _rounded(size),
            "at": _rounded(at),
            "turn": _rounded(turn),
            "colour": "#" + "".join(f"{round(255 * c):02x}" for c in rgba[:3].clip(0, 1).tolist()),
            "alpha": round(float(rgba[3]), 3),
        }
        geoms.append(shown)
        if kind != mujoco.mjtGeom.mjGEOM_PLANE:
            turned = data.geom_xmat[geom].reshape(3, 3)
            middle = data.geom_xpos[geom] + turned @ model.geom_aabb[geom][:3]
            moving.append((body != 0, middle, np.abs(turned) @ model.geom_aabb[geom][3:]))
    follow, view, flat = _camera(model, parts)
    seen = [part for part in moving if part[0] or follow is None] or moving
    low, high = _extent(seen)
    return {
        "geoms": geoms,
        "follow": follow,
        "centre": _rounded((low + high) / 2),
        "reach": round(max(float(np.linalg.norm(high - low)) / 2, 1e-3), 6),
        "view": view,
        "flat": flat,
    }


def _camera(model: Any, parts: list[int]) -> tuple[int | None, dict[str, float], bool]:
    """Which body is followed, from where, and whether the robot runs in a plane.

    Robots that run are followed. What is fixed somewhere is seen from the side, or from above if it
    turns there."""
    if not parts:
        return None, {"azimuth": 0.0, "elevation": 30.0}, False
    root = int(model.body_weldid.tolist().index(parts[0]))
    own = model.jnt_type[model.jnt_bodyid == root]
    if (own == mujoco.mjtJoint.mjJNT_FREE).any():
        return 0, {"azimuth": -25.0, "elevation": 28.0}, False
    if (own == mujoco.mjtJoint.mjJNT_SLIDE).sum() >= 2:
        return 0, {"azimuth": -8.0, "elevation": 11.0}, True
    upright = len(own) and abs(model.jnt_axis[model.body_jntadr[root]][2]) > 0.9
    return None, {"azimuth": 0.0, "elevation": 45.0 if upright else 14.0}, False


def _extent(boxes: list[tuple[bool, np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the box around boxes, which are given by their middles and half their sizes."""
    if not boxes:
        return -np.ones(3), np.ones(3)
    middles, halves = (np.array([box[i] for box in boxes]) for i in (1, 2))
    return (middles - halves).min(0), (middles + halves).max(0)


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 6) for value in values]
