// The clock: contenders in turns, in a new random order each round; every sample is kept.
// The same procedure as the native benchmark, with samples long enough for the browser's timer.

const WARMUP_MS = 200;
const CALIBRATION_MS = 40;
const SLICE_MS = 20;
// A timer's step may be at most this part of a sample.
const STEP_PART = 1 / 200;

/** The smallest step of performance.now() seen here, in ms. */
export function timerStep(now = () => performance.now()) {
  let smallest = Infinity;
  for (let i = 0; i < 25; i++) {
    const begin = now();
    let end = begin;
    while (end === begin) end = now();
    smallest = Math.min(smallest, end - begin);
  }
  return smallest;
}

/** Nanoseconds per run of `repeat` runs in a row. */
export async function timed(call, repeat, now = () => performance.now()) {
  const begin = now();
  for (let i = 0; i < repeat; i++) await call();
  return Math.round(((now() - begin) * 1e6) / repeat);
}

/** Milliseconds of one run, from as many as fill a moment. */
export async function typical(call, now = () => performance.now()) {
  await call();
  const begin = now();
  let [runs, passed] = [0, 0];
  while (passed < CALIBRATION_MS) {
    await call();
    runs++;
    passed = now() - begin;
  }
  return passed / runs;
}

/** Runs that one sample averages: long against the timer's step, few enough samples to be sent. */
export function repeatFor(ms, step, durationS, most) {
  const sample = Math.max(step / STEP_PART, (durationS * 1000) / most);
  return Math.max(1, Math.ceil(sample / ms));
}

/**
 * Time contenders in turns, until each has its samples and its time.
 * calls: [name, async run][]; plan: {warmup, iterations, duration_s}; limits: {step, most};
 * breathe(part done, 0..1) is awaited between slices, never inside a sample.
 */
export async function interleaved(calls, plan, limits, breathe, seed = 1) {
  const series = new Map();
  for (const [name, call] of calls) {
    series.set(name, await prepared(call, plan, limits));
    await breathe(0);
  }
  const random = generator(seed);
  const done = () => Math.min(...[...series.values()].map((one) => partOf(one, plan, limits)));
  while (done() < 1) {
    for (const [name, call] of shuffled(calls, random)) {
      await breathe(done());
      // The first run brings the caches back after the other contenders.
      await call();
      const one = series.get(name);
      for (let i = 0; i < one.perSlice; i++) {
        one.samples.push(await timed(call, one.repeat));
        one.passed += one.samples.at(-1) * one.repeat;
      }
    }
  }
  return series;
}

/** Warm up; a compiler that works beside makes the first runs slower, so the plan comes from the last. */
async function prepared(call, plan, { step, most }) {
  const repeatOf = (ms) => repeatFor(ms, step, plan.duration_s, most);
  const warmups = await warm(call, repeatOf(await typical(call)), plan.warmup);
  const ms = await typical(call);
  const repeat = repeatOf(ms);
  return { samples: [], warmups, repeat, perSlice: Math.max(1, Math.round(SLICE_MS / (ms * repeat))), passed: 0 };
}

async function warm(call, repeat, least) {
  const times = [];
  const begin = performance.now();
  while (times.length < least || performance.now() - begin < WARMUP_MS) times.push(await timed(call, repeat));
  return times;
}

/** How far a contender is: samples and time both count, and nobody sends more than `most`. */
function partOf({ samples, passed }, plan, { most }) {
  const time = samples.length >= most ? 1 : passed / (plan.duration_s * 1e9);
  return Math.min(1, samples.length / plan.iterations, time);
}

function shuffled(items, random) {
  const list = [...items];
  for (let i = list.length - 1; i > 0; i--) {
    const k = Math.floor(random() * (i + 1));
    [list[i], list[k]] = [list[k], list[i]];
  }
  return list;
}

/** mulberry32: small numbers that look random, the same for the same seed. */
function generator(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
