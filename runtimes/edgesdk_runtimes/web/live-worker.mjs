// Crop, pre-process and embed one frame after the other, off the page's thread.
import { answers, Host, readBundle, repeated } from './bundle.mjs';
import { checkOutputs, checkPictures } from './golden.mjs';
import { configure, facts, openSession } from './engine.mjs';
import { align, fromImageData, TEMPLATES, toTensor } from './preprocess.mjs';

let open;

self.onmessage = async ({ data }) => {
  try {
    if (data.type === 'open') await start(data);
    else postMessage({ type: 'face', ...(await embed(data.image)) });
  } catch (error) {
    postMessage({ type: 'failed', stage: error.stage ?? 'run', reason: String(error.message ?? error) });
  }
};

async function start({ token, plan }) {
  configure(plan.threads);
  const bundle = await readBundle(new Host(token), plan.bundle.path);
  checkPictures(bundle);
  const session = await openSession(bundle.model);
  checkOutputs(bundle, await answers(bundle, session, bundle.golden.inputs));
  open = { bundle, session };
  postMessage({ type: 'ready', thresholds: bundle.manifest.thresholds, runtime: facts() });
}

/** Embed the face whose aligned square is the whole image. */
async function embed(image) {
  const begin = performance.now();
  const { manifest, golden } = open.bundle;
  const [input] = golden.inputs;
  const how = manifest.preprocess[input.name];
  const data = toTensor([cropped(fromImageData(image), how)], how);
  const one = { ...input, data, shape: [1, ...input.shape.slice(1)] };
  const found = await open.session.run(open.session.feed([repeated(one, manifest.inputs[0].shape[0] ?? 1)]));
  const embedding = Float32Array.from(found[golden.outputs[0].name].data).slice(0, manifest.postprocess.dim);
  return { embedding, ms: performance.now() - begin };
}

function cropped(picture, how) {
  if (!how.align) return picture;
  const scale = picture.width / 112;
  const points = TEMPLATES[how.align.template].map((point) => point.map((v) => (v + 0.5) * scale - 0.5));
  return align(picture, points, how.align, how.pad_value);
}
