// What a tracker does around its network: the numbers of edgesdk/track_steps.py, in JavaScript.
// A picture is {data, width, height}: data holds 8-bit R, G, B row by row. Boxes are x, y, width, height.

/** How scores of one frame become the next box, where a bundle says nothing else. */
export const POLICY = {
  window: 0.455, penalty: 0.055, rate: 0.37, motion: 0, still: 0, look: 0, lost: 0.1, patience: 5, update: 0, sure: 0.8,
};
const CONTEXT = 0.5;
// Weights of a resized pixel are whole numbers of 1 / 2^22, as Pillow's are.
const BITS = 22;

/** The side of the square that holds the target and its surroundings, in pixels. */
export function targetSide([width, height]) {
  const margin = CONTEXT * (width + height);
  return Math.sqrt((width + margin) * (height + margin));
}

/** A square of a picture as the network's input, float32 [3, size, size] of 0..255; outside lies the mean colour. */
export function crop(picture, [x, y], side, size) {
  const reach = Math.max(side / size, 1) + 1;
  const [left, top] = [x - side / 2, y - side / 2];
  const low = [left, top].map((v) => Math.floor(v - reach));
  const high = [left, top].map((v) => Math.ceil(v + side + reach));
  const columns = bands(high[0] - low[0], left - low[0], left - low[0] + side, size);
  const rows = bands(high[1] - low[1], top - low[1], top - low[1] + side, size);
  const part = { low, width: high[0] - low[0], height: high[1] - low[1] };
  return squeeze(widths(picture, part, columns, size), rows, size);
}

/** Per pixel of the result the first source pixel and its weights: a triangle as wide as a pixel of the result. */
function bands(count, from, to, size) {
  [from, to] = [Math.fround(from), Math.fround(to)];
  const scale = Math.fround(to - from) / size;
  const support = Math.max(scale, 1);
  return Array.from({ length: size }, (_, i) => {
    const centre = from + (i + 0.5) * scale;
    const start = Math.max(Math.trunc(centre - support + 0.5), 0);
    const end = Math.min(Math.trunc(centre + support + 0.5), count);
    const weights = Array.from({ length: end - start }, (_, k) =>
      Math.max(1 - Math.abs((k + start - centre + 0.5) * (1 / support)), 0));
    const sum = weights.reduce((a, b) => a + b, 0);
    return { start, weights: Int32Array.from(weights, (w) => Math.trunc((w / sum) * 2 ** BITS + 0.5)) };
  });
}

/** Rows of the square, each resized to `size` pixels, 8-bit; outside the picture its mean colour. */
function widths(picture, { low, width, height }, columns, size) {
  const outside = meanColour(picture);
  const line = new Uint8Array(width * 3);
  const out = new Uint8Array(height * size * 3);
  for (let y = 0; y < height; y++) {
    readLine(picture, low, y, line, outside);
    for (let i = 0, o = y * size * 3; i < size; i++) {
      const { start, weights } = columns[i];
      for (let c = 0; c < 3; c++) {
        let sum = 2 ** (BITS - 1);
        for (let k = 0; k < weights.length; k++) sum += weights[k] * line[(start + k) * 3 + c];
        out[o++] = Math.min(sum >> BITS, 255);
      }
    }
  }
  return out;
}

/** Row `y` of the square whose corner is `low`. */
function readLine({ data, width, height }, low, y, line, outside) {
  const row = low[1] + y;
  for (let x = 0, o = 0; o < line.length; x++) {
    const column = low[0] + x;
    const inside = row >= 0 && row < height && column >= 0 && column < width;
    const at = (row * width + column) * 3;
    for (let c = 0; c < 3; c++) line[o++] = inside ? data[at + c] : outside[c];
  }
}

function squeeze(lines, rows, size) {
  const out = new Float32Array(3 * size * size);
  rows.forEach(({ start, weights }, y) => {
    for (let i = 0; i < size * 3; i++) {
      let sum = 2 ** (BITS - 1);
      for (let k = 0; k < weights.length; k++) sum += weights[k] * lines[(start + k) * size * 3 + i];
      out[(i % 3) * size * size + y * size + Math.floor(i / 3)] = Math.min(sum >> BITS, 255);
    }
  });
  return out;
}

/** The mean of every n-th pixel, whole numbers. */
function meanColour({ data, width, height }) {
  const [across, down] = [width, height].map((n) => Math.max(1, Math.floor(n / 64)));
  const sum = [0, 0, 0];
  let count = 0;
  for (let y = 0; y < height; y += down) {
    for (let x = 0; x < width; x += across, count++) {
      for (let c = 0; c < 3; c++) sum[c] += data[(y * width + x) * 3 + c];
    }
  }
  return sum.map((v) => Math.floor(v / count));
}

/** Boxes [x, y of the middle, width, height] of all cells, relative to the crop's middle, from distances [4, H, W]. */
export function boxesIn(distances, cells, stride) {
  const count = cells * cells;
  const place = (i) => (i - Math.floor(cells / 2)) * stride;
  return Array.from({ length: count }, (_, i) => {
    const [left, top, right, bottom] = [0, 1, 2, 3].map((k) => distances[k * count + i]);
    const [x, y] = [place(i % cells), place(Math.floor(i / cells))];
    return [x + (right - left) / 2, y + (bottom - top) / 2, left + right, top + bottom];
  });
}

/** A cosine window whose top lies at the crop's middle cell. */
export function cosineWindow(cells) {
  const line = Array.from({ length: cells }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / cells));
  return line.flatMap((a) => line.map((b) => a * b));
}

/** The cell to believe, and the share of its box's size to take over: {best, rate}. */
export function choose(scores, boxes, size, policy) {
  const worse = (ratio) => Math.max(ratio, 1 / ratio);
  const window = cosineWindow(Math.round(Math.sqrt(scores.length)));
  const [whole, shape] = [targetSide(size), size[0] / Math.max(size[1], 1e-3)];
  let [best, most, rate] = [0, -Infinity, 0];
  boxes.forEach((box, i) => {
    const sides = box.slice(2).map((v) => Math.max(v, 1e-3));
    const changed = worse(targetSide(sides) / whole) * worse(shape / (sides[0] / sides[1]));
    const kept = Math.exp(-(changed - 1) * policy.penalty) * scores[i];
    const told = kept * (1 - policy.window) + window[i] * policy.window;
    if (told > most) [best, most, rate] = [i, told, kept * policy.rate];
  });
  return { best, rate };
}
