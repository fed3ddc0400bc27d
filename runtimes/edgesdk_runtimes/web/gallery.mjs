// Enrolled people, in memory only.

export function unit(vector) {
  const length = Math.hypot(...vector) || 1;
  return Float32Array.from(vector, (v) => v / length);
}

export function cosine(a, b) {
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) [ab, aa, bb] = [ab + a[i] * b[i], aa + a[i] ** 2, bb + b[i] ** 2];
  return ab / (Math.sqrt(aa * bb) || 1);
}

export class Gallery {
  people = [];

  /** Enrol the mean of several embeddings under a name; a name enrolled again is replaced. */
  enrol(name, embeddings) {
    const rows = embeddings.map(unit);
    const sum = rows[0].map((_, k) => rows.reduce((total, row) => total + row[k], 0));
    this.forget(name);
    this.people.push({ name, embedding: unit(sum) });
  }

  forget(name) {
    this.people = this.people.filter((person) => person.name !== name);
  }

  /** The nearest person and the cosine; null where nobody is enrolled. */
  nearest(embedding) {
    const found = this.people.map(({ name, embedding: mine }) => ({ name, similarity: cosine(mine, embedding) }));
    return found.reduce((best, one) => (best && best.similarity >= one.similarity ? best : one), null);
  }
}
