package org.edgesdk.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

class RecogniserTest {
    private val golden = Golden(realBundle)
    private val case = golden.index["align"].items.first()
    private val photo = golden.pictures(case["picture"]).single()

    private fun eyes(x: Double, y: Double, apart: Double) =
        FoundFace(listOf(Point(x - apart / 2, y), Point(x + apart / 2, y)))

    private fun <T> with(vararg faces: FoundFace, work: (Recogniser) -> T): T =
        OrtFaceEmbedder(realBundle, 1).use { work(Recogniser(it, Gallery(thresholdBundle), { faces.toList() })) }

    @Test
    fun looksAtTheLargestFaceFirstAndLeavesTinyOnesOut() {
        val seen = with(eyes(20.0, 20.0, 10.0), eyes(60.0, 60.0, 40.0), eyes(90.0, 90.0, 5.0)) { it.see(photo) }
        assertEquals(listOf(40.0, 10.0), seen.map { it.face.points[1].x - it.face.points[0].x })
        assertEquals(listOf(16.0, 16.0, 104.0, 128.0), seen[0].face.box)
    }

    @Test
    fun theEmbeddingIsThatOfTheAlignedCrop() {
        val points = case["points"].items.map { p -> p.doubles().let { Point(it[0], it[1]) } }
        val crop = golden.pictures(case["crop"]).single()
        with(FoundFace(points)) { recogniser ->
            val direct = OrtFaceEmbedder(realBundle, 1).use { it.embed(listOf(crop)).single() }
            assertTrue(cosine(direct, recogniser.see(photo).single().embedding) > 0.9999)
        }
    }

    @Test
    fun aCaptionTellsWhatIsKnown() {
        with(eyes(60.0, 60.0, 40.0)) { recogniser ->
            val stranger = recogniser.see(photo).single()
            assertEquals("nobody is enrolled", stranger.caption)
            recogniser.gallery.add("Ada", stranger.embedding)
            assertEquals("Ada 1.00", recogniser.see(photo).single().caption)
            recogniser.gallery.clear()
            recogniser.gallery.add("Bo", FloatArray(realBundle.dim) { -stranger.embedding[it] })
            assertEquals("unknown (Bo -1.00)", recogniser.see(photo).single().caption)
        }
        val face = eyes(1.0, 1.0, 1.0)
        assertEquals("most like Cy 0.50", Seen(face, floatArrayOf(), Match("Cy", 0.5f, null)).caption)
    }

    @Test
    fun aBundleWithoutAlignmentIsRefused() {
        val plain = realBundle.copy(preprocess = realBundle.preprocess.copy(align = null))
        OrtFaceEmbedder(plain, 1).use { refused("how a face is aligned") { Recogniser(it, Gallery(plain), { emptyList() }) } }
    }

    @Test
    fun aRateIsCountedOverTheLastThirty() {
        var now = 0L
        val rate = Rate { now }
        assertEquals(0.0, rate.tick(), 0.0)
        repeat(50) { now += 100_000_000; rate.tick() }
        assertEquals(10.0, rate.also { now += 100_000_000 }.tick(), 1e-9)
    }
}
