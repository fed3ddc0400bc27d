// From the maps of a face detector to faces: the numbers of edgesdk/boxes.py, in JavaScript.
import { resize } from './preprocess.mjs';

const STRIDES = [8, 16, 32];
const SURE = 0.8;
// Larger faces than e^LARGEST cells are none.
const LARGEST = 6;

/**
 * The faces {box, points, score} of one picture from `least` on, surest first; box is x, y, width, height.
 * `maps` holds score_S (logits), box_S and points_S for each stride S as {data, dims: [N, channels, rows, columns]}.
 */
export function decode(maps, least) {
  return STRIDES.flatMap((stride) => cells(stride, maps, least)).sort((a, b) => b.score - a.score);
}

function cells(stride, maps, least) {
  const [score, box, points] = ['score', 'box', 'points'].map((head) => maps[`${head}_${stride}`]);
  const [, , rows, columns] = score.dims;
  const count = rows * columns;
  const found = [];
  for (let cell = 0; cell < count; cell++) {
    const chance = 1 / (1 + Math.exp(-Math.min(Math.max(score.data[cell], -50), 50)));
    if (!(chance >= least)) continue;
    const corner = [cell % columns, Math.floor(cell / columns)];
    const at = (map, channel, axis) => (corner[axis] + map.data[channel * count + cell]) * stride;
    const [width, height] = [2, 3].map((k) => Math.exp(Math.min(box.data[k * count + cell], LARGEST)) * stride);
    found.push({
      box: [at(box, 0, 0) - width / 2, at(box, 1, 1) - height / 2, width, height],
      points: [0, 2, 4, 6, 8].map((k) => [at(points, k, 0), at(points, k + 1, 1)]),
      score: chance,
    });
  }
  return found;
}

/** Of sorted faces whose intersection over union is above `overlap`, the surest. */
export function suppress(faces, overlap) {
  const kept = [];
  for (const face of faces) {
    if (kept.every((better) => common(better.box, face.box) <= overlap)) kept.push(face);
  }
  return kept;
}

function common([ax, ay, aw, ah], [bx, by, bw, bh]) {
  const wide = Math.max(Math.min(ax + aw, bx + bw) - Math.max(ax, bx), 0);
  const high = Math.max(Math.min(ay + ah, by + bh) - Math.max(ay, by), 0);
  return (wide * high) / (aw * ah + bw * bh - wide * high);
}

/** A picture shrunk into the upper left of a black square, `part` of its side long; `factor` leads back. */
export function placed(picture, side, part) {
  const long = Math.round(side * part);
  const factor = Math.max(picture.width, picture.height) / long;
  const [height, width] = [picture.height, picture.width].map((n) => Math.max(1, Math.round(n / factor)));
  const small = resize(picture, [height, width]);
  const data = new Uint8Array(side * side * 3);
  for (let y = 0; y < height; y++) {
    for (let i = 0; i < width * 3; i++) data[y * side * 3 + i] = Math.round(small[y * width * 3 + i]);
  }
  return { square: { data, width: side, height: side }, factor };
}

/**
 * The surest face of a picture, in its own pixels; null for none. At half the size first, where a face that fills
 * the picture is seen; `look` gives the maps of a square of `side`, `told` is the bundle's postprocess.
 */
export async function surest(picture, side, look, { score, overlap, sure = SURE }) {
  let best = null;
  for (const part of [0.5, 1]) {
    const { square, factor } = placed(picture, side, part);
    const [found] = suppress(decode(await look(square), score), overlap);
    if (found && found.score > (best?.score ?? 0)) best = scaled(found, factor);
    if (best && best.score >= sure) break;
  }
  return best;
}

function scaled({ box, points, score }, factor) {
  return { box: box.map((v) => v * factor), points: points.map((p) => p.map((v) => v * factor)), score };
}
