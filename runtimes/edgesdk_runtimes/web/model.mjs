// Open a bundle that gives its golden numbers on this device.
import { answers, readBundle } from './bundle.mjs';
import { checkOutputs, checkPictures } from './golden.mjs';
import { openSession } from './engine.mjs';

/** Return {bundle, session}; throws where the numbers are wrong. */
export async function openChecked(host, { path }) {
  const bundle = await readBundle(host, path);
  checkPictures(bundle);
  const session = await openSession(bundle.model);
  checkOutputs(bundle, await answers(bundle, session, bundle.golden.inputs));
  return { bundle, session };
}
