"""Phones behind Android's real adb daemon, x86-64 and ARM64, in a network of their own.

`make phones` prepares what this needs. The daemon and its protocol are real; the commands of
the phone (am, pm, run-as ...) are those of tests/phone/bin. No Android runs here.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgesdk.core.result import read_result
from edgesdk.core.shipped import open_bundle

pytestmark = pytest.mark.slow

adbutils = pytest.importorskip("adbutils", reason="needs the adb extra")
ROOT = Path(__file__).parents[2]
PHONES = ROOT / "build" / "phones"
WORLD = ROOT / "tests" / "phone" / "world.sh"
BUNDLED = Path(adbutils.__file__).parent / "binaries" / "adb"
PORTS = (6001, 6003)
QEMU_ENTRY = (
    r":%s:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:%s:F"
)


def need(tree):
    if not (PHONES / tree / ".ready").exists():
        pytest.skip(f"build/phones/{tree} is absent; prepare it with: make phones")
    words = ["unshare", "--net", "--mount", "--pid", "--fork", "true"]
    if shutil.which("unshare") is None or subprocess.run(words, check=False).returncode:
        pytest.skip("this machine refuses namespaces of one's own (unshare)")


@contextmanager
def arm64_programs():
    """Let the kernel run ARM64 programs through qemu; the entry is removed at the end."""
    folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    command = ["mount", "-t", "binfmt_misc", "none", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        folder.rmdir()
        pytest.skip("this machine refuses to mount binfmt_misc")
    entry = folder / f"edgesdk-{os.getpid()}"
    try:
        for old in folder.glob("edgesdk-*"):  # of runs that were killed
            if not Path("/proc", old.name.partition("-")[2]).exists():
                old.write_text("-1")
        (folder / "register").write_text(QEMU_ENTRY % (entry.name, PHONES / "qemu-aarch64"))
        yield
    finally:
        if entry.exists():
            entry.write_text("-1")
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()


class World:
    """Two phones and an adb server in a network of their own."""

    def __init__(self, tree, adb, folder, phone_state, report):
        self.folder, self.states, words = folder, {}, []
        for port in PORTS:
            data = folder / str(port)
            state = phone_state(data / "local" / "tmp" / "fake")
            state.behave("ok", report)
            subprocess.run(["chown", "-R", "2000:2000", str(data / "local" / "tmp")], check=True)
            self.states[port] = state
            words.append(f"{port}={data}")
        self._process = subprocess.Popen(
            ["bash", str(WORLD), str(PHONES / tree), str(adb), *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout.readline() == "ready\n"

    def tell(self, order):
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

    def popen(self, *words):
        """Start a program in the world's network."""
        inside = ["nsenter", "--net", "--target", str(self._process.pid), *words]
        env = {k: v for k, v in os.environ.items() if not k.startswith(("ANDROID", "ADB"))}
        return subprocess.Popen(
            inside, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=ROOT
        )

    def bench(self, port, *words, out="out"):
        """Run the command line on a phone; return exit code, stderr and the result."""
        process = self.start_bench(port, *words, out=out)
        _, told = process.communicate(timeout=120)
        found = sorted((self.folder / out).glob("*.json"))
        return process.returncode, told, read_result(found[0]) if found else None

    def start_bench(self, port, *words, out="out"):
        device = f"android:127.0.0.1:{port}" if port else "android"
        words = words if "--duration" in words else ("--duration", "10", *words)
        command = [sys.executable, "-m", "edgesdk", "bench", "bridge-face", "--device", device,
                   "--quiet", "-o", str(self.folder / out), *words]  # fmt: skip
        return self.popen(*command)

    def left_behind(self, port):
        """Return what lies on the phone beside its own state."""
        here = self.folder / str(port) / "local" / "tmp"
        found = [p.name for p in here.iterdir() if p.name != "fake"]
        return found + [p.name for p in (here / "fake/app/files").iterdir()]

    def close(self):
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._process.stdout.close()


@pytest.fixture(scope="module", params=["x86_64", "arm64"])
def tree(request):
    need(request.param)
    if request.param == "x86_64":
        yield request.param
        return
    with arm64_programs():
        yield request.param


@pytest.fixture
def make_world(tmp_path, phone_state, app_report):
    """Return a function that makes a world of one kind of phone; it ends with the test."""
    made = []

    def make(tree, adb=BUNDLED):
        report = app_report(open_bundle("bridge-face"))
        made.append(World(tree, adb, tmp_path, phone_state, report))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def world(tree, make_world):
    """Return a world, once of x86-64 and once of ARM64 phones."""
    return make_world(tree)


