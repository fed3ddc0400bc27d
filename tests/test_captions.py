"""What is said of pictures: files of captions, noun phrases, words as numbers."""

import io
import json
import tarfile

import numpy as np
import pytest

from edgesdk.captions import (
    Captions,
    Tokenizer,
    caption_tokens,
    captions_inside,
    noun_phrases,
    read_captions,
)
from edgesdk.core.errors import UsageError
from edgesdk.picture_sets import Pictures

PIECES = ["[PAD]", "[UNK]", "a", "b", "##b", "red", "dog", "##s", "."]


def test_captions_are_found_by_path_or_name():
    said = Captions({"photos/a.jpg": "a dog", "b.jpg": ["one", " two ", ""]})
    assert said.of("/somewhere/photos/a.jpg") == ["a dog"]
    assert said.of("a.jpg") == ["a dog"]
    assert said.of("other/b.jpg") == ["one", "two"]
    assert said.of("c.jpg") == []


def test_the_whole_path_wins_over_the_name():
    said = Captions({"x/a.jpg": "first", "y/a.jpg": "second"})
    assert said.of("set/x/a.jpg") == ["first"]
    assert said.of("set/y/a.jpg") == ["second"]
    assert said.of("z/a.jpg") == []  # either could be meant


def test_a_picture_of_a_video_has_what_is_said_of_the_video():
    said = Captions({"film.mp4": "a dog", "film.mp4@2.0s": "a cat", "@1.0s": "odd"})
    assert said.of("x/film.mp4@1.0s") == ["a dog"]
    assert said.of("x/film.mp4@2.0s") == ["a cat"]
    assert said.of("@1.0s") == ["odd"]
    assert said.of("@3.0s") == []


def test_what_no_picture_asked_about_is_known():
    said = Captions({"x/a.jpg": "first", "b.jpg": "second", "film.mp4": "third"})
    said.of("elsewhere/a.jpg")
    said.of("film.mp4@0.0s")
    assert said.unasked() == ["b.jpg"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "no JSON"),
        ("3", "must hold an object"),
        ('{"a.jpg": 3}', "no sentence"),
        ('{"a.jpg": ["x", 3]}', "no sentence"),
    ],
)
def test_files_that_make_no_sense_are_refused(tmp_path, content, says):
    (tmp_path / "captions.json").write_text(content)
    with pytest.raises(UsageError, match=says):
        read_captions(tmp_path / "captions.json")


def test_slashes_and_unicode_forms_of_names_may_differ():
    """A Mac's folders spell ü as two letters, Windows' lists write backslashes."""
    said = Captions({"Mu\u0308nchen.jpg": "a town", "photos\\a.jpg": "a dog"})
    assert said.of("M\u00fcnchen.jpg") == ["a town"]
    assert said.of("/set/photos/a.jpg") == ["a dog"]
    assert Captions({"M\u00fcnchen.jpg": "a town"}).of("Mu\u0308nchen.jpg") == ["a town"]
    assert said.unasked() == []


def test_rows_of_one_file_are_all_its_sentences(tmp_path):
    """The last row alone was taken."""
    rows = [{"file": "a.jpg", "text": "a dog"}, {"file": "a.jpg", "text": "a pet"}]
    (tmp_path / "c.json").write_text(json.dumps(rows))
    assert read_captions(tmp_path / "c.json").of("a.jpg") == ["a dog", "a pet"]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_captions(tmp_path / "none.json")


def test_a_set_brings_its_captions_in_two_forms(tmp_path):
    rows = [{"file": "a.jpg", "text": "a dog"}, {"file": "b.jpg", "text": None}, 3]
    (tmp_path / "meta.json").write_text(json.dumps(rows))
    assert captions_inside(Pictures(tmp_path)).of("a.jpg") == ["a dog"]
    content = json.dumps({"a.jpg": ["a cat"]}).encode()
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        entry = tarfile.TarInfo("captions.json")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    assert captions_inside(Pictures(tmp_path / "set.tar")).of("a.jpg") == ["a cat"]
    (tmp_path / "empty").mkdir()
    assert len(captions_inside(Pictures(tmp_path / "empty"))) == 0


def test_noun_phrases_are_adjectives_and_nouns():
    said = "A little girl in a pink dress going into a wooden cabin ."
    assert noun_phrases(said, 4) == ["little girl", "pink dress", "wooden cabin"]
    assert noun_phrases(said, 1) == ["little girl"]
    assert noun_phrases("An old brick building and an old brick building", 4) == [
        "old brick building"
    ]
    assert noun_phrases("", 4) == noun_phrases("it is .", 4) == []


def test_words_become_pieces_the_longest_first():
    tokens = Tokenizer(PIECES, 6)(["Red dogs.", "abb", "zebra dog", ""])
    assert tokens.dtype == np.int32
    assert tokens.tolist() == [
        [5, 6, 7, 8, 0, 0], [2, 4, 4, 0, 0, 0], [1, 6, 0, 0, 0, 0], [0] * 6,
    ]  # fmt: skip


def test_long_sentences_are_cut():
    assert Tokenizer(PIECES, 2)(["red dog red"]).tolist() == [[5, 6]]


def test_a_caption_and_its_phrases_lie_in_rows():
    tokens = caption_tokens(Tokenizer(PIECES, 4), "a red dog", 3)
    assert tokens.tolist() == [[2, 5, 6, 0], [5, 6, 0, 0], [0] * 4, [0] * 4]


def test_a_vocabulary_without_empty_and_unknown_is_refused():
    with pytest.raises(UsageError, match="vocabulary"):
        Tokenizer(["a", "b"], 4)


def test_pieces_are_those_of_the_known_tokenizer():
    """BERT's own tokenizer, where it is installed with its words."""
    foreign = pytest.importorskip("tokenizers", reason="compares with the package tokenizers")
    models, pre = foreign.models, foreign.pre_tokenizers
    own = [*PIECES, "##e", "r", "d", "##o", "##g"]
    numbers = {piece: n for n, piece in enumerate(own)}
    theirs = foreign.Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
    theirs.pre_tokenizer = pre.BertPreTokenizer()
    for sentence in ("red dogs.", "dog, abb re d", "bbb dogb zz"):
        ids = theirs.encode(sentence).ids
        assert Tokenizer(own, len(ids))([sentence])[0].tolist() == ids
