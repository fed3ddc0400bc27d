// Follow one target from frame to frame, off the page's thread.
import { Host } from './bundle.mjs';
import { configure, facts } from './engine.mjs';
import { openChecked } from './model.mjs';
import { fromImageData } from './preprocess.mjs';
import { Follower } from './track.mjs';

let follower;
// One after the other: what a box begins must not meet the end of the frame before.
let last = Promise.resolve();

self.onmessage = ({ data }) => { last = last.then(() => work(data)); };

async function work(data) {
  try {
    if (data.type === 'open') await open(data);
    else postMessage({ type: 'seen', ...(await follow(data)) });
  } catch (error) {
    postMessage({ type: 'failed', stage: error.stage ?? 'run', reason: String(error.message ?? error) });
  }
}

async function open({ token, plan }) {
  configure(plan.threads);
  const { bundle, session } = await openChecked(new Host(token), plan.bundle);
  follower = new Follower((inputs) => session.run(session.feed(inputs)), bundle.manifest);
  postMessage({ type: 'ready', runtime: facts() });
}

/** Begin with the box of a frame, or find the target in the next one. */
async function follow({ type, image, box, text, round }) {
  const begin = performance.now();
  const picture = fromImageData(image);
  const found = type === 'start' ? await follower.start(picture, box, text) : await follower.update(picture);
  return { found, round, ms: performance.now() - begin };
}
