package org.edgesdk.core

import kotlin.math.abs
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

class FaceFinderTest {
    private val vectors = Vectors()
    private val detector = Bundle.open(FolderSource(folder("edgesdk.detector")), OrtFaceFinder.TASK)

    @Test
    fun facesOfGoldenMapsEqualThoseOfPython() {
        val cases = vectors.index["faces"].items
        assertEquals(listOf(true, true, true, false), cases.map { it["faces"].items.isNotEmpty() })
        for (case in cases) {
            val maps = FaceMaps.names.associateWith { vectors.floats(case["maps"][it]) }
            val width = case["maps"]["score_8"]["shape"].items.last().int * 8
            val made = FaceMaps.suppress(FaceMaps.decode(maps, width, case["score"].double), case["overlap"].double)
            val want = case["faces"].items.map { it.doubles() }
            assertEquals(case.place, want.size, made.size)
            want.zip(made) { numbers, face ->
                val found = face.box + face.points.flatMap { listOf(it.x, it.y) } + face.score
                numbers.zip(found.toDoubleArray()) { a, b -> assertTrue("$a $b", abs(a - b) <= 1e-4 + 1e-5 * abs(a)) }
            }
        }
    }

    @Test
    fun theMapsOfThePhotoAreThoseOfPython() = OrtFaceFinder(detector, 1).use { finder ->
        val case = vectors.index["photo"]
        val maps = finder.maps(vectors.picture(case["picture"]))
        val golden = vectors.index["faces"].items[case["case"].int]["maps"]
        for (name in FaceMaps.names) {
            val want = vectors.floats(golden[name])
            assertTrue(name, want.indices.all { abs(want[it] - maps.getValue(name)[it]) < 1e-3 })
        }
    }

    @Test
    fun theFaceOfAPhotoIsFoundInItsPixels() = OrtFaceFinder(detector, 1).use { finder ->
        val photo = vectors.picture(vectors.index["photo"]["picture"])
        val surest = finder.detect(photo).first()
        // Her eyes, nose and mouth corners in the photo of 512 pixels, marked by hand.
        val marked = listOf(202.0 to 100.0, 246.0 to 103.0, 224.0 to 126.0, 203.0 to 139.0, 244.0 to 141.0)
        surest.points.zip(marked) { point, (x, y) ->
            assertTrue(abs(point.x * 512 / photo.width - x) < 14 && abs(point.y * 512 / photo.height - y) < 14)
        }
        assertTrue(surest.score > 0.9)
        assertEquals(5, finder.find(photo).first().points.size)
    }

    @Test
    fun aLargeGreyPhotoShowsNobody() = OrtFaceFinder(detector, 1).use {
        assertEquals(0, it.find(Picture(640, 480, ByteArray(640 * 480 * 3) { 127 })).size)
    }

    @Test
    fun aFaceSeenInTwoLooksIsOne() {
        fun face(x: Double, side: Double, score: Double) = Detection(listOf(x, 0.0, side, side), emptyList(), score)
        val joined = FaceMaps.join(listOf(listOf(face(0.0, 10.0, 0.7)), listOf(face(1.0, 8.0, 0.9), face(30.0, 5.0, 0.8))))
        assertEquals(listOf(0.8, 0.7), joined.map { it.score })
    }

    @Test
    fun aBundleOfAnotherTaskIsRefused() {
        refused("'face-embedding'", "'face-detection'") { OrtFaceFinder(realBundle, 1).close() }
        refused("'face-detection'", "'face-embedding'") { Bundle.open(FolderSource(folder("edgesdk.detector"))) }
    }
}
