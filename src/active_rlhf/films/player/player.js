/* Films of behaviour, side by side on one clock.

   import { Player } from "./player.js";            // and player.css in the page

   const player = new Player(element, films, { labels: ["First", "Second"] });
   await player.ready;                              // decoded, and the first frame is drawn

   element   an empty element, which the player fills with a canvas for each film and with controls
   films     what `Film.as_json()` gave, or `decode(film)` of it, for pages that load ahead
   options   labels     names of the clips, shown under them and read by screen readers
             autoplay   true: plays at once, unless the reader prefers reduced motion
             loop       true: starts again at the end, after `rest` seconds (0.4)
             speed      1: one of SPEEDS, times real time
             controls   true: the bar of buttons; without, call the methods below
             keys       {action: [key, ...]} in place of those in KEYS, [] for no key; null: no keys
             keysFrom   where keys are listened for: `element`, or `document` for the whole page
             onframe    called with {frame, frames, time, duration, playing, speed} when any changes

   player.play(), pause(), toggle(), step(n), seek(frame), restart()
   player.frame, frames, time, duration, playing     read these
   player.speed, loop                                read and set these
   await player.load(films, labels)                  shows others, with the same speed and loop
   player.destroy()                                  stops, and empties the element

   All clips show the same time. `frame` counts frames of the fastest clip; a clip that is shorter
   waits on its last frame. While it plays, robots are drawn between frames too; paused, exactly the
   frame. Dragging a robot's picture turns the camera for all of them, a double click turns it back.
   Nothing is fetched. Colours follow the custom properties in player.css, light or dark. */

export const SPEEDS = [0.25, 0.5, 1, 2, 4];
export const KEYS = {
  toggle: [" ", "k"],
  back: [","],
  forward: ["."],
  slower: ["-", "<"],
  faster: ["+", "=", ">"],
  loop: ["l"],
  start: ["Home"],
  end: ["End"],
};

// --- films: unpacking -----------------------------------------------------------------------------

const bytesOf = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
const floatsOf = (base64) => new Float32Array(bytesOf(base64).buffer);

