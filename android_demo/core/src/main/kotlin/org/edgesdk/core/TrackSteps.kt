package org.edgesdk.core

import kotlin.math.PI
import kotlin.math.abs
import kotlin.math.ceil
import kotlin.math.cos
import kotlin.math.exp
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min
import kotlin.math.sqrt

/** How scores of one frame become the next box; what a bundle leaves out is as in `edgesdk/track_steps.py`. */
data class Policy(
    val window: Double = 0.455,
    val penalty: Double = 0.055,
    val rate: Double = 0.37,
    val motion: Double = 0.0,
    val still: Double = 0.0,
    val look: Double = 0.0,
    val lost: Double = 0.1,
    val patience: Int = 5,
    val update: Double = 0.0,
    val sure: Double = 0.8,
) {
    companion object {
        /** Reads the policy of a manifest, null for none. */
        fun read(told: Node?): Policy {
            val none = Policy()
            if (told == null) return none
            fun number(name: String, other: Double) = told.find(name)?.double ?: other
            return Policy(
                number("window", none.window), number("penalty", none.penalty), number("rate", none.rate),
                number("motion", none.motion), number("still", none.still), number("look", none.look),
                number("lost", none.lost), told.find("patience")?.int ?: none.patience,
                number("update", none.update), number("sure", none.sure),
            )
        }
    }
}

/** A place, or a width and a height, in pixels. */
data class Spot(val x: Double, val y: Double)

/** A box relative to the crop's middle: x, y of its own middle, width, height. */
internal class CellBox(val x: Double, val y: Double, val width: Double, val height: Double)

/** What a tracker does around its network: the numbers of `edgesdk/track_steps.py`. */
internal object TrackSteps {
    private const val CONTEXT = 0.5

    /** Weights of a resized pixel are whole numbers of 1 / 2^22, as Pillow's are. */
    private const val BITS = 22

    /** The side of the square that holds the target and its surroundings. */
    fun targetSide(width: Double, height: Double): Double {
        val margin = CONTEXT * (width + height)
        return sqrt((width + margin) * (height + margin))
    }

    /** A square of a picture as the network's input, [3, size, size] of 0..255; outside lies the mean colour. */
    fun crop(picture: Picture, at: Spot, side: Double, size: Int): FloatArray {
        val reach = max(side / size, 1.0) + 1
        val corner = listOf(at.x - side / 2, at.y - side / 2)
        val low = corner.map { floor(it - reach).toInt() }
        val count = corner.mapIndexed { k, v -> ceil(v + side + reach).toInt() - low[k] }
        val (columns, rows) = corner.mapIndexed { k, v -> bands(count[k], v - low[k], v - low[k] + side, size) }
        return squeeze(widths(picture, low, count, columns, size), rows, size)
    }

    private class Band(val start: Int, val weights: IntArray)

    /** Per pixel of the result its first source pixel and weights: a triangle as wide as a pixel of the result. */
    private fun bands(count: Int, from: Double, to: Double, size: Int): List<Band> {
        val begin = from.toFloat()
        val scale = (to.toFloat() - begin).toDouble() / size
        val support = max(scale, 1.0)
        return List(size) { i ->
            val centre = begin + (i + 0.5) * scale
            val start = max((centre - support + 0.5).toInt(), 0)
            val end = min((centre + support + 0.5).toInt(), count)
            val weights = DoubleArray(end - start) { max(1 - abs((it + start - centre + 0.5) * (1 / support)), 0.0) }
            val sum = weights.sum()
            Band(start, IntArray(weights.size) { ((weights[it] / sum) * (1 shl BITS) + 0.5).toInt() })
        }
    }

    private fun widths(picture: Picture, low: List<Int>, count: List<Int>, columns: List<Band>, size: Int): ByteArray {
        val outside = meanColour(picture)
        val line = IntArray(count[0] * 3)
        val out = ByteArray(count[1] * size * 3)
        for (y in 0 until count[1]) {
            readLine(picture, low, y, line, outside)
            columns.forEachIndexed { i, band ->
                for (c in 0 until 3) {
                    var sum = 1 shl (BITS - 1)
                    for (k in band.weights.indices) sum += band.weights[k] * line[(band.start + k) * 3 + c]
                    out[(y * size + i) * 3 + c] = min(sum shr BITS, 255).toByte()
                }
            }
        }
        return out
    }

    private fun readLine(picture: Picture, low: List<Int>, y: Int, line: IntArray, outside: IntArray) {
        val row = low[1] + y
        for (x in 0 until line.size / 3) {
            val column = low[0] + x
            val inside = row in 0 until picture.height && column in 0 until picture.width
            for (c in 0 until 3) line[x * 3 + c] = if (inside) picture.at(column, row, c) else outside[c]
        }
    }

    private fun squeeze(lines: ByteArray, rows: List<Band>, size: Int): FloatArray {
        val out = FloatArray(3 * size * size)
        rows.forEachIndexed { y, band ->
            for (i in 0 until size * 3) {
                var sum = 1 shl (BITS - 1)
                for (k in band.weights.indices) {
                    sum += band.weights[k] * (lines[(band.start + k) * size * 3 + i].toInt() and 0xFF)
                }
                out[(i % 3) * size * size + y * size + i / 3] = min(sum shr BITS, 255).toFloat()
            }
        }
        return out
    }

    /** The mean of every n-th pixel, whole numbers. */
    private fun meanColour(picture: Picture): IntArray {
        val across = max(1, picture.width / 64)
        val down = max(1, picture.height / 64)
        val sum = LongArray(3)
        var count = 0
        for (y in 0 until picture.height step down) {
            for (x in 0 until picture.width step across) {
                for (c in 0 until 3) sum[c] += picture.at(x, y, c).toLong()
                count++
            }
        }
        return IntArray(3) { (sum[it] / count).toInt() }
    }

    /** The boxes of all cells from distances [4, cells, cells] to left, top, right and bottom. */
    fun boxesIn(distances: FloatArray, cells: Int, stride: Int): List<CellBox> {
        val count = cells * cells
        fun place(i: Int) = (i - cells / 2) * stride.toDouble()
        return List(count) { i ->
            val (left, top, right, bottom) = List(4) { distances[it * count + i].toDouble() }
            CellBox(place(i % cells) + (right - left) / 2, place(i / cells) + (bottom - top) / 2, left + right, top + bottom)
        }
    }

    /** A cosine window whose top lies at the crop's middle cell. */
    fun cosineWindow(cells: Int): DoubleArray {
        val line = DoubleArray(cells) { 0.5 - 0.5 * cos(2 * PI * it / cells) }
        return DoubleArray(cells * cells) { line[it / cells] * line[it % cells] }
    }

    /** The cell to believe, and the share of its box's size to take over. */
    fun choose(scores: FloatArray, boxes: List<CellBox>, size: Spot, policy: Policy): Pair<Int, Double> {
        fun worse(ratio: Double) = max(ratio, 1 / ratio)
        val window = cosineWindow(sqrt(scores.size.toDouble()).toInt())
        val whole = targetSide(size.x, size.y)
        val shape = size.x / max(size.y, 1e-3)
        val kept = DoubleArray(scores.size) {
            val width = max(boxes[it].width, 1e-3)
            val height = max(boxes[it].height, 1e-3)
            val changed = worse(targetSide(width, height) / whole) * worse(shape / (width / height))
            exp(-(changed - 1) * policy.penalty) * scores[it]
        }
        val told = kept.indices.map { kept[it] * (1 - policy.window) + window[it] * policy.window }
        val best = told.indices.maxByOrNull { told[it] } ?: 0
        return best to kept[best] * policy.rate
    }
}
