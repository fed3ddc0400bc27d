"""The tracker's word map: silent without words, taught alone, and told apart by what is said."""

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from edgesdk.core.errors import UsageError  # noqa: E402
from edgesdk.words import sentence_features  # noqa: E402
from edgesdk.worlds import COLOURS  # noqa: E402
from edgesdk_training.nets.word_map import CHANNELS, WordMap, pixels_of  # noqa: E402
from edgesdk_training.students.tracker import PLUGIN, Config  # noqa: E402
from edgesdk_training.track_data import Pairs  # noqa: E402
from edgesdk_training.track_words import gather_words, objective, pooled, retrieval, with_idle_words  # noqa: E402

SMALL = Config(size=64, width=16, words=6, hears=8)
SETTINGS = SimpleNamespace(align=0.2, temperature=0.1)


def inputs(sentence):
    torch.manual_seed(1)
    held = SMALL.held
    text = sentence_features(sentence, SMALL.words, SMALL.dims)[None]
    return torch.rand(1, 3, 64, 64) * 255, torch.randn(1, 48, held, held), torch.from_numpy(text)


def test_the_map_is_nothing_without_words_and_something_with_them():
    torch.manual_seed(0)
    net = PLUGIN.build(SMALL).eval()
    with torch.no_grad():
        for sentence, same in (("", True), (" -- ", True), ("the red car", False)):
            image, memory, text = inputs(sentence)
            found = net(image, memory, text)
            without = torch.sigmoid(net.decide(found[2] * 32, memory * 32, text)[0])
            assert torch.equal(found[0], without) == same


def test_a_map_learns_which_colour_is_meant():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    words, learn = WordMap(4, 64, 16), objective_of(Config(size=64, hears=16))
    optimiser = torch.optim.AdamW(words.parameters(), 5e-3)
    for _ in range(150):
        loss, _ = learn(words)(squares(rng, 32))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        told = learn(words)(squares(rng, 200))[1]["hit"]
        silent = learn(words)({**squares(rng, 200), "heard": blank(200)})[1]["hit"]
    assert told > 0.8
    assert silent < 0.6


def objective_of(config):
    return lambda words: objective(words, config, SETTINGS)


def blank(count):
    return torch.from_numpy(sentence_features("", 4, 64)[None]).repeat(count, 1, 1)


def squares(rng, count):
    """Return crops of 4 x 4 cells, two of which are coloured; the sentence names one of them."""
    pixels, boxes, texts = np.full((count, 3, 16, 16), 110.0), [], []
    for picture in pixels:
        names = rng.permutation(list(COLOURS))[:2]
        for name, cell in zip(names, rng.permutation(16)[:2], strict=True):
            row, column = divmod(int(cell), 4)
            part = picture[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            part[:] = np.array(COLOURS[name])[:, None, None]
            if name == names[0]:
                boxes.append([(column - 2) * 16.0, (row - 2) * 16.0, 12.0, 12.0])
        texts.append(sentence_features(f"the {names[0]} one", 4, 64))
    said = torch.from_numpy(np.stack(texts))
    return {
        "pixels": torch.from_numpy(pixels).float(),
        "features": torch.zeros(count, CHANNELS, 4, 4),
        "text": said,
        "heard": with_idle_words(said, torch.Generator().manual_seed(count)),
        "box": torch.tensor(boxes),
    }


def test_idle_words_stand_at_empty_places_only():
    text = blank(50)
    more = with_idle_words(text, torch.Generator().manual_seed(0))
    assert torch.equal(more, with_idle_words(text, torch.Generator().manual_seed(0)))
    assert torch.equal(more[:, 0], text[:, 0])
    assert 0 < (more[:, 1:].abs().sum((1, 2)) > 0).float().mean() < 1


def test_pairs_for_words_hold_what_the_map_needs_and_some_hold_idle_words():
    net = PLUGIN.build(SMALL).eval()
    pairs = Pairs([], 64, made=1.0, silent=0.0, wide=SMALL.whole / SMALL.held)
    seen = gather_words(pairs, net, SMALL, 5, 0, lambda *_: None)
    assert seen["pixels"].shape == (5, 3, 16, 16)
    assert seen["pixels"].dtype == torch.uint8
    assert seen["features"].shape == (5, CHANNELS, 4, 4)
    pairs._chatter = ["a", "dog"]
    texts = {pair.text for _ in range(8) for pair in pairs.hard(np.random.default_rng(_))}
    assert any({"a", "dog"} & set(text.split()) for text in texts)
    assert any(not {"a", "dog"} & set(text.split()) for text in texts)


def test_a_shaken_box_changes_what_is_remembered_and_not_what_is_searched():
    still, shaken = (Pairs([], 64, 1.0, 1.0, shake=shake) for shake in (0.0, 0.3))
    one, other = (pairs.draw(np.random.default_rng(4))[0] for pairs in (still, shaken))
    assert one.memory.shape == other.memory.shape
    assert not np.array_equal(one.memory, other.memory)


def test_vectors_are_pooled_at_the_target_and_ranked():
    seen = torch.zeros(2, 3, 2, 2)
    seen[0, 0, 1, 1] = seen[1, 1, 0, 0] = 4.0
    sure = torch.tensor([[False, False, False, True], [True, False, False, False]])
    assert pooled(seen, sure).tolist() == [[4, 0, 0], [0, 4, 0]]
    assert retrieval(pooled(seen, sure), torch.eye(3)[:2]) == 1.0
    assert retrieval(pooled(seen, sure), torch.eye(3)[:2].flip(0)) == 0.0


def test_the_map_sees_means_of_the_picture_and_belongs_to_the_light_form():
    assert pixels_of(torch.ones(1, 3, 64, 64)).shape == (1, 3, 16, 16)
    with pytest.raises(UsageError, match="light form"):
        Config("faithful", hears=8)
