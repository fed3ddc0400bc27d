"""Clients' pictures, as people have them: arrays, a blob, a folder per class or per client."""

import io
import lzma

import numpy as np
import pytest
from PIL import Image

from edgesdk.core.bundle import read_checkpoint
from edgesdk.core.errors import UsageError
from edgesdk_training._train import train
from edgesdk_training.class_sets import read_class_set
from edgesdk_training.context import Context
from edgesdk_training.federated.settings import FederatedSettings
from edgesdk_training.federated.world import read_own, read_world

pytest.importorskip("torch", reason="needs the train extra")


GOOD = {"x_train": np.ones((4, 8, 8), np.uint8), "y_train": np.arange(4)}


class TestData:
    def picture(self, path, level):
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(level).integers(0, 40, (8, 8, 3))
        Image.fromarray((noise + level).astype(np.uint8)).save(path)

    def test_a_folder_per_class(self, federated, tmp_path):
        for label, level in (("cat", 20), ("dog", 160)):
            for n in range(12):
                self.picture(tmp_path / "set" / label / f"{n}.png", level + n)
        result = federated(data=tmp_path / "set", clients=3, skew="even")
        assert read_checkpoint(result.checkpoints["global"]).labels == ("cat", "dog")
        assert result.sets[0]["line"].endswith("24 pictures of 2 folders")

    def test_a_folder_per_client_needs_no_skew(self, federated, tmp_path, caplog):
        caplog.set_level("INFO", "edgesdk")
        for owner in ("anna", "ben", "cleo"):
            for label, level in (("cat", 20), ("dog", 160)):
                for n in range(4):
                    self.picture(tmp_path / "set" / owner / label / f"{n}.png", level + n)
        result = federated(data=tmp_path / "set", clients=7)
        assert "3 folders are the clients: client 0 is anna, client 1 is ben" in caplog.text
        assert "client anna: 8" in result.artefacts["distribution"].read_text()
        assert [name for name in result.checkpoints if name != "global"] == [
            "client-0", "client-1", "client-2",
        ]  # fmt: skip

    def test_a_client_of_a_server_has_some_of_its_classes(self, tmp_path):
        for label, level in (("cat", 20), ("dog", 160)):
            for n in range(4):
                self.picture(tmp_path / "mine" / label / f"{n}.png", level + n)
        context = Context(tmp_path, {"clients": [tmp_path / "mine"]})
        settings = FederatedSettings(size=8, holdout=0.25)
        client = read_own(context, settings, ["ant", "cat", "dog"])
        assert (
            sorted([*client.learn.labels.tolist(), *client.own.labels.tolist()])
            == [1] * 4 + [2] * 4
        )
        assert len(client.own) == 2
        with pytest.raises(UsageError, match="class 'dog', which the server does not know"):
            read_own(context, settings, ["ant", "cat"])

    def test_encoded_pictures_in_one_file_with_their_own_tests(self, federated, tmp_path):
        files = []
        for n in range(60):
            self.picture(tmp_path / "one.png", 20 + 70 * (n % 3))
            files.append((tmp_path / "one.png").read_bytes())
        stream = io.BytesIO()
        np.savez(
            stream,
            blob=np.frombuffer(b"".join(files), np.uint8),
            offsets=np.cumsum([0, *map(len, files)]),
            labels=(np.arange(60) % 3).astype(np.uint8),
            split=(np.arange(60) >= 50).astype(np.uint8),
            classes=np.array(["ash", "elm", "oak"]),
        )
        (tmp_path / "set.npz.xz").write_bytes(lzma.compress(stream.getvalue()))
        result = federated(data=tmp_path / "set.npz.xz", clients=3, skew="even", rounds=1)
        assert result.sets[0]["line"].endswith("60 pictures of 3 classes, 10 kept for tests")
        assert read_checkpoint(result.checkpoints["global"]).labels == ("ash", "elm", "oak")

    @pytest.mark.parametrize(
        ("arrays", "why"),
        [
            ({"x_train": np.zeros((4, 8, 8), np.uint8)}, "numbers from 0.0 to 0.0"),
            ({"x_train": np.ones((4, 8, 8, 7), np.uint8)}, "7 colours, for their shape"),
            ({"x_train": None}, "it lacks x_train"),
            ({"y_train": None}, "it lacks y_train"),
            ({"y_train": np.eye(4, dtype=int)}, r"y_train has the shape \(4, 4\)"),
            ({"y_train": np.zeros(3, int)}, "disagree on the number"),
            ({"x_train": np.full((4, 8, 8), np.nan)}, "numbers from nan to nan"),
            ({"y_train": np.full(4, -1)}, "labels from -1"),
            ({"y_train": np.full(4, 0.5)}, "labels are float64, and should be whole numbers"),
            ({"y_train": np.array(list("abcd"))}, "should be whole numbers"),
            ({"x_test": np.ones((2, 8, 8), np.uint8)}, "it lacks y_test"),
            (
                {"x_test": np.ones((2, 9, 9), np.uint8), "y_test": np.arange(2)},
                "tests are of another size",
            ),
            (
                {"blob": np.ones(4, np.uint8), "offsets": np.array([0, 9]), "labels": np.arange(1)},
                "offsets lie outside",
            ),
        ],
    )
    def test_arrays_that_disagree_are_refused(self, federated, tmp_path, arrays, why):
        given = {k: v for k, v in {**GOOD, **arrays}.items() if v is not None}
        np.savez(tmp_path / "bad.npz", **given)
        with pytest.raises(UsageError, match=f"no set of pictures with classes.*{why}"):
            federated(data=tmp_path / "bad.npz")

    def test_what_is_no_npz_file_is_refused(self, federated, tmp_path):
        (tmp_path / "bad.npz").write_bytes(b"hello")
        with pytest.raises(UsageError, match=r"it is no \.npz file"):
            federated(data=tmp_path / "bad.npz")

    def test_one_class_and_no_class_are_refused(self, federated, tmp_path):
        np.savez(tmp_path / "one.npz", **{**GOOD, "y_train": np.zeros(4, int)})
        with pytest.raises(UsageError, match=r"one\.npz are of one class; there must be 2"):
            federated(data=tmp_path / "one.npz")
        with pytest.raises(UsageError, match="found size=7"):  # before any picture is looked at
            federated(data=tmp_path / "one.npz", size=7)
        self.picture(tmp_path / "flat" / "a.png", 20)
        with pytest.raises(UsageError, match="1 pictures of no class; give a folder per class"):
            federated(data=tmp_path / "flat")

    def test_the_largest_number_is_white(self, tmp_path):
        pictures = np.arange(32).reshape(2, 4, 4) % 17
        np.savez(tmp_path / "digits.npz", x_train=pictures, y_train=np.array([0, 1]))
        found = read_class_set(tmp_path / "digits.npz")
        assert found[0].shape == (4, 4, 3)
        assert found[1].max() == 255

    def test_white_is_one_number_for_learning_and_for_tests(self, tmp_path):
        pictures = {"x_train": np.full((2, 4, 4), 200.0), "x_test": np.full((2, 4, 4), 100.0)}
        np.savez(tmp_path / "two.npz", y_train=[0, 1], y_test=[0, 1], **pictures)
        found = read_class_set(tmp_path / "two.npz")
        assert [found[i].max() for i in (0, 2)] == [255, 127]

    def test_bytes_above_the_middle_are_as_a_picture_holds_them(self, tmp_path):
        np.savez(tmp_path / "dim.npz", x_train=np.full((2, 4, 4), 200, np.uint8), y_train=[0, 1])
        assert read_class_set(tmp_path / "dim.npz")[0].max() == 200

    def test_classes_are_numbered_as_the_set_numbers_them(self, federated, tmp_path):
        random = np.random.default_rng(0)
        pictures = random.integers(0, 255, (120, 8, 8), dtype=np.uint8)
        np.savez(tmp_path / "twelve.npz", x_train=pictures, y_train=np.arange(120) % 12)
        result = federated(data=tmp_path / "twelve.npz", skew="even", rounds=1)
        assert read_checkpoint(result.checkpoints["global"]).labels == tuple(map(str, range(12)))

    def test_classes_without_a_picture_are_not_told(self, tmp_path):
        pictures = np.ones((2, 4, 4), np.uint8)
        np.savez(tmp_path / "gap.npz", x_train=pictures, y_train=np.array([0, 900]))
        assert ": 2 pictures of 2 classes" in read_class_set(tmp_path / "gap.npz").report()["line"]

    @pytest.mark.parametrize("beside", [["d0/1.png"], ["d0/1.png", "c9/d0/1.png"]])
    def test_folders_of_clients_beside_folders_of_classes_are_refused(
        self, federated, tmp_path, beside
    ):
        for name in [f"{c}/{d}/{n}.png" for c in "ab" for d in ("d0", "d1") for n in (0, 1)]:
            self.picture(tmp_path / "set" / name, 20)
        for name in beside:
            self.picture(tmp_path / "set" / name, 160)
        with pytest.raises(UsageError, match=r"pictures in d0 and in a/d[01]; give a folder per"):
            federated(data=tmp_path / "set")

    def test_folders_within_a_class_belong_to_it(self, federated, tmp_path):
        for name in [f"{d}/{n}.png" for d in ("cat", "dog") for n in range(6)] + ["dog/old/9.png"]:
            self.picture(tmp_path / "set" / name, 20)
        result = federated(data=tmp_path / "set", clients=2, skew="even", rounds=1)
        assert read_checkpoint(result.checkpoints["global"]).labels == ("cat", "dog")

    def test_pictures_of_nobody_beside_those_of_clients_are_refused(self, small_digits, tmp_path):
        for name in [f"{c}/{d}/{n}.png" for c in "ab" for d in "01" for n in (0, 1)]:
            self.picture(tmp_path / "set" / name, 20)
        with pytest.raises(UsageError, match="others belong to nobody; give a folder per client"):
            train(
                "fedlmd", data={"clients": [small_digits, tmp_path / "set"]}, out=tmp_path / "runs"
            )

    @pytest.mark.parametrize("owner", ["", "anna/"])
    def test_folders_of_splits_keep_what_is_for_tests(self, tmp_path, caplog, owner):
        caplog.set_level("INFO", "edgesdk")
        owners = [owner, owner.replace("anna", "ben")] if owner else [""]
        for who in owners:
            for label, level in (("cat", 20), ("dog", 160)):
                for n in range(10):
                    self.picture(tmp_path / "set" / "train" / who / label / f"{n}.png", level + n)
                self.picture(tmp_path / "set" / "test" / who / label / "0.png", level)
        context = Context(tmp_path, {"clients": [tmp_path / "set"]}, student="class-net")
        world = read_world(context, FederatedSettings(clients=2, skew="even", size=8), (8,))
        assert len(world.everybody) == 2 * len(owners)
        assert sum(map(sum, world.table())) == 20 * len(owners)
        assert f"{2 * len(owners)} pictures beside the folder train are kept for" in caplog.text

    def test_a_packed_file_that_ends_early_is_refused(self, tmp_path):
        (tmp_path / "set.npz.xz").write_bytes(lzma.compress(b"0" * 999)[:-20])
        with pytest.raises(UsageError, match="ended before"):
            read_class_set(tmp_path / "set.npz.xz")
