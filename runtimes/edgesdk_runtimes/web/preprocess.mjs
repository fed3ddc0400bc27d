// From an RGB picture to an input tensor: the numbers of edgesdk/core/preprocess.py, in JavaScript.
// A picture is {data, width, height}: data holds 8-bit R, G, B row by row.

// Eyes, nose, mouth corners in a 112x112 crop, picture's left first.
export const TEMPLATES = {
  arcface: [
    [38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041],
  ],
};
const CUBIC = -0.5;

/** Drop the alpha channel of an ImageData. */
export function fromImageData({ data, width, height }) {
  const rgb = new Uint8Array(width * height * 3);
  for (let i = 0, o = 0; i < data.length; i += 4) {
    rgb[o++] = data[i];
    rgb[o++] = data[i + 1];
    rgb[o++] = data[i + 2];
  }
  return { data: rgb, width, height };
}

/** Weights that resize one axis: per target pixel the first source pixel and its weights. */
export function resizeBands(source, target) {
  return Array.from({ length: target }, (_, i) =>
    normalised(source >= target ? area(i, source, target) : cubic(i, source, target)));
}

function normalised({ start, weights }) {
  const sum = weights.reduce((a, b) => a + b, 0);
  return { start, weights: Float32Array.from(weights, (w) => w / sum) };
}

/** A pixel that shrinks averages the exact area it covers. */
function area(i, source, target) {
  const low = i * (source / target);
  const high = (i + 1) * (source / target);
  const start = Math.floor(low);
  const weights = [];
  for (let cell = start; cell < Math.min(source, Math.ceil(high)); cell++) {
    weights.push(Math.max(0, Math.min(cell + 1, high) - Math.max(cell, low)));
  }
  return { start, weights };
}

/** A pixel that grows takes four neighbours by a Catmull-Rom cubic; the border repeats. */
function cubic(i, source, target) {
  const centre = (i + 0.5) * (source / target) - 0.5;
  const floor = Math.floor(centre);
  const inside = (index) => Math.min(Math.max(index, 0), source - 1);
  const start = inside(floor - 1);
  const weights = new Array(inside(floor + 2) - start + 1).fill(0);
  for (let tap = -1; tap < 3; tap++) {
    weights[inside(floor + tap) - start] += cubicWeight(Math.abs(centre - floor - tap));
  }
  return { start, weights };
}

function cubicWeight(d) {
  if (d <= 1) return ((CUBIC + 2) * d - (CUBIC + 3)) * d ** 2 + 1;
  return d < 2 ? CUBIC * (((d - 5) * d + 8) * d - 4) : 0;
}

/** Resize to [height, width]; returns float32 R, G, B row by row on the scale 0..255. */
export function resize(picture, [height, width]) {
  const { data, width: wide, height: tall } = picture;
  const line = wide * 3;
  const squeezed = new Float32Array(height * line);
  resizeBands(tall, height).forEach(({ start, weights }, y) => {
    for (let x = 0; x < line; x++) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k] * data[(start + k) * line + x];
      squeezed[y * line + x] = sum;
    }
  });
  return squeezeRows(squeezed, height, line, resizeBands(wide, width));
}

function squeezeRows(rows, height, line, bands) {
  const out = new Float32Array(height * bands.length * 3);
  let o = 0;
  for (let y = 0; y < height; y++) {
    for (const { start, weights } of bands) {
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++) sum += weights[k] * rows[y * line + (start + k) * 3 + c];
        out[o++] = Math.min(Math.max(sum, 0), 255);
      }
    }
  }
  return out;
}

