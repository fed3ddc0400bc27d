// Read a bundle from the server: its manifest, its model and its golden vectors.

const ARRAYS = { uint8: Uint8Array, float32: Float32Array, int32: Int32Array, int64: BigInt64Array };

/** A server that answers to the token of this visit only. */
export class Host {
  constructor(token) {
    this.headers = { 'X-Edgesdk-Token': token };
  }

  async get(path) {
    const answer = await fetch(path, { headers: this.headers, cache: 'no-store' });
    if (!answer.ok) throw new Error(`the computer does not give ${path} (${answer.status})`);
    return answer;
  }

  async json(path) {
    return (await this.get(path)).json();
  }

  async bytes(path) {
    return (await this.get(path)).arrayBuffer();
  }

  async post(path, data) {
    const body = JSON.stringify(data);
    return fetch(path, { method: 'POST', headers: { ...this.headers, 'Content-Type': 'application/json' }, body });
  }
}

/** Return {manifest, model, golden} of the bundle at `path`. */
export async function readBundle(host, path) {
  const manifest = await host.json(`${path}/bundle.json`);
  const index = await host.json(`${path}/golden/index.json`);
  const read = async (entry) => {
    const buffer = await host.bytes(`${path}/golden/${entry.file}`);
    return { data: new ARRAYS[entry.dtype](buffer), shape: entry.shape, dtype: entry.dtype };
  };
  const named = async (entries) =>
    Promise.all(Object.entries(entries).map(async ([name, entry]) => ({ name, ...(await read(entry)) })));
  const align = index.align ?? [];
  return {
    manifest,
    model: new Uint8Array(await host.bytes(`${path}/${manifest.entry}`)),
    golden: {
      align: await Promise.all(align.map(async (c) => ({ ...c, picture: await read(c.picture), crop: await read(c.crop) }))),
      pre: await Promise.all(
        (index.pre ?? []).map(async (c) => ({ ...c, pictures: await read(c.pictures), tensor: await read(c.tensor) }))),
      inputs: await named(index.infer.inputs),
      outputs: await named(index.infer.outputs),
      tolerance: index.infer.tolerance,
    },
  };
}

/** The pictures [N, H, W, 3] of a golden array, one by one. */
export function picturesOf({ data, shape: [count, height, width] }) {
  const size = height * width * 3;
  return Array.from({ length: count }, (_, i) => ({ data: data.subarray(i * size, (i + 1) * size), width, height }));
}

/** `count` items of an input from item `from` on, over and over. */
export function repeated({ name, data, shape, dtype }, count, from = 0) {
  const item = data.length / shape[0];
  const out = new data.constructor(count * item);
  for (let i = 0; i < count; i++) {
    const at = (from + i) % shape[0];
    out.set(data.subarray(at * item, (at + 1) * item), i * item);
  }
  return { name, data: out, shape: [count, ...shape.slice(1)], dtype };
}

/** Output name -> flat float32 of all items of `inputs`; a file that demands one batch size gets its batches. */
export async function answers({ manifest, golden }, session, inputs) {
  const count = inputs[0].shape[0];
  const step = manifest.inputs[0].shape[0] ?? count;
  const rows = Object.fromEntries(golden.outputs.map(({ name, data }) => [name, new Float32Array(data.length)]));
  for (let from = 0; from < count; from += step) {
    const found = await session.run(session.feed(inputs.map((input) => repeated(input, step, from))));
    for (const [name, all] of Object.entries(rows)) {
      const item = all.length / count;
      const part = Float32Array.from(found[name].data).subarray(0, Math.min(step, count - from) * item);
      if (part.length === Math.min(step, count - from) * item) all.set(part, from * item);
      else rows[name] = part;
    }
  }
  return rows;
}
