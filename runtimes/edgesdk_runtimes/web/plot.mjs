// Every sample as a dot, its median as a line; all strips share one axis that starts at 0.
import { short, svg } from './dom.mjs';

const WIDTH = 340;
const HEIGHT = 30;
const AXIS = 22;
const DOTS = 160;

export function quantile(sorted, part) {
  const at = (sorted.length - 1) * part;
  const low = Math.floor(at);
  return sorted[low] + (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]) * (at - low);
}

/** The end of an axis for several series in ms: far outliers lie at its edge. */
export function axisEnd(series) {
  return 1.08 * Math.max(...series.map((values) => quantile([...values].sort((a, b) => a - b), 0.95)));
}

const xOf = (end) => (ms) => Math.min(ms / end, 1) * (WIDTH - 14) + 2;

/** One strip of samples in ms. */
export function strip(values, end) {
  const x = xOf(end);
  const median = quantile([...values].sort((a, b) => a - b), 0.5);
  const root = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: 'plot', role: 'img' });
  root.append(svg('title', {}, `${values.length} samples, median ${short(median)} ms`), ...grid(end, x));
  root.append(svg('rect', { x: x(0), y: 3, width: x(median) - x(0), height: HEIGHT - 6, rx: 3, class: 'bar' }));
  const every = Math.max(1, Math.ceil(values.length / DOTS));
  for (let i = 0; i < values.length; i += every) {
    const wobble = ((i / every) * 0.618034) % 1;
    root.append(svg('circle', { cx: x(values[i]), cy: 5 + (HEIGHT - 10) * wobble, r: 2, class: 'dot' }));
  }
  root.append(svg('line', { x1: x(median), x2: x(median), y1: 1, y2: HEIGHT - 1, class: 'median' }));
  return root;
}

function grid(end, x) {
  return ticks(end).map((ms) => svg('line', { x1: x(ms), x2: x(ms), y1: 0, y2: HEIGHT, class: 'rule' }));
}

/** The labels below the last strip. */
export function axis(end) {
  const x = xOf(end);
  const marks = ticks(end);
  const digits = Math.max(0, -Math.floor(Math.log10(marks[1] - marks[0])));
  const root = svg('svg', { viewBox: `0 0 ${WIDTH} ${AXIS}`, class: 'plot axis', 'aria-hidden': 'true' });
  marks.forEach((ms, i) => {
    const last = i === marks.length - 1;
    const place = { x: x(ms), y: 15, 'text-anchor': i === 0 ? 'start' : last ? 'end' : 'middle' };
    root.append(svg('text', place, `${ms.toFixed(digits)}${last ? ' ms' : ''}`));
  });
  return root;
}

function ticks(end) {
  const step = niceStep(end / 5);
  return Array.from({ length: Math.floor(end / step) + 1 }, (_, i) => i * step);
}

function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
}
