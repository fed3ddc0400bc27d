// What the pages with a camera share: its picture, its pace, and the word when something fails.
import { byId, show } from './dom.mjs';

const WINDOW_MS = 2000;

/** Start the camera in `video`; throws what the page shall say. */
export async function startCamera(video, wanted) {
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
    await video.play();
  } catch (error) {
    throw new Error(navigator.mediaDevices ? String(error.message ?? error) : 'A browser gives a camera to secure pages only.');
  }
}

/** Call `onFrame` once, at the next new picture of the camera. */
export function nextFrame(video, onFrame) {
  if (video.requestVideoFrameCallback) {
    video.requestVideoFrameCallback(onFrame);
    return;
  }
  const before = video.currentTime;
  const look = () => (video.currentTime === before ? requestAnimationFrame(look) : onFrame());
  requestAnimationFrame(look);
}

/** Tell what failed, hide the rest and let the camera go. */
export function fail(video, title, reason, advice) {
  byId('failure-title').textContent = title;
  byId('failure-reason').textContent = reason;
  byId('failure-advice').textContent = advice;
  byId('lead').textContent = '';
  document.querySelector('main').dataset.state = 'failed';
  for (const id of ['ready', 'live']) show(id, false);
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  show('failure');
}

/** Tell what a worker failed at. */
export function failed(video, { stage, reason }) {
  const title = stage && stage !== 'run' ? `Wrong numbers, stage: ${stage}` : 'The model could not be run';
  fail(video, title, reason, 'Export the bundle again, or try another browser.');
}

/** Frames {at, done} of the last moment; `done` is null while it is not known. */
export function recent(frames, now) {
  return frames.filter(({ at, done }) => now - at < WINDOW_MS || done === null);
}

/** Frames per second that `counts`, between the first and the last of a moment. */
export function rate(frames, counts) {
  const span = frames.at(-1)?.at - frames[0]?.at;
  return span > 0 ? Math.round((frames.slice(1).filter(counts).length * 1000) / span) : 0;
}
