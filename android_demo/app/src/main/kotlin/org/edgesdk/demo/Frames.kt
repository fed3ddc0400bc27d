package org.edgesdk.demo

import org.edgesdk.core.Picture

/** Where pictures come from: the camera, or a test. */
interface Frames {
    /**
     * Starts the pictures.
     *
     * @param seen Gets each picture, upright, on a thread of its own; pictures that come while it
     *     works are dropped.
     * @param failed Gets one sentence where no picture will come.
     */
    fun start(seen: (Picture) -> Unit, failed: (String) -> Unit)

    /** Stops them; stopping twice is allowed. */
    fun stop()

    /** Pictures dropped so far because the one before was still looked at. */
    val dropped: Int

    /** Whether a viewer expects a mirror, as of a front camera; the pictures themselves are none. */
    val mirror: Boolean
}
