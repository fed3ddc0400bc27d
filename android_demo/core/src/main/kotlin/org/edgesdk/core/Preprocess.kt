package org.edgesdk.core

import kotlin.math.abs
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min

/**
 * From pictures to the input tensor: resize, then (pixel - mean) / std.
 *
 * The same arithmetic as `edgesdk/core/preprocess.py`. Android's own scaling rounds
 * differently, and a network sees the difference.
 */
data class Preprocess(
    val height: Int,
    val width: Int,
    val color: String,
    val mean: List<Float>,
    val std: List<Float>,
    val layout: String,
    val padValue: Double,
    val align: Align?,
) {
    /** Elements of one picture's tensor. */
    val elements get() = height * width * 3

    /** Returns the tensor of a batch, in the bundle's own layout. */
    fun tensor(pictures: List<Picture>): FloatArray {
        val out = FloatArray(pictures.size * elements)
        pictures.forEachIndexed { place, picture -> fill(out, place * elements, picture) }
        return out
    }

    private fun fill(out: FloatArray, from: Int, picture: Picture) {
        val resized = resize(picture, height, width)
        for (pixel in 0 until height * width) {
            for (channel in 0 until 3) {
                val source = if (color == "BGR") 2 - channel else channel
                val value = (resized[pixel * 3 + source] - mean[channel]) / std[channel]
                val to = if (layout == "NCHW") channel * height * width + pixel else pixel * 3 + channel
                out[from + to] = value
            }
        }
    }

    companion object {
        /** Reads the pre-processing of a manifest and refuses what this code cannot do. */
        fun read(node: Node): Preprocess {
            val (height, width) = node["size"].items.map { it.int }.also { sized(node, it) }
            only(node["resize"], "stretch")
            only(node["interpolation"], "bicubic")
            only(node["dtype"], "float32")
            if (!node["antialias"].boolean) throw Problem("${node.place}.antialias must be true")
            return Preprocess(
                height,
                width,
                only(node["color"], "RGB", "BGR"),
                triple(node["mean"]),
                triple(node["std"]),
                only(node["layout"], "NCHW", "NHWC"),
                node["pad_value"].double,
                node.find("align")?.let(Align::read),
            )
        }

        private fun sized(node: Node, size: List<Int>) {
            if (size.size != 2 || size.any { it !in 1..4096 }) {
                throw Problem("${node.place}.size must be [height, width], found $size")
            }
        }

        internal fun only(node: Node, vararg known: String): String =
            node.string.also {
                if (it !in known) {
                    throw Problem("${node.place} is '$it', this app knows ${known.joinToString(" and ")}")
                }
            }

        private fun triple(node: Node): List<Float> {
            val found = node.doubles().map { it.toFloat() }
            if (found.size != 3) throw Problem("${node.place} must hold three numbers, found ${found.size}")
            return found
        }
    }
}

/** What one axis takes from its source: `weights[i]` lie from `first[i]` on. */
internal class Taps(val first: IntArray, val weights: Array<FloatArray>)

private const val CUBIC = -0.5

/** Returns `picture` resized, [height, width, 3] on the scale 0..255. */
internal fun resize(picture: Picture, height: Int, width: Int): FloatArray {
    val rows = taps(picture.height, height)
    val columns = taps(picture.width, width)
    val line = picture.width * 3
    val tall = FloatArray(line)
    val out = FloatArray(height * width * 3)
    for (y in 0 until height) {
        for (i in 0 until line) {
            var sum = 0.0
            rows.weights[y].forEachIndexed { k, weight ->
                sum += weight.toDouble() * (picture.rgb[(rows.first[y] + k) * line + i].toInt() and 0xFF)
            }
            tall[i] = sum.toFloat()
        }
        for (x in 0 until width) {
            for (c in 0 until 3) {
                var sum = 0.0
                columns.weights[x].forEachIndexed { k, weight ->
                    sum += weight.toDouble() * tall[(columns.first[x] + k) * 3 + c]
                }
                out[(y * width + x) * 3 + c] = sum.toFloat().coerceIn(0f, 255f)
            }
        }
    }
    return out
}

/** Returns the weights of one axis: shrinking averages areas, enlarging is a Catmull-Rom cubic. */
internal fun taps(source: Int, target: Int): Taps {
    val rows = Array(target) { if (source >= target) area(source, target, it) else cubic(source, target, it) }
    val first = IntArray(target) { t -> rows[t].indexOfFirst { it != 0.0 } }
    val weights = Array(target) { t ->
        val sum = rows[t].sum()
        val last = rows[t].indexOfLast { it != 0.0 }
        FloatArray(last - first[t] + 1) { (rows[t][first[t] + it] / sum).toFloat() }
    }
    return Taps(first, weights)
}

private fun area(source: Int, target: Int, index: Int): DoubleArray {
    val step = source.toDouble() / target
    val low = index * step
    val high = (index + 1) * step
    return DoubleArray(source) { max(0.0, min(it + 1.0, high) - max(it.toDouble(), low)) }
}

private fun cubic(source: Int, target: Int, index: Int): DoubleArray {
    val centre = (index + 0.5) * (source.toDouble() / target) - 0.5
    val row = DoubleArray(source)
    for (tap in -1..2) {
        val place = floor(centre).toInt() + tap
        row[place.coerceIn(0, source - 1)] += kernel(abs(centre - place))
    }
    return row
}

private fun kernel(distance: Double): Double =
    when {
        distance <= 1 -> ((CUBIC + 2) * distance - (CUBIC + 3)) * distance * distance + 1
        distance < 2 -> CUBIC * (((distance - 5) * distance + 8) * distance - 4)
        else -> 0.0
    }
