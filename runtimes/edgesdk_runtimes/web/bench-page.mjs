// The page of a benchmark: says what will happen, measures once, shows the times, sends them home.
import { Host } from './bundle.mjs';
import { byId, element, fromFragment, keepAwake, short, show } from './dom.mjs';
import { axis, axisEnd, quantile, strip } from './plot.mjs';

const BEAT_MS = 1000;
const ADVICE = {
  alignment: 'The bundle is aligned in another way than this page does it. Export it again.',
  'pre-processing': "The bundle's manifest and its golden vectors disagree on resizing, colour order, mean or std. Export it again.",
  inference: 'The network gives other numbers here than where it came from. Nothing was measured: a wrong answer has no speed.',
  run: 'Nothing was measured. Try another browser, or look at the message on the computer.',
};

const { token, start } = fromFragment();
const host = new Host(token);
const seen = { hidden: document.hidden, awake: false };

document.addEventListener('visibilitychange', () => { seen.hidden ||= document.hidden; });
main().catch((error) => fail('This page cannot start', String(error.message ?? error), 'Open the whole link that the computer printed, also what stands behind the #.'));

async function main() {
  if (!token) throw new Error('The link lacks its token.');
  const plan = await host.json('plan.json');
  const seconds = plan.plans.reduce((sum, one) => sum + one.duration_s * one.sizes.filter((s) => s.length).length, 0);
  byId('lead').textContent = `${count(plan.bundles.length, 'model')}, ${Math.ceil(1.4 * seconds + 3)} seconds or more.`;
  byId('bundles').append(...plan.bundles.map(({ name, bytes }) =>
    element('li', '', element('span', '', name), element('span', '', `${short(bytes / 1e6)} MB`))));
  show('plan');
  if (start) run(plan);
  else byId('start').addEventListener('click', () => run(plan), { once: true });
}

const count = (n, word) => `${n} ${word}${n === 1 ? '' : 's'}`;

async function run(plan) {
  show('plan', false);
  show('running');
  document.querySelector('main').dataset.state = 'running';
  byId('lead').textContent = 'First the golden vectors, then the clock.';
  seen.hidden = document.hidden;
  seen.awake = await keepAwake();
  const answer = await measure(plan);
  show('running', false);
  const sent = await send(answer.type === 'done' ? answer.report : { failure: failureOf(answer) });
  if (answer.type === 'failed') showFailure(plan, answer);
  else showResults(plan, answer.report);
  byId('lead').textContent = sent;
  document.querySelector('main').dataset.state = answer.type;
}

/** Run the worker to its end; a sign of life goes to the computer at most once a second. */
function measure(plan) {
  return new Promise((resolve) => {
    const worker = new Worker('bench-worker.mjs', { type: 'module' });
    let last = 0;
    worker.onmessage = ({ data }) => {
      if (data.type !== 'progress') {
        worker.terminate();
        resolve(data);
        return;
      }
      byId('step').textContent = data.label;
      byId('bar').value = data.done / data.total;
      if (performance.now() - last > BEAT_MS) {
        last = performance.now();
        host.get(`beat?${new URLSearchParams(data)}`).catch(() => {});
      }
    };
    worker.onerror = (event) => resolve({ type: 'failed', stage: 'run', reason: event.message || 'the worker could not start' });
    worker.postMessage({ token, plan });
  });
}

const failureOf = ({ stage, reason, bundle = null }) => ({ stage, reason: reason.slice(0, 400), bundle });

/** Send the raw samples; returns the sentence to show. */
async function send(report) {
  const agent = navigator.userAgentData;
  const device = {
    user_agent: navigator.userAgent,
    platform: agent?.platform ?? navigator.platform ?? '',
    model: (await agent?.getHighEntropyValues?.(['model']).catch(() => ({})))?.model ?? '',
    cores: navigator.hardwareConcurrency ?? 0,
    isolated: globalThis.crossOriginIsolated === true,
    secure: globalThis.isSecureContext === true,
    wake_lock: seen.awake,
    hidden: seen.hidden,
  };
  try {
    const answer = await host.post('report', { schema_version: 1, device, ...report });
    if (answer.ok) return 'Sent to the computer. You can close this page.';
    return `The computer refused the result (${answer.status}); start the command there again.`;
  } catch {
    return 'The computer could not be reached; start the command there again.';
  }
}

