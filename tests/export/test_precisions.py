"""A precision that no target of this repository has is proven like the coarsest known one."""

from dataclasses import replace

from edgesdk.core.bundle import seal
from edgesdk_export._pipeline import verify_bundle
from edgesdk_export._proof import BATCH_SHARE, batch_share


def test_a_bundle_of_another_precision_is_verified(export, source):
    odd = seal(replace(export(), precision="int4"))
    assert verify_bundle(odd).verdict == "pass"
    assert batch_share("int4") == BATCH_SHARE["int8"] > batch_share("fp32")
