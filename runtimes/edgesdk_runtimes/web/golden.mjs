// Does this device give the bundle's numbers? One stage after the other, so that a fault has a name.
import { align, toTensor } from './preprocess.mjs';
import { picturesOf } from './bundle.mjs';

export class WrongNumbers extends Error {
  constructor(stage, reason) {
    super(reason);
    this.stage = stage;
  }
}

/** Check the stages before the network: the photo's crop, and the crop's tensor. */
export function checkPictures({ manifest, golden }) {
  for (const { picture, points, template, size, pad_value: pad, crop, max_abs: limit } of golden.align) {
    const [height, width] = picture.shape;
    const found = align({ data: picture.data, width, height }, points, { template, size }, pad).data;
    within('alignment', found, crop.data, limit, 'grey levels');
  }
  for (const { input, pictures, tensor, max_abs: limit } of golden.pre) {
    const found = toTensor(picturesOf(pictures), manifest.preprocess[input]);
    within('pre-processing', found, tensor.data, limit, `in the tensor ${input}`);
  }
}

function within(stage, found, wanted, limit, where) {
  if (found.length !== wanted.length) throw new WrongNumbers(stage, `${found.length} values, ${wanted.length} wanted`);
  let worst = 0;
  for (let i = 0; i < wanted.length; i++) worst = Math.max(worst, Math.abs(found[i] - wanted[i]));
  if (!(worst <= limit)) throw new WrongNumbers(stage, `largest difference ${short(worst)} ${where}, allowed ${short(limit)}`);
}

/** Check the network: the golden tensors must give the golden outputs. */
export function checkOutputs({ golden }, found) {
  for (const { name, data: wanted, shape } of golden.outputs) {
    const reason = broken(found[name] ?? [], wanted, shape[0], golden.tolerance);
    if (reason) throw new WrongNumbers('inference', `${name}: ${reason}`);
  }
}

function broken(found, wanted, items, tolerance) {
  if (found.length !== wanted.length) return `${found.length} values, ${wanted.length} wanted`;
  let [worst, far, signal, noise] = [0, 0, 0, 0];
  const most = wanted.reduce((top, value) => Math.max(top, Math.abs(value)), 0);
  const atol = tolerance.atol * Math.max(1, most);
  for (let i = 0; i < wanted.length; i++) {
    const error = Math.abs(found[i] - wanted[i]);
    if (!Number.isFinite(error)) return 'it holds NaN or infinity';
    worst = Math.max(worst, error);
    [signal, noise] = [signal + wanted[i] ** 2, noise + error ** 2];
    if (tolerance.atol != null && error > atol + tolerance.rtol * Math.abs(wanted[i])) far++;
  }
  const cosine = Math.min(...cosines(found, wanted, items));
  const decibel = noise === 0 ? 200 : 10 * Math.log10(Math.max(signal, 1e-300) / noise);
  if (far) return `${((100 * far) / wanted.length).toFixed(1)} % of the values differ, by up to ${short(worst)}`;
  if (over(worst, tolerance.relative_to_max, most)) return `largest difference ${short(worst)}`;
  if (under(cosine, tolerance.cosine_p1)) return `cosine ${cosine.toFixed(4)}, ${tolerance.cosine_p1} wanted`;
  if (under(decibel, tolerance.snr_db)) return `SNR ${decibel.toFixed(1)} dB, ${tolerance.snr_db} wanted`;
  return '';
}

const over = (value, part, most) => part != null && value > part * most;
const under = (value, least) => least != null && value < least;

function cosines(found, wanted, items) {
  const size = wanted.length / items;
  return Array.from({ length: items }, (_, i) => {
    let [ab, aa, bb] = [0, 0, 0];
    for (let k = i * size; k < (i + 1) * size; k++) {
      [ab, aa, bb] = [ab + found[k] * wanted[k], aa + found[k] ** 2, bb + wanted[k] ** 2];
    }
    return aa === 0 && bb === 0 ? 1 : ab / (Math.sqrt(aa * bb) || 1);
  });
}

const short = (value) => Number(value).toPrecision(3);
