// The live page: camera, guide, enrolment and two separate rates. Frames go to the worker and nowhere else.
import { Host } from './bundle.mjs';
import { byId, element, fromFragment, keepAwake, short, show, svg } from './dom.mjs';
import { Gallery } from './gallery.mjs';
import { quantile } from './plot.mjs';

// The aligned square inside the square view, in parts of its side, and the oval in parts of that square.
const SQUARE = { left: 0.14, top: 0.1, side: 0.72 };
const OVAL = { x: 0.5, y: 0.6, rx: 0.335, ry: 0.455 };
const EYES = 0.46;
const FAR = 'far_1e-2';
const ENROL_FRAMES = 8;
const SHOW_MS = 200;
const WINDOW_MS = 2000;

const gallery = new Gallery();
const video = byId('video');
const canvas = document.createElement('canvas');
const context = canvas.getContext('2d', { willReadFrequently: true });
const state = { busy: false, threshold: null, enrolling: null, frames: [], faces: [], costs: [], shown: 0 };
const worker = new Worker('live-worker.mjs', { type: 'module' });

main().catch((error) => fail('This page cannot start', String(error.message ?? error), 'Open the whole link that the computer printed, also what stands behind the #.'));

async function main() {
  const { token, start } = fromFragment();
  if (!token) throw new Error('The link lacks its token.');
  const plan = await new Host(token).json('plan.json');
  worker.onmessage = ({ data }) => ({ ready, face, failed })[data.type](data);
  worker.onerror = (event) => failed({ reason: event.message || 'the worker could not start' });
  worker.postMessage({ type: 'open', token, plan });
  byId('camera').addEventListener('click', camera);
  byId('enrol').addEventListener('submit', enrol);
  drawGuide();

  function ready({ thresholds }) {
    state.threshold = thresholds[FAR]?.value ?? null;
    byId('lead').textContent = `${plan.bundle.name}: its golden vectors are right on this device.`;
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

function failed({ stage, reason }) {
  fail(stage && stage !== 'run' ? `Wrong numbers, stage: ${stage}` : 'The model could not be run', reason, 'Export the bundle again, or try another browser.');
}

function fail(title, reason, advice) {
  byId('failure-title').textContent = title;
  byId('failure-reason').textContent = reason;
  byId('failure-advice').textContent = advice;
  byId('lead').textContent = '';
  document.querySelector('main').dataset.state = 'failed';
  for (const id of ['ready', 'live']) show(id, false);
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  show('failure');
}

async function camera() {
  try {
    const wanted = { facingMode: 'user', width: { ideal: 640 }, height: { ideal: 640 } };
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
    await video.play();
  } catch (error) {
    const reason = navigator.mediaDevices ? String(error.message ?? error) : 'A browser gives a camera to secure pages only.';
    fail('No camera', reason, 'Allow the camera for this page and load it again.');
    return;
  }
  show('ready', false);
  show('live');
  document.querySelector('main').dataset.state = 'live';
  keepAwake();
  nextFrame();
}

/** Call `onFrame` for each new picture of the camera. */
function nextFrame() {
  if (video.requestVideoFrameCallback) {
    video.requestVideoFrameCallback(onFrame);
    return;
  }
  const before = video.currentTime;
  const look = () => (video.currentTime === before ? requestAnimationFrame(look) : onFrame());
  requestAnimationFrame(look);
}

function onFrame() {
  state.frames.push(performance.now());
  if (!state.busy && video.videoWidth) {
    state.busy = true;
    const image = grab();
    worker.postMessage({ type: 'frame', image }, [image.data.buffer]);
  }
  nextFrame();
}

/** The pixels of the aligned square, unscaled and not mirrored. */
function grab() {
  const view = Math.min(video.videoWidth, video.videoHeight);
  const side = Math.round(SQUARE.side * view);
  const left = Math.round((video.videoWidth - view) / 2 + SQUARE.left * view);
  const top = Math.round((video.videoHeight - view) / 2 + SQUARE.top * view);
  [canvas.width, canvas.height] = [side, side];
  context.drawImage(video, left, top, side, side, 0, 0, side, side);
  return context.getImageData(0, 0, side, side);
}

function face({ embedding, ms }) {
  state.busy = false;
  const now = performance.now();
  state.faces.push(now);
  state.costs.push(ms);
  if (state.enrolling) collect(embedding);
  if (now - state.shown > SHOW_MS) {
    state.shown = now;
    showMatch(embedding);
    showRates(now);
  }
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

function showMatch(embedding) {
  const best = gallery.nearest(embedding);
  const known = best !== null && state.threshold !== null && best.similarity >= state.threshold;
  byId('name').textContent = best === null ? 'Nobody enrolled yet' : known ? best.name : 'Unknown';
  byId('cosine').textContent = best === null ? '' : `${known ? '' : `nearest ${best.name}, `}cosine ${best.similarity.toFixed(2)}`;
  byId('level').style.transform = `scaleX(${best === null ? 0 : Math.min(Math.max(best.similarity, 0), 1)})`;
  byId('level').classList.toggle('known', known);
  document.querySelector('#guide .oval').classList.toggle('known', known);
  show('threshold', best !== null && state.threshold !== null);
  if (state.threshold !== null) byId('threshold').style.left = `${100 * state.threshold}%`;
}

function showRates(now) {
  for (const key of ['frames', 'faces']) state[key] = state[key].filter((time) => now - time < WINDOW_MS);
  state.costs = state.costs.slice(-50);
  byId('fps').textContent = rate(state.frames);
  byId('rate').textContent = rate(state.faces);
  byId('cost').textContent = short(quantile([...state.costs].sort((a, b) => a - b), 0.5));
}

/** Events per second between the first and the last of a moment. */
function rate(times) {
  const span = times.at(-1) - times[0];
  return times.length > 1 && span > 0 ? Math.round(((times.length - 1) * 1000) / span) : 0;
}

function drawGuide() {
  const { left, top, side } = SQUARE;
  const at = (x, y) => [100 * (left + x * side), 100 * (top + y * side)];
  const [cx, cy] = at(OVAL.x, OVAL.y);
  const [rx, ry] = [100 * OVAL.rx * side, 100 * OVAL.ry * side];
  const hole = `M0 0H100V100H0Z M${cx - rx} ${cy}a${rx} ${ry} 0 1 0 ${2 * rx} 0a${rx} ${ry} 0 1 0 ${-2 * rx} 0Z`;
  const eyes = [OVAL.x - OVAL.rx, OVAL.x + OVAL.rx].map((x, i) => {
    const [ex, ey] = at(x, EYES);
    return svg('line', { x1: ex + (i ? 1.5 : -4.5), x2: ex + (i ? 4.5 : -1.5), y1: ey, y2: ey, class: 'oval' });
  });
  byId('guide').append(
    svg('path', { d: hole, class: 'shade', 'fill-rule': 'evenodd' }),
    svg('ellipse', { cx, cy, rx, ry, class: 'oval' }), ...eyes);
}
