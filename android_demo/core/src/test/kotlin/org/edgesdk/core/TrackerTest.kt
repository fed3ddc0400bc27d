package org.edgesdk.core

import kotlin.math.abs
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

class TrackerTest {
    private val vectors = Vectors()
    private val bundle = OrtTracker.bundle(FolderSource(folder("edgesdk.tracker")))
    private val track = vectors.index["track"]

    @Test
    fun cropsEqualThoseOfPython() {
        val frame = vectors.picture(track["frame"])
        for (case in track["crops"].items) {
            val (x, y) = case["at"].items.map { it.double }
            val made = TrackSteps.crop(frame, Spot(x, y), case["side"].double, case["size"].int)
            assertArrayEquals(case.place, vectors.floats(case["crop"]), made, 0f)
        }
    }

    @Test
    fun sentencesEqualThoseOfPython() {
        for (case in track["sentences"].items) {
            val made = Words.features(case["text"].string, case["words"].int, case["dims"].int)
            assertArrayEquals(case["text"].string, vectors.floats(case["rows"]), made, 1e-6f)
        }
    }

    @Test
    fun goldenSequencesGiveTheBoxesOfPython() {
        val lost = track["sequences"].items.map { case -> follow(case) }
        assertEquals("both ways are tried", listOf(false, true), lost)
    }

    /** Compares one sequence; returns whether its target was ever lost. */
    private fun follow(case: Node): Boolean = OrtTracker(bundle, 1, Policy.read(case["policy"]).orOwn(case)).use { tracker ->
        val frames = case["frames"].items.map(vectors::picture)
        val rows = case["rows"].items.map { it.doubles() }
        var state = tracker.start(frames[0], case["box"].items.map { it.double }, case["text"].string)
        rows.forEachIndexed { i, want ->
            if (i > 0) state = tracker.update(frames[i])
            val found = state.box + state.score + (if (state.lost) 1.0 else 0.0)
            val limits = listOf(0.05, 0.05, 0.05, 0.05, 1e-3, 0.0)
            found.forEachIndexed { k, v -> assertTrue("${case.place} frame $i: ${want[k]} $v", abs(want[k] - v) <= limits[k]) }
        }
        rows.any { it[5] == 1.0 }
    }

    /** The bundle's own policy where a case tells none. */
    private fun Policy.orOwn(case: Node) =
        if (case["policy"].members.isEmpty()) Policy.read(bundle.manifest["postprocess"].find("policy")) else this

    @Test
    fun aBrokenFrameMovesNothing() = OrtTracker(bundle, 1).use { tracker ->
        val frame = vectors.picture(track["frame"])
        val begun = tracker.start(frame, listOf(20.0, 20.0, 30.0, 20.0))
        val found = tracker.update(null)
        assertEquals(begun.box, found.box)
        assertEquals(0.0, found.score, 0.0)
        assertEquals(false, found.lost)
    }

    @Test
    fun whatMakesNoSenseIsRefused() {
        val frame = Picture(40, 30, ByteArray(40 * 30 * 3))
        OrtTracker(bundle, 1).use { tracker ->
            refused("call start") { tracker.update(frame) }
            refused("outside the frame of 40x30") { tracker.start(frame, listOf(90.0, 1.0, 5.0, 5.0)) }
            refused("above 0 pixels") { tracker.start(frame, listOf(1.0, 1.0, 0.0, 5.0)) }
        }
        refused("'face-embedding'", "'tracking'") { OrtTracker(realBundle, 1).close() }
        refused("'tracking'", "'face-embedding'") { Bundle.open(FolderSource(folder("edgesdk.tracker"))) }
    }
}
