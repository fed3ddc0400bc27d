"""Settings: typed by the dataclass, refused in one sentence."""

import tomllib
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from edgesdk.core import plugins
from edgesdk.core.bundle import read_checkpoint
from edgesdk.core.errors import UsageError
from edgesdk.core.shipped import shipped, shipped_checkpoint
from edgesdk_training.recipes.bridge import Settings
from edgesdk_training.settings import read_settings


def test_defaults_then_file_then_words(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text("[settings]\nepochs = 3\nlr = 1\ndirect = true\n")
    found = read_settings(Settings, path, {"epochs": "5", "holdout": "7"})
    assert (found.epochs, found.lr, found.direct, found.holdout) == (5, 1.0, True, 7)
    assert found.batch == Settings().batch


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"epoch": "1"}, "Did you mean 'epochs'"),
        ({"epochs": "many"}, "must be int, found 'many'"),
        ({"epochs": "1.5"}, "must be int"),
        ({"lr": "nan"}, "must be float"),
        ({"direct": "perhaps"}, "must be bool"),
        ({"epochs": True}, "must be int"),
        ({"lr": "-1"}, "lr must be above 0, found"),
    ],
)
def test_wrong_words_are_refused(words, says):
    with pytest.raises(UsageError, match=says):
        read_settings(Settings, None, words)


def test_a_garbage_file_is_refused(tmp_path):
    (tmp_path / "s.toml").write_text("= 1")
    for path in (tmp_path / "s.toml", tmp_path / "missing.toml"):
        with pytest.raises(UsageError, match="cannot be read"):
            read_settings(Settings, path, {})


@pytest.mark.parametrize("word", ["true", "YES", "on", "1"])
def test_true_has_many_words(word):
    assert read_settings(Settings, None, {"direct": word}).direct is True


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_model_has_the_settings_of_its_recipe(name):
    # A setting that is younger than the weights stands at its default.
    provenance = read_checkpoint(shipped_checkpoint(name)).provenance
    kind = plugins.load(plugins.RECIPES, provenance["recipe"]).settings
    config = Path(__file__).parents[2] / "training" / "recipes" / f"{name}.toml"
    stored = provenance["settings"]
    assert stored.keys() <= asdict(kind()).keys()
    # Runs that it began with, and that no file names, lie on the machine that trained it.
    told = tomllib.loads(config.read_text("utf-8"))["settings"]
    elsewhere = {
        key: "" for key in ("init", "completion") if key in asdict(kind()) and key not in told
    }
    assert replace(read_settings(kind, config, {}), **elsewhere) == kind(**(stored | elsewhere))


def test_a_range_that_begins_above_0_says_so():
    with pytest.raises(UsageError, match=r"epsilon must be above 0 and at most 50\.0, found 0"):
        read_settings(plugins.load(plugins.RECIPES, "dpdf").settings, None, {"epsilon": "0"})
