"""Cases of pictures, sets, networks and apps; see `tests.fuzz.cases`."""

import io
import json
from functools import cache

import numpy as np

from tests.fuzz.choices import as_text, changed_bytes, changed_json
from tests.fuzz.place import place, whole, write


@cache
def pictures():
    from PIL import Image

    rng = np.random.default_rng(0)
    colours = Image.fromarray(rng.integers(0, 255, (9, 7, 3), np.uint8))
    images = {
        "JPEG": colours, "PNG": colours, "WEBP": colours, "BMP": colours, "PPM": colours,
        "TIFF": colours, "GIF": colours.convert("P"),
    }  # fmt: skip
    seeds = [_encoded(image, kind) for kind, image in images.items()]
    modes = ("L", "LA", "RGBA", "P", "1", "I;16")
    seeds += [_encoded(colours.convert("L" if m == "I;16" else m).convert(m), "PNG") for m in modes]
    turned = Image.Exif()
    turned[0x0112] = 6
    return [
        *seeds,
        _encoded(colours, "JPEG", exif=turned),
        _encoded(colours.convert("CMYK"), "JPEG"),
    ]


def _encoded(image, kind, **how):
    out = io.BytesIO()
    image.save(out, kind, **how)
    return out.getvalue()


def a_picture(choices):
    from edgesdk.images import read_image

    picture = read_image(changed_bytes(choices, choices.pick(pictures())))
    assert picture.dtype == np.uint8
    assert picture.ndim == 3


LISTS = {
    "pairs.txt": b"1\t1\nAnn\t1\t2\nAnn\t1\tBob\t1\n",
    "plain.txt": b"Ann 1 2\nAnn 1 Bob 1\n\nBob 1 Ann 2\n",
    "pairs.csv": b'same,a,b,fold\n1,Ann/Ann_0001.png,"Ann/Ann_0002.png",0\n'
    b"0,Ann/Ann_0001,Bob/Bob_0001.png,1\n",
}


@cache
def set_of_pairs():
    for name in ("Ann/Ann_0001.png", "Ann/Ann_0002.png", "Bob/Bob_0001.png"):
        write(f"pairs/{name}", pictures()[1])
    return place() / "pairs"


def a_list_of_pairs(choices):
    from edgesdk.pairs import read_pairs

    set_of_pairs()
    name = choices.pick(sorted(LISTS))
    pairs = read_pairs(write(f"pairs/{name}", changed_bytes(choices, LISTS[name])))
    assert pairs.pairs.shape == (2, len(pairs))
    assert pairs.sha256


@cache
def archive():
    import tarfile

    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("pairs.txt", "Ann/Ann_0001.png", "Ann/Ann_0002.png", "Bob/Bob_0001.png"):
            content = LISTS.get(name, pictures()[1])
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def an_archive_of_pairs(choices):
    from edgesdk.pairs import read_pairs

    pairs = read_pairs(write("set.tar", changed_bytes(choices, archive())))
    pairs.read(0)


def a_list_of_classes(choices):
    from edgesdk.tasks._classes import read_labelled

    set_of_pairs()
    seed = b'path,label\nAnn/Ann_0001.png,ann\n"Bob/Bob_0001.png","b ob"\n'
    assert len(read_labelled(write("pairs/labels.csv", changed_bytes(choices, seed))))


def a_list_of_faces(choices):
    from edgesdk.boxes import Detection
    from edgesdk.tasks._face_sets import agree, average_precision, read_faces

    set_of_pairs()
    box = [1, 2, 30.5, 40]
    seed = {"Ann/Ann_0001.png": [box, [*box, *range(10)]], "Bob/Bob_0001.png": []}
    content = as_text(changed_json(choices, seed)).encode()
    content = changed_bytes(choices, content) if choices.below(2) else content
    write("pairs/faces.json", content)
    photos = read_faces(place() / "pairs")
    assert photos.sha256
    found = [Detection((0.0, 0.0, 20.0, 20.0), np.ones((5, 2)), 0.5)]
    assert 0 <= average_precision([agree(found, rows) for rows in photos.faces]) <= 1


