// The measurement, off the page's thread: golden vectors first, then times.
import { answers, Host, picturesOf, readBundle, repeated } from './bundle.mjs';
import { checkOutputs, checkPictures } from './golden.mjs';
import { configure, facts, openSession } from './engine.mjs';
import { interleaved, repeatFor, timed, timerStep, typical } from './clock.mjs';
import { toTensor } from './preprocess.mjs';

const PRE_SAMPLES = 30;

const tell = (type, more = {}) => postMessage({ type, ...more });
const step = (done, total, label) => tell('progress', { done, total, label });

self.onmessage = async ({ data: { token, plan } }) => {
  let where = {};
  try {
    configure(plan.threads);
    const opened = [];
    for (const [i, { name, path }] of plan.bundles.entries()) {
      where = { bundle: i };
      step(i, plan.bundles.length, `checking ${name}`);
      opened.push(await open(new Host(token), path));
    }
    where = {};
    const limits = { step: timerStep(), most: plan.samples_per_series };
    const measured = await measureAll(plan, opened, limits);
    const bundles = opened.map(({ report }) => report);
    tell('done', { report: { bundles, series: measured, runtime: facts(), timer_step_ms: limits.step } });
  } catch (error) {
    tell('failed', { ...where, stage: error.stage ?? 'run', reason: String(error.message ?? error) });
  }
};

/** Read, check and open one bundle; its report holds what the host wants to judge for itself. */
async function open(host, path) {
  const bundle = await readBundle(host, path);
  checkPictures(bundle);
  const begin = performance.now();
  const session = await openSession(bundle.model);
  const loaded = performance.now();
  await session.run(session.feed(bundle.golden.inputs.map((input) => repeated(input, bundle.manifest.inputs[0].shape[0] ?? 1))));
  const first = performance.now();
  const found = await answers(bundle, session, bundle.golden.inputs);
  checkOutputs(bundle, found);
  const report = {
    load_ns: nanoseconds(loaded - begin),
    first_ns: nanoseconds(first - loaded),
    outputs: encoded(bundle, found),
    embedding: await fromPictures(bundle, session),
    pre: await timePre(bundle),
  };
  return { bundle, session, report };
}

const nanoseconds = (ms) => Math.max(1, Math.round(ms * 1e6));

function encoded({ golden }, found) {
  return Object.fromEntries(golden.outputs.map(({ name }) => [name, base64(found[name])]));
}

/** The first output for the golden pictures, through this page's own pre-processing. */
async function fromPictures({ golden, manifest }, session) {
  if (golden.pre.length !== 1 || golden.inputs.length !== 1) return '';
  const [{ input, pictures }] = golden.pre;
  const [given] = golden.inputs;
  const data = toTensor(picturesOf(pictures), manifest.preprocess[input]);
  const found = await answers({ golden, manifest }, session, [{ ...given, data }]);
  return base64(found[golden.outputs[0].name]);
}

function base64(floats) {
  const bytes = new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

/** Times of one picture's pre-processing. */
async function timePre({ golden, manifest }) {
  if (!golden.pre.length) return null;
  const [{ input, pictures }] = golden.pre;
  const [picture] = picturesOf(pictures);
  const call = () => toTensor([picture], manifest.preprocess[input]);
  const repeat = repeatFor(await typical(call), timerStep(), 0, 1);
  const samples = [];
  for (let i = 0; i < PRE_SAMPLES; i++) samples.push(await timed(call, repeat));
  return { samples, repeat };
}

/** One interleaved run per plan and batch size; returns flat series in the host's order of jobs. */
async function measureAll(plan, opened, limits) {
  const runs = plan.plans.flatMap((one, p) =>
    [...new Set(one.sizes.flat())].sort((a, b) => a - b).map((size) => ({ one, p, size })));
  const found = [];
  for (const [r, { one, p, size }] of runs.entries()) {
    const taking = plan.bundles.map((_, b) => b).filter((b) => one.sizes[b].includes(size));
    const calls = taking.map((b) => [b, callOf(opened[b], size)]);
    const share = { ...one, duration_s: one.duration_s / Math.min(...taking.map((b) => one.sizes[b].length)) };
    const breathe = async (part) => {
      step(r * 1000 + Math.round(1000 * part), runs.length * 1000, `measuring, ${label(size)}`);
      await new Promise((resolve) => setTimeout(resolve));
    };
    for (const [b, { samples, warmups, repeat }] of await interleaved(calls, share, limits, breathe, r + 1)) {
      found.push({ bundle: b, plan: p, batch: size, samples, warmups, repeat });
    }
  }
  return found;
}

const label = (size) => (size === 1 ? 'one at a time' : `${size} at a time`);

function callOf({ bundle, session }, size) {
  const feed = session.feed(bundle.golden.inputs.map((input) => repeated(input, size)));
  return () => session.run(feed);
}