function fail(title, reason, advice) {
  byId('failure-title').textContent = title;
  byId('failure-reason').textContent = reason;
  byId('failure-advice').textContent = advice;
  byId('lead').textContent = '';
  document.querySelector('main').dataset.state = 'failed';
  show('failure');
}

function showFailure(plan, { stage, reason, bundle }) {
  byId('title').textContent = stage === 'run' ? 'It does not run here' : 'Wrong numbers';
  const name = plan.bundles[bundle]?.name;
  fail(stage === 'run' ? 'The model could not be run' : `Stage: ${stage}`, name ? `${name}: ${reason}` : reason, ADVICE[stage] ?? ADVICE.run);
}

function showResults(plan, report) {
  byId('title').textContent = seen.hidden ? 'Not valid' : 'Measured';
  if (seen.hidden) showHidden();
  plan.plans.forEach((one, p) => {
    const series = report.series.filter((s) => s.plan === p);
    byId('results').append(resultCard(plan, one, series));
  });
  showFacts(report);
}

function showHidden() {
  byId('failure-title').textContent = 'The page was hidden';
  byId('failure-reason').textContent = 'A hidden page is slowed down, so the computer marks these times INVALID.';
  byId('failure-advice').textContent = 'Measure again and keep the page in front.';
  show('failure');
}

const grouped = (number) => number.toLocaleString('en');
const TITLES = { latency: 'One at a time', throughput: 'In batches', offline: 'By batch size' };

function resultCard(plan, one, series) {
  const rows = series.map(({ bundle, batch, samples }) => ({
    name: batch > 1 || one.scenario !== 'latency' ? `${plan.bundles[bundle].name}, ${batch} at a time` : plan.bundles[bundle].name,
    values: samples.map((ns) => ns / 1e6 / batch),
    unit: plan.bundles[bundle].unit,
  }));
  const end = axisEnd(rows.map(({ values }) => values));
  const card = element('section', 'card', element('h2', '', TITLES[one.scenario] ?? one.scenario));
  rows.forEach(({ name, values, unit }) => {
    const median = quantile([...values].sort((a, b) => a - b), 0.5);
    const value = element('div', 'value', element('b', '', `${short(median)} ms`),
      element('span', '', `${grouped(Math.round(1000 / median))} ${unit}`));
    card.append(element('div', 'row', element('span', 'name', name), value, strip(values, end)));
  });
  const all = rows.flatMap(({ values }) => values);
  const slower = all.filter((ms) => ms > end).length;
  const edge = slower ? ` ${grouped(slower)} of ${grouped(all.length)} are slower and lie at the right edge.` : '';
  const items = [...new Set(series.map(({ bundle }) => plan.bundles[bundle].item))];
  const item = items.length === 1 ? items[0] : 'item';
  card.append(axis(end), element('p', 'soft small', `A dot is a sample, the line their median, in milliseconds per ${item}.${edge}`));
  return card;
}

function showFacts({ runtime, timer_step_ms: step }) {
  const yes = (flag) => (flag ? 'yes' : 'no');
  const facts = [
    ['Golden vectors', 'right'],
    ['System', navigator.userAgentData?.platform || navigator.platform || 'unknown'],
    ['Runtime', `onnxruntime-web ${runtime.version}`],
    ['Threads', `${runtime.threads}`],
    ['Isolated page', yes(runtime.isolated)],
    ['SIMD', yes(runtime.simd)],
    ['Timer step', `${short(step * 1000)} µs`],
    ['Screen kept on', yes(seen.awake)],
  ];
  byId('facts').append(...facts.flatMap(([name, value]) => [element('dt', '', name), element('dd', '', value)]));
  show('about');
}
