// A sentence as an array without a vocabulary: the numbers of edgesdk/words.py, in JavaScript.

const BLANK = '[blank]';
const PRIME = 16777619;
const BASIS = 2166136261;
const GROUPS = [3, 4];

/** The words in lower case, or the reserved one where there are none. */
export function wordsOf(sentence) {
  return sentence.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [BLANK];
}

/** Float32 [words * dims]: a vector of length 1 per word, zeros behind the last one. */
export function sentenceFeatures(sentence, words, dims) {
  const out = new Float32Array(words * dims);
  wordsOf(sentence).slice(0, words).forEach((word, i) => {
    const row = out.subarray(i * dims, (i + 1) * dims);
    for (const group of groups(word)) {
      const number = fnv1a(group);
      row[number % dims] += number >>> 31 ? 1 : -1;
    }
    const length = Math.max(Math.hypot(...row), 1e-6);
    row.forEach((value, k) => { row[k] = value / length; });
  });
  return out;
}

/** The 32-bit FNV-1a hash of the UTF-8 bytes. */
export function fnv1a(text) {
  let number = BASIS;
  for (const byte of new TextEncoder().encode(text)) number = Math.imul(number ^ byte, PRIME) >>> 0;
  return number;
}

/** The whole word twice, so that it weighs more, and its groups of letters. */
function groups(word) {
  if (word === BLANK) return [word];
  const marked = `<${word}>`;
  const letters = [...marked];
  const parts = GROUPS.flatMap((n) =>
    Array.from({ length: Math.max(letters.length - n + 1, 0) }, (_, i) => letters.slice(i, i + n).join('')));
  return [marked, `${marked}+`, ...parts];
}
