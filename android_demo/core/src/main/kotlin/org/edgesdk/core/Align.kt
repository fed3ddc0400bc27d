package org.edgesdk.core

import kotlin.math.ceil
import kotlin.math.hypot

/** A position in a picture, in pixels. */
data class Point(val x: Double, val y: Double)

/** The map x' = a x - b y + tx, y' = b x + a y + ty. */
internal class Similarity(val a: Double, val b: Double, val tx: Double, val ty: Double) {
    val scale get() = hypot(a, b)

    private val squared = a * a + b * b

    /** Where a position of the target comes from; two functions, for a pair would be an object. */
    fun backX(x: Double, y: Double) = (a * (x - tx) + b * (y - ty)) / squared

    fun backY(x: Double, y: Double) = (a * (y - ty) - b * (x - tx)) / squared
}

/** How a face is cut out of a photo: the same arithmetic as `align` of `edgesdk/core/preprocess.py`. */
data class Align(val template: String, val size: Int) {
    private val targets get() = ARCFACE.map { Point(it.x * size / 112, it.y * size / 112) }

    /**
     * Returns the square crop of the face whose five points (eyes, nose, mouth corners,
     * picture's left first) are given; of two points only the eyes are taken.
     */
    fun crop(photo: Picture, points: List<Point>, padValue: Double): Picture {
        val forward = similarity(points, targets.take(points.size))
        val grid = ceil(1 / forward.scale).coerceIn(1.0, 16.0).toInt()
        val pad = padValue.toInt()
        val sums = FloatArray(3)
        val out = ByteArray(size * size * 3)
        for (y in 0 until size) {
            for (x in 0 until size) {
                sums.fill(0f)
                for (i in 0 until grid * grid) {
                    val fineX = (x * grid + i % grid + 0.5) / grid - 0.5
                    val fineY = (y * grid + i / grid + 0.5) / grid - 0.5
                    sample(photo, forward.backX(fineX, fineY), forward.backY(fineX, fineY), pad, sums)
                }
                for (c in 0 until 3) {
                    val mean = Math.rint((sums[c] / (grid * grid)).toDouble()).coerceIn(0.0, 255.0)
                    out[(y * size + x) * 3 + c] = mean.toInt().toByte()
                }
            }
        }
        return Picture(size, size, out)
    }

    /** Adds the bilinear sample at a position; one pixel of `pad` lies around the photo. */
    private fun sample(photo: Picture, atX: Double, atY: Double, pad: Int, sums: FloatArray) {
        val x = (atX + 1).coerceIn(0.0, photo.width + 2 - 1.001)
        val y = (atY + 1).coerceIn(0.0, photo.height + 2 - 1.001)
        val left = x.toInt()
        val top = y.toInt()
        val fx = x - left
        val fy = y - top
        for (c in 0 until 3) {
            val upper = padded(photo, left, top, c, pad) * (1 - fx) + padded(photo, left + 1, top, c, pad) * fx
            val lower = padded(photo, left, top + 1, c, pad) * (1 - fx) + padded(photo, left + 1, top + 1, c, pad) * fx
            sums[c] += (upper * (1 - fy) + lower * fy).toFloat()
        }
    }

    private fun padded(photo: Picture, x: Int, y: Int, c: Int, pad: Int): Int =
        if (x in 1..photo.width && y in 1..photo.height) photo.at(x - 1, y - 1, c) else pad

    companion object {
        // The ArcFace template, as in the Python reference.
        private val ARCFACE = listOf(
            Point(38.2946, 51.6963),
            Point(73.5318, 51.5014),
            Point(56.0252, 71.7366),
            Point(41.5493, 92.3655),
            Point(70.7299, 92.2041),
        )

        fun read(node: Node): Align {
            val size = node["size"].int
            if (size !in 1..4096) throw Problem("${node.place}.size is $size, 1 to 4096 is possible")
            return Align(Preprocess.only(node["template"], "arcface"), size)
        }

        /** Least squares over rotation, scale and shift, without reflection (Umeyama 1991). */
        internal fun similarity(points: List<Point>, targets: List<Point>): Similarity {
            require(points.size == 2 || points.size == ARCFACE.size) { "two or five points are needed" }
            val mx = points.sumOf { it.x } / points.size
            val my = points.sumOf { it.y } / points.size
            val nx = targets.sumOf { it.x } / points.size
            val ny = targets.sumOf { it.y } / points.size
            var spread = 0.0
            var a = 0.0
            var b = 0.0
            points.zip(targets) { s, t ->
                spread += (s.x - mx) * (s.x - mx) + (s.y - my) * (s.y - my)
                a += (s.x - mx) * (t.x - nx) + (s.y - my) * (t.y - ny)
                b += (s.x - mx) * (t.y - ny) - (s.y - my) * (t.x - nx)
            }
            if (!(spread >= 1e-9) || !spread.isFinite()) {
                throw Problem("the face points coincide or are not finite; no alignment exists")
            }
            a /= spread
            b /= spread
            return Similarity(a, b, nx - (a * mx - b * my), ny - (b * mx + a * my))
        }
    }
}
