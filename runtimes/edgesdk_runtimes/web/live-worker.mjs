// Find, crop, pre-process and embed one frame after the other, off the page's thread.
import { Host, repeated } from './bundle.mjs';
import { configure, facts } from './engine.mjs';
import { surest } from './faces.mjs';
import { openChecked } from './model.mjs';
import { align, fromImageData, toTensor } from './preprocess.mjs';

let embedder;
let detector;

self.onmessage = async ({ data }) => {
  try {
    if (data.type === 'open') await start(data);
    else postMessage({ type: 'seen', ...(await look(fromImageData(data.image))) });
  } catch (error) {
    postMessage({ type: 'failed', stage: error.stage ?? 'run', reason: String(error.message ?? error) });
  }
};

async function start({ token, plan }) {
  configure(plan.threads);
  const host = new Host(token);
  embedder = await openChecked(host, plan.bundle);
  detector = await openChecked(host, plan.detector);
  postMessage({ type: 'ready', thresholds: embedder.bundle.manifest.thresholds, runtime: facts() });
}

/** The surest face of a picture, and its embedding; null for none. */
async function look(picture) {
  const begin = performance.now();
  const face = await find(picture);
  if (!face) return { face: null };
  const { manifest, golden } = embedder.bundle;
  const how = manifest.preprocess[golden.inputs[0].name];
  const found = await run(embedder, how.align ? align(picture, face.points, how.align, how.pad_value) : picture);
  const embedding = Float32Array.from(found[golden.outputs[0].name].data).slice(0, manifest.postprocess.dim);
  return { face, embedding, ms: performance.now() - begin };
}

function find(picture) {
  const { manifest, golden } = detector.bundle;
  const [side] = manifest.preprocess[golden.inputs[0].name].size;
  return surest(picture, side, (square) => run(detector, square), manifest.postprocess);
}

/** A network's outputs of one picture. */
async function run({ bundle, session }, picture) {
  const [input] = bundle.golden.inputs;
  const data = toTensor([picture], bundle.manifest.preprocess[input.name]);
  const one = { ...input, data, shape: [1, ...input.shape.slice(1)] };
  return session.run(session.feed([repeated(one, bundle.manifest.inputs[0].shape[0] ?? 1)]));
}
