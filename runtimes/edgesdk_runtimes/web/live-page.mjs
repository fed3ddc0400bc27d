// The live page: camera, the face that was found, enrolment and two rates. Frames go to the worker and nowhere else.
import { Host } from './bundle.mjs';
import { fail, failed, nextFrame, rate, recent, startCamera } from './camera.mjs';
import { byId, element, fromFragment, keepAwake, short, show, svg } from './dom.mjs';
import { Gallery } from './gallery.mjs';
import { quantile } from './plot.mjs';

const FAR = 'far_1e-2';
const ENROL_FRAMES = 8;
const SHOW_MS = 200;

const gallery = new Gallery();
const video = byId('video');
const canvas = document.createElement('canvas');
const context = canvas.getContext('2d', { willReadFrequently: true });
// frames: of each picture of the camera when it came, and whether a face of it was embedded, null while it is not known.
const state = { looking: null, threshold: null, enrolling: null, frames: [], costs: [], shown: 0 };
const mark = svg('rect', { class: 'found', rx: 3 });
const worker = new Worker('live-worker.mjs', { type: 'module' });

main().catch((error) => fail(video, 'This page cannot start', String(error.message ?? error), 'Open the whole link that the computer printed, also what stands behind the #.'));

async function main() {
  const { token, start } = fromFragment();
  if (!token) throw new Error('The link lacks its token.');
  const plan = await new Host(token).json('plan.json');
  worker.onmessage = ({ data }) => ({ ready, seen, failed: (why) => failed(video, why) })[data.type](data);
  worker.onerror = (event) => failed(video, { reason: event.message || 'the worker could not start' });
  worker.postMessage({ type: 'open', token, plan });
  byId('camera').addEventListener('click', camera);
  byId('enrol').addEventListener('submit', enrol);
  byId('guide').append(mark);

  function ready({ thresholds }) {
    state.threshold = thresholds[FAR]?.value ?? null;
    byId('lead').textContent = `${plan.bundle.name} and ${plan.detector.name}: their golden vectors are right on this device.`;
    byId('rule').textContent = ruleText();
    document.querySelector('main').dataset.state = 'ready';
    show('ready');
    if (start) camera();
  }
}

function ruleText() {
  if (state.threshold === null) return 'The bundle stores no threshold, so nobody is decided.';
  return `Same person from ${state.threshold.toFixed(2)} on: the mark accepts 1 % of all pairs of different people.`;
}

async function camera() {
  try {
    await startCamera(video, { facingMode: 'user', width: { ideal: 640 }, height: { ideal: 640 } });
  } catch (error) {
    fail(video, 'No camera', error.message, 'Allow the camera for this page and load it again.');
    return;
  }
  show('ready', false);
  show('live');
  document.querySelector('main').dataset.state = 'live';
  keepAwake();
  nextFrame(video, onFrame);
}

function onFrame() {
  const frame = { at: performance.now(), done: false };
  state.frames.push(frame);
  if (!state.looking && video.videoWidth) {
    state.looking = frame;
    frame.done = null;
    const image = grab();
    worker.postMessage({ type: 'frame', image }, [image.data.buffer]);
  }
  nextFrame(video, onFrame);
}

/** The pixels of the square view, unscaled and not mirrored. */
function grab() {
  const view = Math.min(video.videoWidth, video.videoHeight);
  [canvas.width, canvas.height] = [view, view];
  context.drawImage(video, (video.videoWidth - view) / 2, (video.videoHeight - view) / 2, view, view, 0, 0, view, view);
  return context.getImageData(0, 0, view, view);
}

/** What the worker saw in a frame: the surest face and its embedding, or no face. */
function seen({ face, embedding, ms }) {
  state.looking.done = face !== null;
  state.looking = null;
  if (face) state.costs.push(ms);
  if (face && state.enrolling) collect(embedding);
  const now = performance.now();
  if (now - state.shown > SHOW_MS) {
    state.shown = now;
    showFace(face);
    showMatch(face ? gallery.nearest(embedding) : null, face !== null);
    showRates(now);
  }
}

/** Draw the box; the view is mirrored. */
function showFace(face) {
  show('guide', face !== null);
  if (!face) return;
  const [x, y, width, height] = face.box.map((v) => (100 * v) / canvas.width);
  for (const [name, value] of Object.entries({ x: 100 - x - width, y, width, height })) mark.setAttribute(name, value);
}

function collect(embedding) {
  state.enrolling.embeddings.push(embedding);
  if (state.enrolling.embeddings.length < ENROL_FRAMES) return;
  gallery.enrol(state.enrolling.name, state.enrolling.embeddings);
  state.enrolling = null;
  listPeople();
}

function enrol(event) {
  event.preventDefault();
  const name = byId('who').value.trim() || `Person ${gallery.people.length + 1}`;
  byId('who').value = '';
  state.enrolling = { name, embeddings: [] };
}

function listPeople() {
  byId('people').replaceChildren(...gallery.people.map(({ name }) => {
    const forget = element('button', 'quiet', 'Forget');
    forget.addEventListener('click', () => { gallery.forget(name); listPeople(); });
    return element('li', '', element('span', '', name), element('span', '', forget));
  }));
  show('people', gallery.people.length > 0);
}

function showMatch(best, face) {
  const known = best !== null && state.threshold !== null && best.similarity >= state.threshold;
  const nobody = gallery.people.length === 0 ? 'Nobody enrolled yet' : 'Unknown';
  byId('name').textContent = !face ? 'No face in sight' : known ? best.name : nobody;
  byId('cosine').textContent = best === null ? '' : `${known ? '' : `nearest ${best.name}, `}cosine ${best.similarity.toFixed(2)}`;
  byId('level').style.transform = `scaleX(${best === null ? 0 : Math.min(Math.max(best.similarity, 0), 1)})`;
  byId('level').classList.toggle('known', known);
  mark.classList.toggle('known', known);
  show('threshold', best !== null && state.threshold !== null);
  if (state.threshold !== null) byId('threshold').style.left = `${100 * state.threshold}%`;
}

/** Both rates are of the same frames, so that no more faces are told than frames. */
function showRates(now) {
  state.frames = recent(state.frames, now);
  const known = state.frames.filter(({ done }) => done !== null);
  state.costs = state.costs.slice(-50);
  byId('fps').textContent = rate(known, () => true);
  byId('rate').textContent = rate(known, ({ done }) => done);
  byId('cost').textContent = state.costs.length ? short(quantile([...state.costs].sort((a, b) => a - b), 0.5)) : '–';
}
