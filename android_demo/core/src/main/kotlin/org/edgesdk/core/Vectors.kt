package org.edgesdk.core

import kotlin.math.ceil
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.sqrt

/** Returns `row` at unit length; a zero row stays zero. */
fun unit(row: FloatArray): FloatArray {
    val length = max(sqrt(row.sumOf { it.toDouble() * it }), 1e-12)
    return FloatArray(row.size) { (row[it] / length).toFloat() }
}

/** Returns the cosine of two rows, -1..1. */
fun cosine(a: FloatArray, b: FloatArray): Float {
    val one = unit(a)
    val other = unit(b)
    return one.indices.sumOf { one[it].toDouble() * other[it] }.coerceIn(-1.0, 1.0).toFloat()
}

/** Returns a percentile with linear interpolation, as numpy's does. */
fun percentile(values: DoubleArray, percent: Int): Double {
    if (values.isEmpty()) return Double.NaN
    val sorted = values.sortedArray()
    val place = (sorted.size - 1) * percent / 100.0
    val low = sorted[floor(place).toInt()]
    val high = sorted[ceil(place).toInt()]
    return low + (high - low) * (place - floor(place))
}
