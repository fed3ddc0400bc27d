"""What is said of pictures: captions by file, their noun phrases, and words as numbers.

A file of captions is a JSON object, path or file name to a sentence or a list of them, or a list
of objects with `file` and `text`, as sets of generated pictures bring it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.tensors import Array
from edgesdk.core.typed import check_plain
from edgesdk.picture_sets import Pictures
from edgesdk.picture_sets.names import plain

EXPECTED = '{"name.jpg": "a dog on a beach"}'
INSIDE = ("captions.json", "meta.json")
EMPTY, UNKNOWN = "[PAD]", "[UNK]"
LONGEST = 40  # letters of a word that is cut into pieces
WORD = re.compile(r"[^\W_]+|[^\w\s]")
# Phrases end at these and at forms of verbs; what is left are adjectives and nouns.
BREAKS = frozenset(
    WORD.findall(
        """a an the this that these those his her its their my your our some any each every both all
        no another other one two three four five six several many few lot number group pair of in on
        at by with without from to into onto over under above below behind beside between near next
        through across along around against off out up down as for about after before while during
        and or but nor so if then than who which what where when whose it he she they we i you him
        them there here is are was were be been being am has have had do does did can could will
        would may might must not very just also only photo picture image style sits sit stands stand
        holds hold wears wear runs run plays play walks walk rides ride jumps jump looks look eats
        eat lays lay lies lie takes take goes go gets get makes make shows show tries climbs climb
        throws throw smiles smile swims swim catches catch carries carry"""
    )
)
NOUNS_IN_ING = ("building", "painting", "ceiling", "clothing", "railing", "wing", "ring", "string")
LONGEST_PHRASE = 4
_MOMENT = re.compile(r"(?<=.)@\d+\.\d+s$")  # of a picture of a video


class Captions:
    """Sentences by path or file name.

    Args:
        told: Path or name -> sentence or sentences.
        origin: Where they were read from, for messages.

    Raises:
        UsageError: an entry is neither.
    """

    def __init__(self, told: Mapping[str, Any], origin: str = "captions") -> None:
        self.origin = origin
        self._by_path: dict[str, list[str]] = {}
        self._names: dict[str, str] = {}
        by_name: dict[str, list[list[str]]] = {}
        for name, said in told.items():
            sentences = [said] if isinstance(said, str) else said
            if not isinstance(sentences, list) or not all(isinstance(s, str) for s in sentences):
                raise UsageError(
                    f"{origin} says of {name!r} what is no sentence and no list of sentences; "
                    f"expected {EXPECTED}"
                )
            whole = plain(name)
            kept = [s.strip() for s in sentences if s.strip()]
            self._by_path[whole] = kept
            self._names[whole] = name
            by_name.setdefault(_last(whole), []).append(kept)
        # A name that several paths end in tells nothing.
        self._by_name = {name: said[0] for name, said in by_name.items() if len(said) == 1}
        self._asked: set[str] = set()

    def __len__(self) -> int:
        return len(self._by_path)

    def of(self, path: str | Path) -> list[str]:
        """Return the sentences of a picture, by its path or else by its name; [] for none.

        Slashes and Unicode form may differ. A picture of a video has what is said of the video,
        unless something is said of itself.
        """
        whole = plain(Path(path).as_posix())
        folder, slash, name = whole.rpartition("/")
        film = folder + slash + _MOMENT.sub("", name)
        return self._of(whole) or (self._of(film) if film != whole else [])

    def _of(self, whole: str) -> list[str]:
        name = _last(whole)
        self._asked.add(name)
        parts = whole.split("/")
        for start in range(len(parts)):
            found = self._by_path.get("/".join(parts[start:]))
            if found:
                return found
        return self._by_name.get(name, [])

    def unasked(self) -> list[str]:
        """Return the entries whose file name no picture had that was asked about."""
        return [name for whole, name in self._names.items() if _last(whole) not in self._asked]


def _last(whole: str) -> str:
    return whole.rpartition("/")[2]


def read_captions(path: Path) -> Captions:
    """Read a file of captions.

    Raises:
        UsageError: it is absent or no such file.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"captions {path} cannot be read ({error.strerror}); give a JSON file: {EXPECTED}"
        ) from None
    return _parsed(content, str(path))


