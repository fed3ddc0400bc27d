// The tracking page: a box drawn by finger or mouse, and where its target went. Frames go to the worker and nowhere else.
import { Host } from './bundle.mjs';
import { fail, failed, nextFrame, rate, recent, startCamera } from './camera.mjs';
import { byId, fromFragment, keepAwake, short, show, svg } from './dom.mjs';
import { quantile } from './plot.mjs';

const SHOW_MS = 200;
const SMALLEST = 8; // pixels of the camera's picture: a tap draws no box

const video = byId('video');
const stage = byId('stage');
const canvas = document.createElement('canvas');
const context = canvas.getContext('2d', { willReadFrequently: true });
// round: number of the target; what an earlier one still answers counts no more. from: where a box begins to be drawn.
// sent: frames that the worker has not answered yet.
const state = { round: 0, following: false, from: null, sent: [], frames: [], costs: [], shown: 0 };
const mark = svg('rect', { class: 'found', visibility: 'hidden' });
const worker = new Worker('track-worker.mjs', { type: 'module' });

main().catch((error) => fail(video, 'This page cannot start', String(error.message ?? error), 'Open the whole link that the computer printed, also what stands behind the #.'));

async function main() {
  const { token, start } = fromFragment();
  if (!token) throw new Error('The link lacks its token.');
  const plan = await new Host(token).json('plan.json');
  worker.onmessage = ({ data }) => ({ ready, seen, failed: (why) => failed(video, why) })[data.type](data);
  worker.onerror = (event) => failed(video, { reason: event.message || 'the worker could not start' });
  worker.postMessage({ type: 'open', token, plan });
  byId('camera').addEventListener('click', camera);
  byId('say').addEventListener('submit', letGo);
  for (const [name, act] of Object.entries({ pointerdown: begin, pointermove: drag, pointerup: end, pointercancel: cancel })) {
    stage.addEventListener(name, act);
  }
  byId('guide').append(mark);

  function ready() {
    byId('lead').textContent = `${plan.bundle.name}: its golden vectors are right on this device.`;
    document.querySelector('main').dataset.state = 'ready';
    show('ready');
    if (start) camera();
  }
}

async function camera() {
  try {
    await startCamera(video, { facingMode: 'environment', width: { ideal: 640 }, height: { ideal: 480 } });
  } catch (error) {
    fail(video, 'No camera', error.message, 'Allow the camera for this page and load it again.');
    return;
  }
  show('ready', false);
  show('live');
  tell('Draw a box around it', 'With a finger or the mouse; the picture stands still meanwhile.');
  document.querySelector('main').dataset.state = 'live';
  keepAwake();
  nextFrame(video, onFrame);
}

function onFrame() {
  nextFrame(video, onFrame);
  fit();
  const frame = { at: performance.now(), done: false };
  state.frames.push(frame);
  if (state.following && !state.sent.length && !state.from) ask('frame', frame);
  if (frame.at - state.shown > SHOW_MS) showRates(frame.at);
}

/** The stage has the shape of the camera's picture, and the guide its pixels: a phone may be turned. */
function fit() {
  if (canvas.width === video.videoWidth && canvas.height === video.videoHeight) return;
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  stage.style.aspectRatio = `${canvas.width} / ${canvas.height}`;
  byId('guide').setAttribute('viewBox', `0 0 ${canvas.width} ${canvas.height}`);
}

/** Send the picture that is shown to the worker. */
function ask(type, frame, more = {}) {
  state.sent.push(frame);
  frame.done = null;
  context.drawImage(video, 0, 0, canvas.width, canvas.height);
  const image = context.getImageData(0, 0, canvas.width, canvas.height);
  worker.postMessage({ type, image, round: state.round, ...more }, [image.data.buffer]);
}

/** Where a finger or the mouse is, in pixels of the camera's picture. */
function place({ clientX, clientY }) {
  const { left, top, width, height } = stage.getBoundingClientRect();
  const within = (value, most) => Math.min(Math.max(value, 0), most);
  return [within(((clientX - left) / width) * canvas.width, canvas.width), within(((clientY - top) / height) * canvas.height, canvas.height)];
}

/** The picture stands still while a box is drawn, so that the box is of what is seen. */
function begin(event) {
  if (!canvas.width) return;
  event.preventDefault();
  stage.setPointerCapture(event.pointerId);
  video.pause();
  state.from = place(event);
  mark.classList.remove('known');
  draw([...state.from, 0, 0]);
}

function drag(event) {
  if (state.from) draw(between(state.from, place(event)));
}

function end(event) {
  if (!state.from) return;
  const box = between(state.from, place(event));
  if (Math.min(box[2], box[3]) < SMALLEST) {
    cancel();
    return;
  }
  state.from = null;
  Object.assign(state, { round: state.round + 1, following: true, costs: [] });
  const frame = { at: performance.now(), done: false };
  ask('start', frame, { box, text: byId('text').value });
  byId('drop').disabled = false;
  video.play();
}

/** A tap, or a finger that the system took away: what was followed is followed on. */
function cancel() {
  state.from = null;
  mark.setAttribute('visibility', 'hidden');
  video.play();
}

function between([ax, ay], [bx, by]) {
  return [Math.min(ax, bx), Math.min(ay, by), Math.abs(ax - bx), Math.abs(ay - by)];
}

function letGo(event) {
  event.preventDefault();
  Object.assign(state, { round: state.round + 1, following: false });
  byId('drop').disabled = true;
  mark.setAttribute('visibility', 'hidden');
  tell('Draw a box around it', '');
  level(0, false);
}

/** What the worker found in a frame. */
function seen({ found, round, ms }) {
  state.sent.shift().done = true;
  if (round !== state.round || !state.following) return;
  state.costs.push(ms);
  if (!state.from) draw(found.box);
  mark.classList.toggle('known', !found.lost);
  level(found.score, !found.lost);
  const where = found.box.map((v) => v.toFixed(0)).join(', ');
  tell(found.lost ? 'Lost; looking for it' : 'Following', `score ${found.score.toFixed(2)}, box ${where}`);
}

function draw(box) {
  for (const [name, value] of Object.entries({ x: box[0], y: box[1], width: box[2], height: box[3] })) mark.setAttribute(name, value);
  mark.setAttribute('visibility', 'visible');
}

function tell(name, told) {
  byId('name').textContent = name;
  byId('told').textContent = told;
}

function level(score, known) {
  byId('level').style.transform = `scaleX(${score})`;
  byId('level').classList.toggle('known', known);
}

/** Both rates are of the same frames, so that no more are followed than seen. */
function showRates(now) {
  state.shown = now;
  state.frames = recent(state.frames, now);
  const known = state.frames.filter(({ done }) => done !== null);
  state.costs = state.costs.slice(-50);
  byId('fps').textContent = rate(known, () => true);
  byId('rate').textContent = rate(known, ({ done }) => done);
  byId('cost').textContent = state.costs.length ? short(quantile([...state.costs].sort((a, b) => a - b), 0.5)) : '–';
}