async function inflated(base64) {
  const stream = new Blob([bytesOf(base64)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** A film ready to be drawn: {film, frames, dt, poses | picture(frame)}. */
export async function decode(film) {
  const clip = { film, frames: film.frames, dt: film.dt };
  const data = await inflated(film.data);
  if (film.kind === "bodies") return { ...clip, ...posesOf(film, data) };
  return { ...clip, picture: picturesOf(film, data) };
}

/** poses: Float32Array [frames, bodies, 7], of positions x, y, z and quaternions w, x, y, z. */
function posesOf(film, data) {
  const path = floatsOf(film.path), low = floatsOf(film.low), high = floatsOf(film.high);
  const frames = film.frames, width = low.length, poses = new Float32Array(frames * width);
  const half = data.length / 2;
  let at = 0;
  for (let c = 0; c < width; c++) {
    const varies = high[c] > low[c];
    for (let t = 0, number = 0; t < frames; t++) {
      if (varies) {
        number = (number + data[at] + 256 * data[half + at]) & 65535;
        at++;
      }
      const offset = c % 7 < 3 ? path[3 * t + (c % 7)] : 0;
      poses[t * width + c] = offset + low[c] + (number / 65535) * (high[c] - low[c]);
    }
  }
  return { poses, path, width };
}

/** A function that gives the ImageData of a frame. */
function picturesOf(film, data) {
  const size = data.length / film.frames;
  const colours = film.palette && Uint32Array.from(film.palette, (c) => parseInt(c.slice(1), 16));
  return (frame) => {
    const image = new ImageData(film.width, film.height), out = image.data;
    for (let i = 0, at = frame * size; i < out.length; i += 4) {
      const colour = colours
        ? colours[data[at++]]
        : (data[at++] << 16) | (data[at++] << 8) | data[at++];
      out[i] = colour >> 16;
      out[i + 1] = (colour >> 8) & 255;
      out[i + 2] = colour & 255;
      out[i + 3] = 255;
    }
    return image;
  };
}

// --- geometry -------------------------------------------------------------------------------------

const add = (a, b, s = 1) => [a[0] + s * b[0], a[1] + s * b[1], a[2] + s * b[2]];
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];
const unit = (a) => {
  const n = Math.hypot(...a) || 1;
  return [a[0] / n, a[1] / n, a[2] / n];
};
const times = ([a, b, c, d], [w, x, y, z]) => [
  a * w - b * x - c * y - d * z,
  a * x + b * w + c * z - d * y,
  a * y - b * z + c * w + d * x,
  a * z + b * y - c * x + d * w,
];
/** A vector turned by a unit quaternion. */
function turned([w, x, y, z], v) {
  const u = [x, y, z], s = cross(u, v);
  return add(add(v, s, 2 * w), cross(u, s), 2);
}

/** Corners of the smallest convex polygon around points [x, y]. */
function hull(points) {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const half = (list) => {
    const out = [];
    for (const p of list) {
      while (out.length > 1) {
        const [a, b] = out.slice(-2);
        if ((b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]) > 0) break;
        out.pop();
      }
      out.push(p);
    }
    return out.slice(0, -1);
  };
  return [...half(sorted), ...half(sorted.reverse())];
}

const CIRCLE = Array.from({ length: 16 }, (_, i) => [
  Math.cos((i * Math.PI) / 8),
  Math.sin((i * Math.PI) / 8),
]);
const TOWARDS_LIGHT = unit([-0.35, -0.45, 1]);
const FIELD_OF_VIEW = (34 * Math.PI) / 180;

/** Perspective: `at(point)` is [x, y, depth, pixels a metre] on a canvas of width x height. */
class Camera {
  constructor(look, distance, azimuth, elevation, width, height) {
    const a = (azimuth * Math.PI) / 180, e = (elevation * Math.PI) / 180;
    const back = [Math.sin(a) * Math.cos(e), -Math.cos(a) * Math.cos(e), Math.sin(e)];
    this.eye = add(look, back, distance);
    this.forward = back.map((x) => -x);
    this.right = unit(cross(this.forward, [0, 0, 1]));
    this.up = cross(this.right, this.forward);
    this.focal = Math.min(width, height * 1.3) / (2 * Math.tan(FIELD_OF_VIEW / 2));
    this.near = distance * 0.08;
    [this.cx, this.cy] = [width / 2, height / 2];
    this.horizon = this.cy - this.focal * Math.tan(e);
  }
  at(p) {
    const d = add(p, this.eye, -1), depth = dot(d, this.forward), scale = this.focal / depth;
    return [this.cx + scale * dot(d, this.right), this.cy - scale * dot(d, this.up), depth, scale];
  }
}

// --- drawing --------------------------------------------------------------------------------------

const shade = (colour, factor, alpha = 1) => {
  const n = parseInt(colour.slice(1), 16);
  const part = (shift) => {
    const c = (n >> shift) & 255;
    return Math.round(factor <= 1 ? c * factor : c + (255 - c) * (factor - 1));
  };
  return `rgba(${part(16)},${part(8)},${part(0)},${alpha})`;
};

function polygon(context, points, fill) {
  context.beginPath();
  points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.closePath();
  context.fillStyle = fill;
  context.fill();
}

/** The outline of two circles and what lies between them. */
function pill(context, x0, y0, r0, x1, y1, r1, fill) {
  const along = Math.atan2(y1 - y0, x1 - x0), length = Math.hypot(x1 - x0, y1 - y0);
  context.beginPath();
  if (length <= Math.abs(r0 - r1) + 1e-6) {
    const [x, y, r] = r0 > r1 ? [x0, y0, r0] : [x1, y1, r1];
    context.arc(x, y, r, 0, 2 * Math.PI);
  } else {
    const side = Math.acos((r0 - r1) / length);
    context.arc(x0, y0, r0, along + side, along - side + 2 * Math.PI);
    context.arc(x1, y1, r1, along - side, along + side);
  }
  context.closePath();
  context.fillStyle = fill;
  context.fill();
}

/** From the edge (0) to the highlight (1): share of the radius, brightness. */
const LIGHT = (k) => [1 - 0.86 * k, 0.64 + 0.62 * k ** 0.8];
const LEAN = [-0.32, -0.46]; // of the highlight, in radii
const layers = (radius) => {
  const count = Math.max(4, Math.min(24, Math.round(radius / 1.3)));
  return Array.from({ length: count }, (_, k) => LIGHT(k / (count - 1)));
};

function drawPill(context, a, b, radius, colour, alpha, outline) {
  const [r0, r1] = [radius * a[3], radius * b[3]];
  pill(context, a[0], a[1], r0 + outline, b[0], b[1], r1 + outline, shade(colour, 0.34, alpha));
  for (const [share, light] of layers(Math.max(r0, r1))) {
    const lean = 1 - share;
    pill(
      context,
      a[0] + LEAN[0] * lean * r0, a[1] + LEAN[1] * lean * r0, share * r0,
      b[0] + LEAN[0] * lean * r1, b[1] + LEAN[1] * lean * r1, share * r1,
      shade(colour, light, alpha),
    );
  }
}

function drawBall(context, [x, y, , scale], radius, colour, alpha, outline) {
  const r = radius * scale;
  pill(context, x, y, r + outline, x, y, r + outline, shade(colour, 0.34, alpha));
  const fill = context.createRadialGradient(x + 0.4 * r * LEAN[0], y + 0.4 * r * LEAN[1], 0, x, y, r);
  for (const k of [0, 0.25, 0.5, 0.75, 1]) fill.addColorStop(1 - k, shade(colour, LIGHT(k)[1], alpha));
  pill(context, x, y, r, x, y, r, fill);
}

/** A geom in the world: its corners, or its ends and radius. */
function placed(geom, pose) {
  const place = pose ? add(pose.at, turned(pose.turn, geom.at)) : geom.at;
  const turn = pose ? times(pose.turn, geom.turn) : geom.turn;
  const [a, b, c] = geom.size, to = (v) => add(place, turned(turn, v));
  switch (geom.shape) {
    case "sphere":
      return { geom, place, ends: [place, place], radius: a };
    case "capsule":
      return { geom, place, ends: [to([0, 0, -b]), to([0, 0, b])], radius: a };
    case "cylinder": {
      const rims = [-b, b].map((z) => CIRCLE.map(([x, y]) => to([a * x, a * y, z])));
      const axis = turned(turn, [0, 0, 1]);
      const faces = [{ normal: axis.map((x) => -x), corners: rims[0] }, { normal: axis, corners: rims[1] }];
      return { geom, place, corners: rims.flat(), faces };
    }
    case "ellipsoid": {
      const rings = [-0.9, -0.6, -0.2, 0.2, 0.6, 0.9].flatMap((z) => {
        const r = Math.sqrt(1 - z * z);
        return CIRCLE.map(([x, y]) => to([a * r * x, b * r * y, c * z]));
      });
      return { geom, place, corners: [...rings, to([0, 0, -c]), to([0, 0, c])], faces: [] };
    }
    case "box": {
      const faces = [0, 1, 2].flatMap((axis) =>
        [-1, 1].map((side) => {
          const half = [a, b, c], others = [0, 1, 2].filter((i) => i !== axis);
          const corners = [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([p, q]) => {
            const v = [0, 0, 0];
            v[axis] = side * half[axis];
            v[others[0]] = p * half[others[0]];
            v[others[1]] = q * half[others[1]];
            return to(v);
          });
          const normal = [0, 0, 0];
          normal[axis] = side;
          return { normal: turned(turn, normal), corners };
        }),
      );
      return { geom, place, corners: faces.flatMap((f) => f.corners), faces };
    }
    default:
      return null;
  }
}

const isGround = (geom) =>
  geom.shape === "plane" && geom.body === null && turned(geom.turn, [0, 0, 1])[2] > 0.99;

function drawShape(context, camera, shape, outline) {
  const { geom } = shape;
  if (shape.ends) {
    const [a, b] = shape.ends.map((p) => camera.at(p));
    if (Math.min(a[2], b[2]) < camera.near) return;
    if (geom.shape === "sphere") drawBall(context, a, shape.radius, geom.colour, geom.alpha, outline);
    else drawPill(context, a, b, shape.radius, geom.colour, geom.alpha, outline);
    return;
  }
  const corners = shape.corners.map((p) => camera.at(p));
  if (corners.some((p) => p[2] < camera.near)) return;
  const around = hull(corners);
  polygon(context, around, shade(geom.colour, 0.72, geom.alpha));
  context.strokeStyle = shade(geom.colour, 0.34, geom.alpha);
  context.lineWidth = outline;
  context.stroke();
  if (!shape.faces.length) {
    const [x, y] = [0, 1].map((i) => around.reduce((s, p) => s + p[i], 0) / around.length);
    const size = Math.hypot(around[0][0] - x, around[0][1] - y);
    for (const [share, light] of layers(size).slice(1)) {
      const [lx, ly] = LEAN.map((l) => l * (1 - share) * size * 0.8);
      const inner = around.map((p) => [x + lx + share * (p[0] - x), y + ly + share * (p[1] - y)]);
      polygon(context, inner, shade(geom.colour, light, geom.alpha));
    }
  }
  for (const { normal, corners: face } of shape.faces) {
    if (dot(normal, add(camera.eye, face[0], -1)) <= 0) continue;
    const light = 0.72 + 0.42 * Math.max(0, dot(normal, TOWARDS_LIGHT));
    polygon(context, face.map((p) => camera.at(p)), shade(geom.colour, light, geom.alpha));
  }
}

function shadowOf(shape, floor, camera) {
  const dropped = (p) => add(p, TOWARDS_LIGHT, -(p[2] - floor) / TOWARDS_LIGHT[2]);
  const points = shape.ends
    ? shape.ends.flatMap((p) => {
        const q = dropped(p);
        return CIRCLE.map(([x, y]) => [q[0] + shape.radius * x, q[1] + shape.radius * y, floor]);
      })
    : shape.corners.map(dropped);
  const seen = points.map((p) => camera.at(p));
  return seen.some((p) => p[2] < camera.near) ? [] : hull(seen);
}

/** The floor: squares that fade with distance, a line at every mark, and how far it is. */
function drawGround(context, camera, look, start, reach, floor, width, height, theme) {
  const sky = context.createLinearGradient(0, 0, 0, Math.max(1, camera.horizon));
  sky.addColorStop(0, theme.skyTop);
  sky.addColorStop(1, theme.sky);
  context.fillStyle = sky;
  context.fillRect(0, 0, width, height);
  const ground = context.createLinearGradient(0, camera.horizon, 0, height);
  ground.addColorStop(0, theme.sky);
  ground.addColorStop(0.35, theme.ground);
  ground.addColorStop(1, theme.ground);
  context.fillStyle = ground;
  context.fillRect(0, Math.max(0, camera.horizon), width, height);
  const tile = 2 ** Math.round(Math.log2(reach)) / 2, rings = 16;
  const [i0, j0] = [0, 1].map((k) => Math.floor((look[k] - start[k]) / tile));
  for (let i = i0 - rings; i <= i0 + rings; i++) {
    for (let j = j0 - rings; j <= j0 + rings; j++) {
      if ((i + j) & 1) continue;
      const [x, y] = [start[0] + i * tile, start[1] + j * tile];
      const away = Math.hypot(x + tile / 2 - look[0], y + tile / 2 - look[1]) / (rings * tile);
      if (away >= 1) continue;
      const seen = [[x, y], [x + tile, y], [x + tile, y + tile], [x, y + tile]].map(([u, v]) =>
        camera.at([u, v, floor]),
      );
      if (seen.some((p) => p[2] < camera.near)) continue;
      if (seen.every((p) => p[0] < 0) || seen.every((p) => p[0] > width)) continue;
      if (seen.every((p) => p[1] > height)) continue;
      context.globalAlpha = (1 - away) ** 1.5;
      polygon(context, seen, theme.tile);
    }
  }
  context.globalAlpha = 1;
  return tile;
}

function drawMarks(context, camera, look, start, tile, floor, width, theme) {
  const every = 2 * tile; // metres
  const middle = Math.round((look[0] - start[0]) / every);
  const row = start[1] + Math.round((look[1] - start[1]) / tile) * tile;
  for (let k = middle - 7; k <= middle + 7; k++) {
    const x = start[0] + k * every;
    const [near, far] = [row - 2 * tile, row + 2 * tile].map((y) => camera.at([x, y, floor]));
    if (Math.min(near[2], far[2]) < camera.near) continue;
    context.globalAlpha = Math.max(0, 1 - Math.abs(x - look[0]) / (7 * every));
    context.strokeStyle = theme.mark;
    context.lineWidth = Math.max(1, 0.02 * tile * far[3]);
    context.beginPath();
    context.moveTo(near[0], near[1]);
    context.lineTo(far[0], far[1]);
    context.stroke();
    context.fillStyle = theme.text;
    context.font = `${Math.max(9, Math.min(0.035 * width, 0.28 * tile * far[3]))}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.fillText(`${+(k * every).toPrecision(3)} m`, far[0], far[1] - 0.12 * tile * far[3]);
  }
  context.globalAlpha = 1;
}

/** Draw a clip of bodies at a frame, which may lie between two; turn: of the camera, in degrees. */
function drawBodies(context, clip, frame, turn, width, height, pixels, theme) {
  const { film: { stage }, poses, width: row } = clip;
  const t = Math.min(Math.floor(frame), clip.frames - 1);
  const next = Math.min(t + 1, clip.frames - 1), share = frame - t;
  const pose = (body) => {
    const a = t * row + 7 * body, b = next * row + 7 * body;
    const mixed = Array.from({ length: 7 }, (_, i) => poses[a + i] + share * (poses[b + i] - poses[a + i]));
    const n = Math.hypot(...mixed.slice(3)) || 1;
    return { at: mixed.slice(0, 3), turn: mixed.slice(3).map((q) => q / n) };
  };
  const bodies = Array.from({ length: row / 7 }, (_, body) => pose(body));
  const shapes = stage.geoms
    .map((geom) => placed(geom, geom.body === null ? null : bodies[geom.body]))
    .filter(Boolean);
  const follows = stage.follow !== null;
  let look = stage.centre, start = [0, 0];
  if (follows) {
    const moving = shapes.filter(({ geom }) => geom.body !== null);
    const middle = [0, 1, 2].map((i) => moving.reduce((s, { place }) => s + place[i], 0) / moving.length);
    look = [middle[0], middle[1], Math.max(look[2], middle[2])];
    start = [poses[7 * stage.follow], poses[7 * stage.follow + 1]];
  }
  const distance = (1.4 * stage.reach) / Math.sin(FIELD_OF_VIEW / 2);
  const elevation = Math.min(85, Math.max(2, stage.view.elevation + turn.elevation));
  const azimuth = stage.view.azimuth + turn.azimuth;
  const camera = new Camera(look, distance, azimuth, elevation, width, height);
  const ground = stage.geoms.find(isGround);
  if (ground) {
    const floor = ground.at[2];
    const tile = drawGround(context, camera, look, start, stage.reach, floor, width, height, theme);
    if (follows) drawMarks(context, camera, look, start, tile, floor, width, theme);
    context.beginPath();
    for (const shape of shapes) {
      shadowOf(shape, floor, camera).forEach(([x, y], i) =>
        i ? context.lineTo(x, y) : context.moveTo(x, y),
      );
      context.closePath();
    }
    context.fillStyle = theme.shadow;
    context.fill();
  } else {
    context.fillStyle = theme.sky;
    context.fillRect(0, 0, width, height);
  }
  // In a plane seen from its side nothing is nearer: the same order always, or legs would flicker.
  const alike = stage.flat && Math.abs(Math.sin((azimuth * Math.PI) / 180)) < 0.7;
  const depth = new Map(shapes.map((s, i) => [s, alike ? i : camera.at(s.place)[2]]));
  const drawn = [...shapes].sort((a, b) => depth.get(b) - depth.get(a));
  for (const shape of drawn) drawShape(context, camera, shape, pixels);
}

function drawPicture(context, clip, frame, width, height, theme) {
  const shown = Math.floor(frame), { film } = clip;
  if (clip.shown !== shown) {
    clip.canvas ??= Object.assign(document.createElement("canvas"), {
      width: film.width,
      height: film.height,
    });
    clip.canvas.getContext("2d").putImageData(clip.picture(shown), 0, 0);
    clip.shown = shown;
  }
  context.fillStyle = theme.sky;
  context.fillRect(0, 0, width, height);
  const scale = Math.min(width / film.width, height / film.height);
  context.imageSmoothingEnabled = scale < 2; // larger pixels stay sharp
  context.imageSmoothingQuality = "high";
  const [w, h] = [scale * film.width, scale * film.height];
  context.drawImage(clip.canvas, (width - w) / 2, (height - h) / 2, w, h);
}

const THEME = {
  skyTop: "--film-sky-top", sky: "--film-sky", ground: "--film-ground", tile: "--film-tile",
  mark: "--film-mark", text: "--film-text", shadow: "--film-shadow",
};

// --- the player -----------------------------------------------------------------------------------

const ICONS = {
  play: "M5 3l11 7-11 7z",
  pause: "M5 3h4v14H5zM11 3h4v14h-4z",
  back: "M14 3v14L6 10zM4 3h2v14H4z",
  forward: "M6 3v14l8-7zM14 3h2v14h-2z",
  loop: "M10 4V1l5 4-5 4V6a4 4 0 1 0 4 4h2a6 6 0 1 1-6-6z",
};

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function icon(path) {
  const SVG = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(SVG, "svg"), shape = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("aria-hidden", "true");
  shape.setAttribute("d", path);
  svg.append(shape);
  return svg;
}

export class Player {
  #clips = [];
  #time = 0;
  #resting = 0;
  #last = null;
  #request = null;
  #loading = 0;
  #told = "";
  #turn = { azimuth: 0, elevation: 0 };
  #speed = 1;
  #loop = true;
  #undo = [];

  constructor(root, films = [], options = {}) {
    this.root = root;
    this.options = { autoplay: true, controls: true, rest: 0.4, onframe: () => {}, ...options };
    this.playing = false;
    this.#speed = SPEEDS.includes(options.speed) ? options.speed : 1;
    this.#loop = options.loop ?? true;
    this.#build();
    this.#listen();
    this.ready = this.load(films, options.labels);
  }

  // What it shows

  /** Show other films; resolves when their first frame is drawn. */
  async load(films, labels = []) {
    const turn = ++this.#loading;
    this.pause();
    const clips = await Promise.all(films.map((film) => (film.data ? decode(film) : film)));
    if (turn !== this.#loading) return; // others were asked for meanwhile
    this.#clips = clips.map((clip, i) => ({ ...clip, ...this.#place(labels[i] ?? "", i, clip) }));
    this.#area.replaceChildren(...this.#clips.map((clip) => clip.figure));
    this.#sizes.disconnect();
    for (const clip of this.#clips) this.#sizes.observe(clip.canvasShown);
    this.#slider.max = Math.max(0, this.frames - 1);
    this.#time = this.#resting = 0;
    this.#turn = { azimuth: 0, elevation: 0 };
    this.#fit();
    this.#draw();
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (this.options.autoplay && !still && this.frames > 1) this.play();
  }

  get dt() {
    return Math.min(...this.#clips.map((clip) => clip.dt), 1);
  }
  get duration() {
    return Math.max(0, ...this.#clips.map((clip) => clip.frames * clip.dt));
  }
  get frames() {
    return this.#clips.length ? Math.round(this.duration / this.dt) : 0;
  }
  get time() {
    return this.#time;
  }
  get frame() {
    return Math.max(0, Math.min(this.frames - 1, Math.floor(this.#time / this.dt + 1e-6)));
  }
  /** The clips, each with the number of the frame that it shows now. */
  get clips() {
    return this.#clips.map((clip) => ({ ...clip, frame: Math.floor(this.#frameOf(clip)) }));
  }

  // What it does

  get speed() {
    return this.#speed;
  }
  set speed(value) {
    this.#speed = value;
    this.#tell();
  }
  get loop() {
    return this.#loop;
  }
  set loop(value) {
    this.#loop = Boolean(value);
    this.#tell();
  }
  play() {
    if (this.playing || !this.frames) return;
    if (!this.loop && this.frame === this.frames - 1) this.#time = 0;
    this.playing = true;
    this.#last = null;
    this.#request = requestAnimationFrame((now) => this.#tick(now));
    this.#tell();
  }
  pause() {
    if (!this.playing) return;
    this.playing = false;
    cancelAnimationFrame(this.#request);
    this.seek(this.frame);
  }
  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }
  /** Pause, and go n frames on; beyond the ends it goes round if it loops. */
  step(n = 1) {
    if (!this.frames) return;
    this.pause();
    const wanted = this.frame + n, last = this.frames - 1;
    const round = ((wanted % this.frames) + this.frames) % this.frames;
    this.seek(this.loop ? round : Math.max(0, Math.min(last, wanted)));
  }
  seek(frame) {
    this.#time = Math.max(0, Math.min(this.frames - 1, Math.round(frame)) * this.dt);
    this.#resting = 0;
    this.#draw();
  }
  restart() {
    this.seek(0);
    this.play();
  }
  destroy() {
    this.pause();
    this.#loading++;
    this.#sizes.disconnect();
    for (const undo of this.#undo) undo();
    this.root.replaceChildren();
  }

  // How

  #area;
  #slider;
  #sizes;
  #buttons = {};

  #build() {
    this.root.classList.add("film-player");
    this.#area = element("div", { class: "film-clips" });
    this.#slider = element("input", { type: "range", min: 0, max: 0, value: 0, "aria-label": "Frame" });
    this.#slider.addEventListener("input", () => {
      this.pause();
      this.seek(+this.#slider.value);
    });
    const button = (name, label, path, action) => {
      const made = element("button", { type: "button", "aria-label": label, title: label }, icon(path));
      made.addEventListener("click", action);
      this.#buttons[name] = made;
      return made;
    };
    this.counter = element("span", { class: "film-counter", "aria-hidden": "true" });
    const speeds = element("select", { "aria-label": "Speed" });
    for (const speed of SPEEDS) {
      const option = element("option", { value: speed }, `${speed}×`);
      option.selected = speed === this.speed;
      speeds.append(option);
    }
    speeds.addEventListener("change", () => (this.speed = +speeds.value));
    this.#buttons.speed = speeds;
    const bar = element(
      "div",
      { class: "film-controls", role: "group", "aria-label": "Playback" },
      button("toggle", "Play", ICONS.play, () => this.toggle()),
      button("back", "One frame back", ICONS.back, () => this.step(-1)),
      button("forward", "One frame forward", ICONS.forward, () => this.step(1)),
      this.#slider,
      this.counter,
      speeds,
      button("loop", "Loop", ICONS.loop, () => (this.loop = !this.loop)),
    );
    this.root.replaceChildren(this.#area, ...(this.options.controls ? [bar] : []));
  }

  #place(label, i, clip) {
    const name = label || `Clip ${i + 1}`;
    const canvas = element("canvas", { role: "img", "aria-label": `${name}: film of ${clip.frames} frames` });
    const caption = element("figcaption", {}, label);
    const figure = element("figure", {}, canvas, ...(label ? [caption] : []));
    if (clip.film.kind === "pictures")
      canvas.style.aspectRatio = `${clip.film.width} / ${clip.film.height}`;
    else this.#turnable(canvas);
    return { figure, canvasShown: canvas, context: canvas.getContext("2d", { alpha: false }) };
  }

  #turnable(canvas) {
    canvas.classList.add("film-turnable");
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => {
      if (!canvas.hasPointerCapture(event.pointerId)) return;
      this.#turn.azimuth -= 0.5 * event.movementX;
      this.#turn.elevation = Math.max(-40, Math.min(80, this.#turn.elevation + 0.4 * event.movementY));
      this.#draw();
    });
    canvas.addEventListener("dblclick", () => {
      this.#turn = { azimuth: 0, elevation: 0 };
      this.#draw();
    });
  }

  #listen() {
    const on = (target, name, action) => {
      target.addEventListener(name, action);
      this.#undo.push(() => target.removeEventListener(name, action));
    };
    this.#sizes = new ResizeObserver(() => {
      this.#fit();
      this.#draw();
    });
    on(matchMedia("(prefers-color-scheme: dark)"), "change", () => this.#draw());
    on(this.options.keysFrom ?? this.root, "keydown", (event) => this.#key(event));
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const target = event.target, tag = target.tagName;
    if (["SELECT", "TEXTAREA"].includes(tag) || (tag === "INPUT" && target.type !== "range")) return;
    if (target.isContentEditable || (event.key === " " && ["BUTTON", "SUMMARY", "A"].includes(tag)))
      return;
    if (this.options.keys === null) return;
    const keys = { ...KEYS, ...this.options.keys };
    const action = Object.keys(keys).find((name) => keys[name].includes(event.key));
    if (!action) return;
    event.preventDefault();
    const faster = (by) => {
      const at = SPEEDS.indexOf(this.speed) + by;
      this.speed = SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, at))];
    };
    ({
      toggle: () => this.toggle(),
      back: () => this.step(-1),
      forward: () => this.step(1),
      slower: () => faster(-1),
      faster: () => faster(1),
      loop: () => (this.loop = !this.loop),
      start: () => this.step(-this.frame),
      end: () => this.step(this.frames - 1 - this.frame),
    })[action]();
  }

  #tick(now) {
    if (!this.playing) return;
    const passed = Math.min(0.1, (now - (this.#last ?? now)) / 1000); // hidden pages stand still
    this.#last = now;
    const last = (this.frames - 1) * this.dt;
    if (this.#time + passed * this.speed < last) this.#time += passed * this.speed;
    else if (!this.loop) {
      this.#time = last;
      this.pause();
      return;
    } else {
      this.#time = last;
      this.#resting += passed;
      if (this.#resting >= this.options.rest) this.#time = this.#resting = 0;
    }
    this.#draw();
    this.#request = requestAnimationFrame((later) => this.#tick(later));
  }

  #frameOf(clip) {
    return Math.min(clip.frames - 1, this.#time / clip.dt + 1e-6);
  }

  /** As many pixels as the screen has. */
  #fit() {
    const pixels = window.devicePixelRatio || 1;
    for (const { canvasShown: canvas } of this.#clips) {
      const [w, h] = [canvas.clientWidth, canvas.clientHeight].map((n) => Math.max(1, Math.round(n * pixels)));
      if (canvas.width !== w) canvas.width = w;
      if (canvas.height !== h) canvas.height = h;
    }
  }

  #draw() {
    if (!this.root.isConnected) return;
    const style = getComputedStyle(this.root);
    const theme = {};
    for (const [name, property] of Object.entries(THEME)) theme[name] = style.getPropertyValue(property);
    for (const clip of this.#clips) {
      const { canvasShown: { width, height }, context } = clip;
      let frame = this.#frameOf(clip);
      if (!this.playing || clip.picture) frame = Math.floor(frame);
      const pixels = 1.2 * (window.devicePixelRatio || 1);
      if (clip.picture) drawPicture(context, clip, frame, width, height, theme);
      else drawBodies(context, clip, frame, this.#turn, width, height, pixels, theme);
    }
    this.#tell();
  }

  #tell() {
    const { frame, frames, duration, playing, speed, loop } = this;
    const state = { frame, frames, time: frame * this.dt, duration, playing, speed };
    const told = JSON.stringify([frame, frames, playing, speed, loop]);
    if (told === this.#told) return;
    this.#told = told;
    const seconds = `${(frame * this.dt).toFixed(2)} s`;
    this.#slider.value = frame;
    this.#slider.setAttribute("aria-valuetext", `frame ${frame + 1} of ${frames}, ${seconds}`);
    this.counter.textContent = `${frames ? frame + 1 : 0}/${frames} · ${seconds}`;
    const { toggle, loop: loops, speed: speeds } = this.#buttons;
    const label = playing ? "Pause" : "Play";
    if (toggle.getAttribute("aria-label") !== label) {
      toggle.replaceChildren(icon(playing ? ICONS.pause : ICONS.play));
      toggle.setAttribute("aria-label", label);
      toggle.title = label;
    }
    loops.setAttribute("aria-pressed", loop);
    speeds.value = speed;
    this.options.onframe(state);
  }
}
