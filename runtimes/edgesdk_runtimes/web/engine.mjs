// onnxruntime-web, WebAssembly only: set up once, then one session per bundle.
import * as ort from './vendor/ort.wasm.min.mjs';

// The smallest module that uses a SIMD instruction.
const SIMD = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
];

/** Ask for a number of threads; without isolation the runtime takes one by itself. */
export function configure(threads) {
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = new URL('./vendor/', import.meta.url).href;
  ort.env.logLevel = 'error';
}

/** What the runtime really got; ask after a session was opened. */
export function facts() {
  return {
    version: ort.env.versions.web ?? ort.env.versions.common,
    threads: ort.env.wasm.numThreads,
    isolated: globalThis.crossOriginIsolated === true && typeof SharedArrayBuffer === 'function',
    simd: WebAssembly.validate(new Uint8Array(SIMD)),
  };
}

/** Open a model of a bundle; `run` takes and gives flat arrays by name. */
export async function openSession(bytes) {
  const options = { executionProviders: ['wasm'], graphOptimizationLevel: 'all', logSeverityLevel: 3 };
  const session = await ort.InferenceSession.create(bytes, options);
  return {
    /** A batch as the runtime wants it, made once so that only the run is timed. */
    feed: (inputs) =>
      Object.fromEntries(inputs.map(({ name, data, shape, dtype }) => [name, new ort.Tensor(dtype, data, shape)])),
    run: (feeds) => session.run(feeds),
    close: () => session.release(),
  };
}
