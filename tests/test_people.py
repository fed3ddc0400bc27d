"""Whose picture it is: told by folders, asked where they do not tell."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk.core.errors import UsageError
from edgesdk.picture_sets.people import people_of

NAME = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=12)


def owners(*names):
    return people_of(names, "set")


@pytest.mark.parametrize(("names", "people"), [
    (["anna/1.jpg", "bert/1.jpg"], ["anna", "bert"]),
    (["anna/day1/1.jpg", "anna/day2/1.jpg", "bert/day1/1.jpg"], ["anna", "anna", "bert"]),
    (["anna/paris/1.jpg", "anna/rome/1.jpg", "bert/paris/1.jpg", "bert/rome/1"],
     ["anna", "anna", "bert", "bert"]),
    (["anna/1.jpg", "anna/odd/2.jpg", "bert/1.jpg"], ["anna", "anna", "bert"]),
    (["train/anna/1.jpg", "val/anna/2.jpg", "test/bert/1.jpg"], ["anna", "anna", "bert"]),
    (["Train/anna/1.jpg", "VAL/anna/2.jpg"], ["anna", "anna"]),
    (["set/train/anna/1.jpg", "set/val/bert/2.jpg"], ["anna", "bert"]),
    (["anna/train/1.jpg", "anna/val/1.jpg", "bert/train/1.jpg"], ["anna", "anna", "bert"]),
    (["set/anna/1.jpg", "set/bert/1.jpg"], ["anna", "bert"]),
    (["set/images/anna/1.jpg", "set/images/bert/1.jpg"], ["anna", "bert"]),
    (["train/anna/day1/1.jpg", "val/anna/day2/1.jpg", "val/bert/day1/1.jpg"],
     ["anna", "anna", "bert"]),
    (["anna/2019-05-01/1.jpg", "bert/2020/1.jpg"], ["anna", "bert"]),
    (["loose.jpg", "anna/1.jpg"], [None, "anna"]),
    (["anna/x/1.jpg", "bert/y/1.jpg"], ["anna", "bert"]),
    (["anna/day1/1.jpg", "anna/day2/1.jpg"], ["anna", "anna"]),
    (["anna/1.jpg"], ["anna"]),
    (["Jose\u0301/1.jpg", "José/2.jpg"], ["José", "José"]),
])  # fmt: skip
def test_whose_picture_it_is(names, people):
    assert owners(*names) == people


@pytest.mark.parametrize(("names", "says"), [
    (["1.jpg", "2.jpg"], "set holds 2 loose pictures .*no folder per person"),
    (["train/1.jpg", "val/2.jpg"], "2 loose pictures in train, val"),
    (["women/anna/1", "women/bea/1", "men/cid/1", "men/dan/1"], r"men holds cid, dan.*one person"),
    (["m/1/a", "m/2/a", "m/3/a", "m/4/a", "m/5/a", "f/1/a", "f/2/a"], "or a group of people"),
])  # fmt: skip
def test_what_cannot_be_told_is_asked(names, says):
    with pytest.raises(UsageError, match=says):
        owners(*names)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(NAME, min_size=1, max_size=4).map("/".join), max_size=8, unique=True))
def test_any_names_have_people_or_one_sentence(names):
    try:
        found = owners(*names)
    except UsageError as error:
        found = [None] * len(names) if "\n" not in str(error) else []
    assert len(found) == len(names)
    for name, person in zip(names, found, strict=True):
        assert person is None or person in unicodedata.normalize("NFC", name).split("/")[:-1]
