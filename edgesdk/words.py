"""Sentences as arrays without a vocabulary: each word is a sum of hashed letter groups.

The same few lines can be written in any language, no file travels with a model, and no word is
unknown: "reddish" shares groups with "red". Method: hashed character n-grams as in fastText
(Bojanowski et al. 2017), signs as in the hashing trick (Weinberger et al. 2009).
"""

import re

import numpy as np

from edgesdk.core.tensors import Array

BLANK = "[blank]"  # the word of a sentence that says nothing
PRIME, BASIS = 16777619, 2166136261  # FNV-1a, 32 bits
GROUPS = (3, 4)  # letters


def words_of(sentence: str) -> list[str]:
    """Return the words in lower case, or the reserved one where there are none."""
    return re.findall(r"[^\W_]+", sentence.lower()) or [BLANK]


def sentence_features(sentence: str, words: int, dims: int) -> Array:
    """Return float32 [words, dims]: a vector of length 1 per word, zeros behind the last one.

    Args:
        sentence: Any text; further words than there is place for are left out.
        words: Places for words.
        dims: Length of a word's vector.
    """
    features = np.zeros((words, dims), np.float32)
    for row, word in zip(features, words_of(sentence), strict=False):
        for group in _groups(word):
            number = fnv1a(group)
            row[number % dims] += 1 if number >> 31 else -1
        row /= max(float(np.linalg.norm(row)), 1e-6)
    return features


def fnv1a(text: str) -> int:
    """Return the 32-bit FNV-1a hash of the UTF-8 bytes."""
    number = BASIS
    for byte in text.encode():
        number = (number ^ byte) * PRIME % 2**32
    return number


def _groups(word: str) -> list[str]:
    """Return the whole word twice, so that it weighs more, and its groups of letters."""
    if word == BLANK:
        return [word]
    marked = f"<{word}>"
    parts = [marked[i : i + n] for n in GROUPS for i in range(len(marked) - n + 1)]
    return [marked, f"{marked}+", *parts]
