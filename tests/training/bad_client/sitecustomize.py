"""Python reads this at its start: the client's answers are spoilt as EDGESDK_TEST_FAULT says."""

import dataclasses
import os
import signal
import time

from edgesdk_training.federated import messages

FAULT, HONEST = os.environ["EDGESDK_TEST_FAULT"], messages.packed
ALONE = os.environ.get("EDGESDK_TEST_FAULTY")  # number of the one bad client in this process


def changed(update, how):
    return dataclasses.replace(update, shared={k: how(t) for k, t in update.shared.items()})


def packed(update, **more):
    """Return what a client sends that is broken, or worse."""
    if ALONE not in (None, str(update.client)):
        return HONEST(update, **more)
    if FAULT == "nan":
        update = changed(update, lambda tensor: tensor / 0)
    elif FAULT == "shape":
        update = changed(update, lambda tensor: tensor.flatten()[:1])
    elif FAULT == "stale":
        update = dataclasses.replace(update, round=update.round - 1)
    elif FAULT == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    elif FAULT == "hangs":
        parent = os.getppid()
        while os.getppid() == parent:  # Flower would let it hang on when the test is over
            time.sleep(1)
    return HONEST(update, **more)


messages.packed = packed
