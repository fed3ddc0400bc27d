package org.edgesdk.core

import kotlin.math.abs
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

/** Against what the Python reference answered on the machine that runs the test. */
class PreprocessTest {
    private val vectors = Vectors()

    @Test
    fun tensorsEqualThoseOfPython() {
        val cases = vectors.index["preprocess"].items
        assertEquals(24, cases.size)
        for (case in cases) {
            val made = Preprocess.read(case["how"]).tensor(listOf(vectors.picture(case["pictures"])))
            val want = vectors.floats(case["tensor"])
            assertEquals(want.size, made.size)
            // float32 sums in another order; a grey level is 0.017 here.
            val most = want.indices.maxOf { abs(want[it] - made[it]) }
            assertTrue("${case.place}: off by $most", most < 5e-6)
        }
    }

    @Test
    fun cropsEqualThoseOfPython() {
        val cases = vectors.index["align"].items
        assertEquals(10, cases.size)
        for (case in cases) {
            val points = case["points"].items.map { p -> p.doubles().let { Point(it[0], it[1]) } }
            val made = Align.read(case).crop(vectors.picture(case["picture"]), points, case["pad_value"].double)
            val want = vectors.picture(case["crop"])
            val apart = want.rgb.indices.map { abs((want.rgb[it].toInt() and 0xFF) - (made.rgb[it].toInt() and 0xFF)) }
            // A mean of exactly half a level may round either way, and nothing else may differ.
            assertTrue("${case.place}: off by ${apart.maxOrNull()}", apart.all { it <= 1 })
            assertTrue("${case.place}: ${apart.count { it > 0 }} values differ", apart.count { it > 0 } < apart.size / 1000)
        }
    }

    @Test
    fun aBatchHoldsItsPicturesOneAfterTheOther() {
        val how = realBundle.preprocess
        val (one, other) = Golden(realBundle).pictures()
        assertEquals(
            (how.tensor(listOf(one)) + how.tensor(listOf(other))).toList(),
            how.tensor(listOf(one, other)).toList(),
        )
    }

    @Test
    fun twoEyesAreEnough() {
        val eyes = listOf(Point(38.2946, 51.6963), Point(73.5318, 51.5014))
        val photo = Picture(64, 64, ByteArray(64 * 64 * 3) { (it % 251).toByte() })
        val same = Align("arcface", 112).crop(photo, eyes, 0.0)
        // The eyes lie where the template has them, so the photo stays where it is.
        assertEquals(photo.at(40, 40, 0), same.at(40, 40, 0))
        assertEquals(0, same.at(100, 100, 0))
    }

    @Test
    fun pointsThatCoincideAreRefused() {
        val align = Align("arcface", 112)
        val photo = Golden(realBundle).pictures().first()
        refused("coincide") { align.crop(photo, List(5) { Point(3.0, 3.0) }, 0.0) }
        refused("not finite") { align.crop(photo, List(5) { Point(Double.NaN, it.toDouble()) }, 0.0) }
    }
}
