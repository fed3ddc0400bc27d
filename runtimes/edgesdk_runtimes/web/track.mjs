// The state of one target: the steps of edgesdk/track.py, in JavaScript. The graph keeps nothing.
import { halfEven } from './preprocess.mjs';
import { POLICY, boxesIn, choose, crop, targetSide } from './track-steps.mjs';
import { sentenceFeatures } from './words.mjs';

const AROUND = 0.35;
const SMALLEST = 4;
const TILES = 2;

export class Follower {
  /** `run` takes and gives {name: {data, dims}} of a batch of one; `manifest` is the bundle's. */
  constructor(run, manifest) {
    const shape = Object.fromEntries(manifest.inputs.map((input) => [input.name, [1, ...input.shape.slice(1)]]));
    const { policy = {}, stride = 16 } = manifest.postprocess;
    Object.assign(this, { run, shape, stride, policy: { ...POLICY, ...policy }, size: shape.image[2] });
    // What the memory holds is target and surroundings; the crop is that much larger.
    this.wide = this.size / (shape.memory[2] * stride);
  }

  /** Whether the target has not been seen for some frames. */
  get lost() {
    return this.misses > this.policy.patience;
  }

  /** Remember what `box` shows of a picture, and what a sentence says of it. */
  async start(picture, box, text = '') {
    const [x, y, width, height] = box;
    Object.assign(this, { box, centre: [x + width / 2, y + height / 2], sides: [width, height] });
    Object.assign(this, { speed: [0, 0], misses: 0, tile: 0 });
    this.text = sentenceFeatures(text, ...this.shape.text.slice(1));
    this.memory = new Float32Array(this.shape.memory.reduce((a, b) => a * b));
    const { features } = await this.look(picture, this.centre, this.side());
    this.memory = this.middle(features);
    return { box, score: 1, lost: false };
  }

  /** Find it in the next picture: {box, score, lost}. */
  async update(picture) {
    const side = this.side();
    const awaited = this.awaited(side);
    let found = await this.find(picture, awaited, side);
    for (const square of this.more(awaited, side, found.score, picture)) {
      const other = await this.find(picture, square, side);
      if (other.score > found.score) found = other;
    }
    if (found.score < this.policy.lost) return this.missed(found.score);
    this.take(found, [picture.width, picture.height]);
    if (this.policy.update && found.score >= this.policy.sure) this.remember(found.answer, awaited, side);
    return { box: this.box, score: found.score, lost: false };
  }

  /** The side of the crop in pixels of the picture. */
  side() {
    return this.wide * targetSide(this.sides);
  }

  /** Where the target's middle is awaited; short steps are but a box that trembles. */
  awaited(side) {
    const far = Math.max(...this.speed.map(Math.abs)) > this.policy.still * side;
    return this.centre.map((v, k) => v + (far ? this.policy.motion : 0) * this.speed[k]);
  }

  /** The middles of further squares to look at, none where the first one is sure. */
  more(awaited, side, score, picture) {
    if (this.lost) return this.nextTiles(picture, side);
    if (score >= this.policy.look) return [];
    const corners = [[-1, -1], [1, -1], [-1, 1], [1, 1]];
    const around = corners.map((corner) => awaited.map((v, k) => v + AROUND * side * corner[k]));
    return [awaited.map((v, k) => v + this.speed[k]), ...around];
  }

  /** What one crop tells: middle, sides, score, share of the size to take over. */
  async find(picture, at, side) {
    const answer = await this.look(picture, at, side);
    const scale = this.size / side;
    const scores = answer.score.data;
    const boxes = boxesIn(answer.box.data, answer.box.dims[3], this.stride);
    const { best, rate } = choose(scores, boxes, this.sides.map((v) => v * scale), this.policy);
    const [x, y, width, height] = boxes[best].map((v) => v / scale);
    return { centre: [at[0] + x, at[1] + y], sides: [width, height], score: scores[best], rate, answer };
  }

  look(picture, at, side) {
    const given = { image: crop(picture, at, side, this.size), memory: this.memory, text: this.text };
    return this.run(Object.entries(given).map(([name, data]) => ({ name, data, shape: this.shape[name], dtype: 'float32' })));
  }

  take({ centre, sides, rate }, frame) {
    const within = (value, low, high) => Math.min(Math.max(value, low), high);
    const next = centre.map((v, k) => within(v, 0, frame[k]));
    this.speed = next.map((v, k) => (this.misses === 0 ? v - this.centre[k] : 0));
    this.sides = this.sides.map((v, k) => within(v * (1 - rate) + sides[k] * rate, SMALLEST, frame[k]));
    Object.assign(this, { centre: next, misses: 0 });
    this.box = [...next.map((v, k) => v - this.sides[k] / 2), ...this.sides];
  }

  missed(score) {
    this.misses += 1;
    this.speed = [0, 0];
    return { box: this.box, score, lost: this.lost };
  }

  /** The middle of the features, `shift` cells off. */
  middle({ data, dims }, shift = [0, 0]) {
    const [, channels, side] = this.shape.memory;
    const cells = dims[3];
    const skip = Math.floor((cells - side) / 2);
    const wrapped = (v) => ((v % cells) + cells) % cells;
    const out = new Float32Array(channels * side * side);
    for (let i = 0; i < out.length; i++) {
      const [x, y] = [(i % side) + skip + shift[0], (Math.floor(i / side) % side) + skip + shift[1]];
      out[i] = data[(Math.floor(i / side / side) * cells + wrapped(y)) * cells + wrapped(x)];
    }
    return out;
  }

  /** Mix the target's new features into the memory, from where it stands in the crop. */
  remember({ features }, awaited, side) {
    const shift = this.centre.map((v, k) => halfEven(((v - awaited[k]) * this.size) / side / this.stride));
    const part = this.policy.update;
    const seen = this.middle(features, shift);
    this.memory = this.memory.map((v, i) => (1 - part) * v + part * seen[i]);
  }

  /** The middles of the next few squares of a grid over the whole picture. */
  nextTiles({ width, height }, side) {
    const [columns, rows] = [width, height].map((n) => Math.max(1, halfEven((2 * n) / side)));
    const numbers = Array.from({ length: Math.min(TILES, columns * rows) }, (_, i) => (this.tile + i) % (columns * rows));
    this.tile += TILES;
    return numbers.map((n) => [((n % columns) + 0.5) * (width / columns), (Math.floor(n / columns) + 0.5) * (height / rows)]);
  }
}
