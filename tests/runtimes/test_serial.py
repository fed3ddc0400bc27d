"""A library that does one run at a time: threads take turns, closing waits, nothing runs after."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from edgesdk.core.bundle import read_bundle
from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.shipped import shipped_bundle
from edgesdk_runtimes._session import SerialSession
from edgesdk_runtimes.coreml import NativeSession
from edgesdk_runtimes.litert import LitertSession
from edgesdk_runtimes.tensorrt import TensorRtSession


class Fragile(SerialSession):
    """Notes whether two runs, or a run and the freeing, ever meet."""

    def __init__(self):
        super().__init__(read_bundle(shipped_bundle("bridge-face")))
        self.busy, self.met, self.runs, self.freed, self.begun = False, False, 0, 0, Event()

    def alone(self, inputs):
        self.met |= self.busy
        self.busy = True
        self.begun.set()
        time.sleep(0.001)
        self.busy = False
        self.runs += 1
        return dict(inputs)

    def free(self):
        self.met |= self.busy
        self.freed += 1


def test_threads_take_turns_and_closing_waits_for_the_run_in_progress():
    session = Fragile()

    def many(_):
        try:
            while True:
                session.run({})
        except EdgeSdkError as error:
            return str(error)

    with ThreadPoolExecutor(6) as pool:
        ends = [pool.submit(many, i) for i in range(4)]
        session.begun.wait(5)
        ends += [pool.submit(session.close) for _ in range(2)]
        said = [end.result(timeout=20) for end in ends]
    assert all("closed" in sentence for sentence in said[:4])
    assert (session.met, session.freed) == (False, 1)
    assert session.runs


def test_the_libraries_that_need_it_take_turns():
    for kind in (LitertSession, TensorRtSession, NativeSession):
        assert issubclass(kind, SerialSession)
        assert kind.run is SerialSession.run
        assert kind.close is SerialSession.close