def captions_of_a_set(choices):
    from edgesdk.captions import noun_phrases, read_captions

    rows = [{"file": "a.jpg", "text": "a red dog"}, {"file": "b/c.png", "text": None}]
    told = {"a.jpg": "a red dog", "b/c.png": ["two", "birds on a wire"]}
    document = changed_json(choices, rows if choices.below(2) else told)
    content = json.dumps(document).encode()
    content = changed_bytes(choices, content) if choices.below(2) else content
    found = read_captions(write("captions.json", content))
    for name in ("a.jpg", "x/b/c.png"):
        for sentence in found.of(name):
            assert all(phrase.encode() for phrase in noun_phrases(sentence, 4))


@cache
def network():
    import onnx

    node, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    weights = onnx.numpy_helper.from_array(np.ones((3, 2), np.float32), "w")
    nodes = [node("MatMul", ["x", "w"], ["y"])]
    shapes = [value("x", 1, ["n", 3])], [value("y", 1, ["n", 2])]
    graph = onnx.helper.make_graph(nodes, "g", *shapes, [weights])
    return onnx.helper.make_model(graph).SerializeToString()


def a_network(choices):
    from edgesdk.core.onnx_wire import mended, outline

    data = changed_bytes(choices, network())
    outline(data)
    mended(data, {"x": ("n", 3)}, {"y": ("n", 2)})


@cache
def app():
    from tests.apks import elf, write_apk

    path = place() / "seed.apk"
    write_apk(path, {"lib/arm64-v8a/a.so": elf(), "assets/a.txt": (b"text", True)}, align=64)
    return path.read_bytes()


def an_app(choices):
    from edgesdk.apk import inspect_apk

    inspect_apk(write("app.apk", changed_bytes(choices, app())))


def a_manifest_of_an_app(choices):
    from edgesdk.core.axml import read_axml
    from tests.apks import axml
    from tests.apks import manifest as tree

    read_axml(changed_bytes(choices, axml(tree(), utf8=bool(choices.below(2)))))


def a_library(choices):
    from edgesdk.core.elf import read_elf
    from tests.apks import elf

    read_elf(changed_bytes(choices, elf(choices.pick(["arm64-v8a", "armeabi-v7a"]))))


@cache
def pack():
    out = io.BytesIO()
    arrays = {
        "blob": np.zeros(9, np.uint8), "offsets": np.array([0, 9]), "identity": np.array([0]),
        "embedding": np.ones((1, 4), np.float16),
    }  # fmt: skip
    np.savez(out, **arrays)
    return out.getvalue()


def a_face_pack(choices):
    from edgesdk_benchmarks.accuracy import read_embeddings
    from edgesdk_training.packs import read_pack

    path = write("pack.npz", changed_bytes(choices, pack()))
    try:
        read_pack(path)
    finally:
        read_embeddings(str(path))


@cache
def classes():
    """Return the three forms of a set of small pictures: arrays, a blob, a blob packed by xz."""
    import lzma

    arrays, blob = io.BytesIO(), io.BytesIO()
    np.savez(arrays, x_train=np.ones((4, 2, 2), np.uint8), y_train=np.arange(4))
    encoded = {"blob": np.ones(4, np.uint8), "offsets": np.arange(5), "labels": np.arange(4)}
    np.savez(blob, **encoded, split=np.zeros(4, np.uint8), classes=np.array(list("abcd")))
    return [arrays.getvalue(), blob.getvalue(), lzma.compress(blob.getvalue())]


def a_class_set(choices):
    from edgesdk_training.class_sets import read_class_set

    made = choices.pick(classes())
    name = "set.npz.xz" if made is classes()[2] else "set.npz"
    found = read_class_set(write(name, changed_bytes(choices, made)))
    assert len(found.people) == len(found)
    found[0]


def a_file_of_samples(choices):
    from edgesdk.core.task import info_of
    from edgesdk.core.tensors import TensorSpec
    from edgesdk.tasks._inputs import read_arrays

    info = info_of(whole()[0], (TensorSpec("embedding", (None, 4), "float16"),))
    arrays = io.BytesIO()
    np.savez(arrays, embedding=np.ones((3, 4), np.float16))
    path = write("samples.npz", changed_bytes(choices, arrays.getvalue()))
    assert len(read_arrays(info, path, 2, 0, "item")) == 2