/** The input tensor of a batch, flat float32 in the layout that `how` (bundle.json) asks for. */
export function toTensor(pictures, how) {
  const [height, width] = how.size;
  const pixels = height * width;
  const out = new Float32Array(pictures.length * pixels * 3);
  pictures.forEach((picture, n) => {
    const rgb = resize(picture, how.size);
    for (let c = 0; c < 3; c++) {
      const from = how.color === 'BGR' ? 2 - c : c;
      const [mean, std] = [Math.fround(how.mean[c]), Math.fround(how.std[c])];
      for (let p = 0; p < pixels; p++) {
        const at = how.layout === 'NCHW' ? (n * 3 + c) * pixels + p : (n * pixels + p) * 3 + c;
        out[at] = (rgb[p * 3 + from] - mean) / std;
      }
    }
  });
  return out;
}

/** The similarity [a, b, tx, ty] that maps points onto a template: x' = ax - by + tx, y' = bx + ay + ty. */
export function similarity(points, template) {
  const [ms, mt] = [points, template].map(mean);
  let [spread, a, b] = [0, 0, 0];
  points.forEach(([x, y], i) => {
    const [sx, sy, tx, ty] = [x - ms[0], y - ms[1], template[i][0] - mt[0], template[i][1] - mt[1]];
    spread += sx * sx + sy * sy;
    a += sx * tx + sy * ty;
    b += sx * ty - sy * tx;
  });
  if (!(spread >= 1e-9)) throw new Error('the face points coincide or are not finite');
  [a, b] = [a / spread, b / spread];
  return [a, b, mt[0] - a * ms[0] + b * ms[1], mt[1] - b * ms[0] - a * ms[1]];
}

function mean(points) {
  return [0, 1].map((k) => points.reduce((sum, p) => sum + p[k], 0) / points.length);
}

/** Cut an aligned square crop out of a picture; larger faces are averaged over a grid of samples. */
export function align(picture, points, { template, size }, padValue = 0) {
  const target = TEMPLATES[template].map((p) => p.map((v) => v * (size / 112)));
  const [a, b, tx, ty] = similarity(points, target);
  const square = a * a + b * b;
  const grid = Math.min(Math.max(Math.ceil(1 / Math.sqrt(square)), 1), 16);
  const pad = Math.trunc(padValue);
  const data = new Uint8Array(size * size * 3);
  const sum = new Float64Array(3);
  for (let v = 0, o = 0; v < size; v++) {
    for (let u = 0; u < size; u++) {
      sum.fill(0);
      for (let k = 0; k < grid * grid; k++) {
        const x = u + ((k % grid) + 0.5) / grid - 0.5 - tx;
        const y = v + (Math.floor(k / grid) + 0.5) / grid - 0.5 - ty;
        addSample(picture, (a * x + b * y) / square, (a * y - b * x) / square, pad, sum);
      }
      for (let c = 0; c < 3; c++) data[o++] = Math.min(Math.max(halfEven(sum[c] / (grid * grid)), 0), 255);
    }
  }
  return { data, width: size, height: size };
}

/** Add the bilinear sample at x, y to `sum`; outside the picture lies the pad value. */
function addSample({ data, width, height }, x, y, pad, sum) {
  const px = Math.min(Math.max(x, -1), width + 1 - 1.001);
  const py = Math.min(Math.max(y, -1), height + 1 - 1.001);
  const left = Math.floor(px);
  const top = Math.floor(py);
  for (let corner = 0; corner < 4; corner++) {
    const right = corner & 1;
    const lower = corner >> 1;
    const weight = (right ? px - left : 1 - px + left) * (lower ? py - top : 1 - py + top);
    const column = left + right;
    const row = top + lower;
    const inside = column >= 0 && column < width && row >= 0 && row < height;
    const at = (row * width + column) * 3;
    sum[0] += weight * (inside ? data[at] : pad);
    sum[1] += weight * (inside ? data[at + 1] : pad);
    sum[2] += weight * (inside ? data[at + 2] : pad);
  }
}

/** The nearest whole number, of two the even one, as numpy rounds. */
export function halfEven(value) {
  const floor = Math.floor(value);
  const rest = value - floor;
  return floor + (rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? 1 : 0);
}