@pytest.fixture
def plain_world(make_world):
    """Return a world for what no processor changes."""
    need("x86_64")
    return make_world("x86_64")


def machine_of(world, port):
    script = f"import adbutils; print(adbutils.device('127.0.0.1:{port}').shell('uname -m; id -u'))"
    told, _ = world.popen(sys.executable, "-c", script).communicate(timeout=60)
    return told.split()


def test_a_result_comes_home_and_nothing_stays(world, tree):
    assert machine_of(world, 6001) == [{"arm64": "aarch64"}.get(tree, tree), "2000"]
    code, told, found = world.bench(6001)
    assert (code, told) == (0, "")
    assert found.device["kind"] == "android"
    assert found.device["emulated"] is True, "an adb daemon without Android is no phone"
    assert not found.ranked
    bundle = open_bundle("bridge-face")
    assert found.artefact["sha256"] == bundle.sha256
    log = world.states[6001].log
    assert "am start -W -S -n org.edgesdk.demo/.BenchActivity --es bundle" in log
    pushed = subprocess.check_output(["sha256sum", str(bundle.path / "bundle.json")], text=True)
    assert f"{pushed.split()[0]}  bundle.json" in log, "the app could read what was pushed"
    assert world.left_behind(6001) == []
    assert world.states[6003].log == ""


def test_two_phones_must_be_told_apart(plain_world):
    world = plain_world
    code, told, _ = world.bench(None)
    assert code == 2
    assert "127.0.0.1:6001, 127.0.0.1:6003; name one" in told.replace(" (device)", "")
    assert world.bench(6003)[0] == 0


def test_an_abi_that_the_app_lacks_is_refused(plain_world):
    world = plain_world
    world.states[6001].prop("ro.product.cpu.abi", "armeabi-v7a")
    code, told, _ = world.bench(6001)
    assert code == 3
    assert "runs armeabi-v7a, the app is built for arm64-v8a" in told
    world.states[6003].set("absent")
    code, told, _ = world.bench(6003)
    assert code == 3
    assert "android_demo/README.md" in told


def test_an_app_that_answers_nonsense_or_not_at_all(plain_world, app_report):
    world = plain_world
    state, says = world.states[6001], {}
    for mode, told_as in (("broken", "no JSON"), ("crash", "stopped before it gave a result")):
        state.behave(mode)
        code, says[mode], _ = world.bench(6001)
        assert code == 1
        assert told_as in says[mode]
        assert says[mode].count("\n") == 1
    wrong = app_report(
        open_bundle("bridge-face"), ok=False, error="cosine 0.1", check={"passed": False}
    )
    state.behave("ok", wrong)
    code, told, found = world.bench(6001)
    assert (code, found) == (4, None)
    assert "answers the golden vectors" in told
    assert world.left_behind(6001) == []


def test_an_app_that_is_late_is_given_up(plain_world):
    world = plain_world
    world.states[6001].behave("slow")
    code, told, _ = world.bench(6001, "--duration", "1", "--timeout", "6")
    assert code == 1
    assert "gave no result within 7 s" in told
    assert world.left_behind(6001) == []


def test_a_phone_that_is_unplugged_is_told_and_cleaned_the_next_time(world):
    state = world.states[6001]
    state.behave("slow")
    process = world.start_bench(6001)
    deadline = time.monotonic() + 60
    while "am start" not in state.log and time.monotonic() < deadline:
        time.sleep(0.1)
    world.tell("kill 6001")
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "the connection to the phone 127.0.0.1:6001 was lost" in told
    assert told.count("\n") == 1
    assert world.left_behind(6001) == ["edgesdk"]
    state.behave("ok")
    world.tell("start 6001")
    assert world.bench(6001)[0] == 0
    assert world.left_behind(6001) == []


def test_a_phone_that_takes_no_file_says_how_much_space_it_has(plain_world, tmp_path):
    here = tmp_path / "6001" / "local" / "tmp"
    (here / "edgesdk").mkdir()
    (here / "edgesdk").chmod(0o555)  # of root: the shell user may not write
    code, told, _ = plain_world.bench(6001)
    assert code == 1
    assert "refuses /data/local/tmp/edgesdk/" in told
    assert "free space there" in told


def test_the_machine_s_own_adb_serves_as_well(make_world):
    adb = shutil.which("adb")
    if adb is None:
        pytest.skip("no adb on the path; the one of adbutils was used")
    need("x86_64")
    code, told, found = make_world("x86_64", adb).bench(6001, "--json")
    assert (code, told) == (0, "")
    assert found.environment["host"]["adb"].startswith("1.0.")
    assert json.dumps(found.to_json())
