package org.edgesdk.core

import kotlin.math.abs
import kotlin.math.roundToInt
import kotlin.random.Random
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

class YuvTest {
    private val random = Random(5)

    private fun plane(width: Int, height: Int, padding: Int, pixelStride: Int): Plane {
        val rowStride = width * pixelStride + padding
        // As on phones: the last row ends after its last pixel.
        return Plane(random.nextBytes((height - 1) * rowStride + (width - 1) * pixelStride + 1), rowStride, pixelStride)
    }

    private fun frame(width: Int, height: Int, padding: Int, pixelStride: Int): Yuv {
        val (w, h) = Pair((width + 1) / 2, (height + 1) / 2)
        return Yuv(width, height, plane(width, height, padding, 1), plane(w, h, padding, pixelStride), plane(w, h, padding, pixelStride))
    }

    private fun wanted(yuv: Yuv, x: Int, y: Int): List<Int> {
        val luma = yuv.y.at(x, y).toDouble()
        val u = yuv.u.at(x / 2, y / 2) - 128
        val v = yuv.v.at(x / 2, y / 2) - 128
        return listOf(luma + 1.402 * v, luma - 0.344136 * u - 0.714136 * v, luma + 1.772 * u)
            .map { it.roundToInt().coerceIn(0, 255) }
    }

    @Test
    fun convertsAllStridesAndOddSizes() {
        for ((width, height) in listOf(8 to 6, 7 to 5, 1 to 1)) {
            for (padding in listOf(0, 3)) {
                for (pixelStride in listOf(1, 2)) {
                    val yuv = frame(width, height, padding, pixelStride)
                    val picture = yuv.toPicture(0)
                    for (y in 0 until height) for (x in 0 until width) for (c in 0..2) {
                        assertTrue(abs(wanted(yuv, x, y)[c] - picture.at(x, y, c)) <= 1)
                    }
                }
            }
        }
    }

    @Test
    fun turnsClockwise() {
        val yuv = frame(7, 5, 2, 2)
        val plain = yuv.toPicture(0)
        val (w, h) = Pair(7, 5)
        for (rotation in listOf(0, 90, 180, 270)) {
            val turned = yuv.toPicture(rotation)
            assertEquals(if (rotation % 180 != 0) h else w, turned.width)
            for (y in 0 until h) for (x in 0 until w) {
                val (tx, ty) = when (rotation) {
                    0 -> x to y
                    90 -> h - 1 - y to x
                    180 -> w - 1 - x to h - 1 - y
                    else -> y to w - 1 - x
                }
                assertEquals(plain.at(x, y, 1), turned.at(tx, ty, 1))
            }
        }
    }

    @Test
    fun refusesPlanesThatAreTooSmall() {
        val good = frame(8, 6, 0, 1)
        refused("planes too small") { Yuv(8, 8, good.y, good.u, good.v) }
        refused("planes too small") { Yuv(8, 6, good.y, Plane(ByteArray(3), 4, 1), good.v) }
        refused("planes too small") { Yuv(0, 6, good.y, good.u, good.v) }
    }
}