def captions_inside(pictures: Pictures) -> Captions:
    """Return the captions that a folder or archive brings along, none where it has no such file."""
    for name in INSIDE:
        if name in pictures:
            return _parsed(pictures.bytes(name), f"{pictures.path}: {name}")
    return Captions({})


def _parsed(content: bytes, origin: str) -> Captions:
    try:
        data = json.loads(content)
        check_plain(data)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{origin} is no JSON ({str(error)[:80]}); expected {EXPECTED}") from None
    if isinstance(data, list):
        rows, data = data, {}
        for row in rows:
            if isinstance(row, dict) and isinstance(row.get("text"), str):
                data.setdefault(str(row.get("file")), []).append(row["text"])
    if not isinstance(data, dict):
        raise UsageError(
            f"{origin} must hold an object of file name -> sentence, such as {EXPECTED}, or a "
            "list of rows with file and text"
        )
    return Captions(data, origin)


def words_of(sentence: str) -> list[str]:
    """Return the words of a sentence in small letters, without numbers and signs."""
    return [word for word in WORD.findall(sentence.lower()) if word[0].isalpha()]


def noun_phrases(sentence: str, most: int) -> list[str]:
    """Return at most `most` phrases of adjectives and nouns, in the order they are said.

    By rule, without a grammar: articles, prepositions, pronouns and common verbs end a phrase.
    """
    found: list[list[str]] = [[]]
    for word in WORD.findall(sentence.lower()):
        ing = len(word) > 4 and word.endswith("ing") and word not in NOUNS_IN_ING
        if word in BREAKS or ing or not word[0].isalpha():
            found.append([])
        else:
            found[-1].append(word)
    phrases = [" ".join(words[-LONGEST_PHRASE:]) for words in found if words]
    return list(dict.fromkeys(phrases))[:most]


class Tokenizer:
    """Cuts sentences into known pieces of words, the longest first (WordPiece).

    Args:
        vocabulary: Pieces; those inside a word begin with ##. The first is for empty places; one is
            for unknown words.
        length: Numbers per sentence; the rest is left out.
    """

    def __init__(self, vocabulary: Sequence[str], length: int) -> None:
        self.vocabulary, self._length = tuple(vocabulary), length
        self._numbers = {piece: number for number, piece in enumerate(vocabulary)}
        if not vocabulary or vocabulary[0] != EMPTY or UNKNOWN not in self._numbers:
            raise UsageError(f"a vocabulary begins with {EMPTY} and holds {UNKNOWN}; train again")
        self._unknown = self._numbers[UNKNOWN]

    def __contains__(self, word: str) -> bool:
        """Tell whether a word is known as a whole."""
        return word in self._numbers

    def __call__(self, sentences: Sequence[str]) -> Array:
        """Return int32 [N, length]; 0 where a sentence has ended."""
        rows = np.zeros((len(sentences), self._length), np.int32)
        for row, sentence in zip(rows, sentences, strict=True):
            pieces = [n for word in WORD.findall(sentence.lower()) for n in self._pieces(word)]
            row[: len(pieces)] = pieces[: self._length]
        return rows

    def _pieces(self, word: str) -> list[int]:
        found, start = [], 0
        while start < len(word):
            ends = range(min(len(word), start + LONGEST), start, -1)
            pieces = (self._numbers.get("##" * (start > 0) + word[start:end]) for end in ends)
            end, number = next(
                ((e, n) for e, n in zip(ends, pieces, strict=True) if n is not None), (0, 0)
            )
            if not end:
                return [self._unknown]
            found.append(number)
            start = end
        return found


def caption_tokens(tokenizer: Tokenizer, sentence: str, objects: int) -> Array:
    """Return int32 [1 + objects, length]: a caption and its phrases; rows of none are zeros."""
    said = [sentence, *noun_phrases(sentence, objects)]
    return tokenizer([*said, *[""] * (1 + objects - len(said))])
