package org.edgesdk.core

import kotlin.math.exp
import kotlin.math.max
import kotlin.math.min

/**
 * A face that a detector tells of.
 *
 * @property box x, y of the upper left corner, width, height, in pixels.
 * @property points Eyes, nose, mouth corners; picture's left first.
 */
class Detection(val box: List<Double>, val points: List<Point>, val score: Double) {
    val area get() = box[2] * box[3]

    /** The same in pixels of a picture `factor` times as large. */
    fun scaled(factor: Double) = Detection(box.map { it * factor }, points.map { Point(it.x * factor, it.y * factor) }, score)

    /** Area that two boxes have in common. */
    internal fun common(other: Detection): Double {
        val wide = min(box[0] + box[2], other.box[0] + other.box[2]) - max(box[0], other.box[0])
        val high = min(box[1] + box[3], other.box[1] + other.box[3]) - max(box[1], other.box[1])
        return max(wide, 0.0) * max(high, 0.0)
    }
}

/** From the maps of a face detector to faces: the numbers of `edgesdk/boxes.py`. */
object FaceMaps {
    private val STRIDES = listOf(8, 16, 32)

    /** The heads, and the numbers of a cell in each. */
    val HEADS = mapOf("score" to 1, "box" to 4, "points" to 10)

    /** Larger faces than e^LARGEST cells are none. */
    private const val LARGEST = 6.0

    /** The names of all maps. */
    val names get() = STRIDES.flatMap { s -> HEADS.keys.map { "${it}_$s" } }

    /**
     * Returns the faces from `least` on, surest first.
     *
     * @param maps score_S (logits), box_S and points_S of one picture for each stride S, channel by channel.
     * @param width Of the picture in pixels.
     */
    fun decode(maps: Map<String, FloatArray>, width: Int, least: Double): List<Detection> =
        STRIDES.flatMap { cells(maps, it, width / it, least) }.sortedByDescending { it.score }

    private fun cells(maps: Map<String, FloatArray>, stride: Int, columns: Int, least: Double): List<Detection> {
        val (score, box, points) = HEADS.keys.map { maps.getValue("${it}_$stride") }
        val count = score.size
        return (0 until count).mapNotNull { cell ->
            val chance = 1 / (1 + exp(-score[cell].toDouble().coerceIn(-50.0, 50.0)))
            if (!(chance >= least)) return@mapNotNull null
            val x = cell % columns
            val y = cell / columns
            val (width, height) = listOf(2, 3).map { exp(min(box[it * count + cell].toDouble(), LARGEST)) * stride }
            val left = (x + box[cell].toDouble()) * stride - width / 2
            val top = (y + box[count + cell].toDouble()) * stride - height / 2
            val five = List(5) {
                Point((x + points[2 * it * count + cell].toDouble()) * stride, (y + points[(2 * it + 1) * count + cell].toDouble()) * stride)
            }
            Detection(listOf(left, top, width, height), five, chance)
        }
    }

    /** Of sorted faces whose intersection over union is above `overlap`, returns the surest. */
    fun suppress(faces: List<Detection>, overlap: Double): List<Detection> {
        val kept = mutableListOf<Detection>()
        for (face in faces) {
            if (kept.all { it.common(face) <= overlap * (it.area + face.area - it.common(face)) }) kept += face
        }
        return kept
    }

    /** Joins what looks of several sizes found; half of the smaller box in common is one face, the first one counts. */
    fun join(looks: List<List<Detection>>): List<Detection> {
        val kept = mutableListOf<Detection>()
        for (look in looks) {
            kept += look.filter { face -> kept.none { it.common(face) > 0.5 * min(it.area, face.area) } }
        }
        return kept.sortedByDescending { it.score }
    }
}
