"""Every student of the project keeps the public contract."""

from edgesdk.core import plugins
from edgesdk.testing.student import StudentContract


class TestBridgeFace(StudentContract):
    student = "bridge-face"
    most_parameters = 213_696


class TestBridgeFacePlus(StudentContract):
    student = "bridge-face-plus"
    most_parameters = 220_000


class TestF2cDetector(StudentContract):
    student = "f2c-detector"
    most_parameters = 500_000


class TestNprDetector(StudentContract):
    student = "npr-detector"
    most_parameters = 500_000


class TestMaskedFace(StudentContract):
    student = "masked-face"
    most_parameters = 1_200_000


class TestFaceDetector(StudentContract):
    student = "face-detector"
    most_parameters = 100_000


class TestItemDetector(StudentContract):
    student = "item-detector"
    most_parameters = 500_000


class TestNeighbours(StudentContract):
    student = "neighbours"
    most_parameters = 400_000


class TestClassNet(StudentContract):
    student = "class-net"
    most_parameters = 2_200_000


class TestTracker(StudentContract):
    student = "tracker"
    most_parameters = 3_000_000


def test_every_student_is_covered():
    covered = {c.student for c in StudentContract.__subclasses__()}
    assert covered == set(plugins.names(plugins.STUDENTS))
