package org.edgesdk.core

import kotlin.math.ceil
import kotlin.math.sqrt

/** What to measure; the fields of `BenchPlan` in `edgesdk/core/result.py`. */
data class Plan(
    val seconds: Double = 30.0,
    val threads: Int = 1,
    val warmup: Int = 10,
    val iterations: Int = 100,
    val batch: Int = 1,
)

/**
 * Raw times of one stage in nanoseconds per run, in the order they were taken; none is dropped.
 *
 * @property repeat Runs that one sample averages.
 */
class Series(
    val stage: String,
    val samples: LongArray,
    val warmups: LongArray,
    val batch: Int = 1,
    val repeat: Int = 1,
) {
    private val ms = DoubleArray(samples.size) { samples[it] / 1e6 }

    fun p(percent: Int) = percentile(ms, percent)

    val minMs get() = ms.minOrNull() ?: Double.NaN

    val facesPerSecond get() = batch / p(50) * 1e3

    /** The statistics that the Python side prints beside the samples. */
    fun statistics(): Map<String, Any> {
        val mean = ms.average()
        val std = sqrt(ms.sumOf { (it - mean) * (it - mean) } / ms.size)
        val base = mapOf(
            "count" to ms.size, "mean" to mean, "std" to std, "cv" to std / mean,
            "min" to minMs, "max" to (ms.maxOrNull() ?: Double.NaN),
        )
        val thin = PERCENTILES.filter { ms.size * (100 - it) / 100.0 < 10 }.map { "p$it" }
        return base + PERCENTILES.associate { "p$it" to p(it) } + mapOf("thin" to thin, "items_s" to facesPerSecond)
    }

    /** Median and p90 of each stretch of `seconds`: where the device slows down, it shows. */
    fun windows(seconds: Double = 10.0): List<Map<String, Any>> {
        val found = ArrayList<Map<String, Any>>()
        var from = 0
        var spent = 0L
        for (at in samples.indices) {
            spent += samples[at] * repeat
            if (spent >= seconds * 1e9 || at == samples.lastIndex) {
                val part = Series(stage, samples.copyOfRange(from, at + 1), LongArray(0), batch)
                found.add(mapOf("count" to part.samples.size, "p50_ms" to part.p(50), "p90_ms" to part.p(90)))
                from = at + 1
                spent = 0
            }
        }
        return found
    }

    private companion object {
        val PERCENTILES = listOf(50, 90, 95, 99)
    }
}

/**
 * Runs a piece of work for a given time.
 *
 * @param clock Nanoseconds that only grow; a test gives its own.
 */
class BenchRunner(private val clock: () -> Long = System::nanoTime) {
    /** Returns the times of `work`: warm-up first, then at least the plan's seconds and iterations. */
    fun measure(stage: String, plan: Plan, work: () -> Unit): Series {
        val warmups = Times()
        while (warmups.count < plan.warmup || warmups.total < WARMUP_NS) warmups.add(timed(work, 1), 1)
        val repeat = repeat(warmups.array(), plan.seconds)
        val samples = Times()
        while (samples.count < plan.iterations || samples.total < plan.seconds * 1e9) {
            samples.add(timed(work, repeat), repeat)
        }
        return Series(stage, samples.array(), warmups.array(), plan.batch, repeat)
    }

    /** Returns the time of one single run, such as loading. */
    fun once(stage: String, work: () -> Unit) = Series(stage, longArrayOf(timed(work, 1)), LongArray(0))

    /** Averages several runs where they are too short for the clock, or too many for a file. */
    private fun repeat(warmups: LongArray, seconds: Double): Int {
        val typical = percentile(DoubleArray(warmups.size) { warmups[it].toDouble() }, 50)
        return ceil(maxOf(1.0, SAMPLE_NS / typical, seconds * 1e9 / typical / MOST_SAMPLES)).toInt()
    }

    // A time of 0 would be refused; a clock may tick more slowly than the work takes.
    private fun timed(work: () -> Unit, repeat: Int): Long {
        val begin = clock()
        for (i in 0 until repeat) work()
        return maxOf(clock() - begin, repeat.toLong())
    }

    private class Times {
        private var values = LongArray(1024)
        var count = 0
            private set
        var total = 0L
            private set

        fun add(time: Long, repeat: Int) {
            if (count == values.size) values = values.copyOf(count * 2)
            values[count++] = time / repeat
            total += time
        }

        fun array() = values.copyOf(count)
    }

    private companion object {
        const val WARMUP_NS = 200_000_000L
        const val SAMPLE_NS = 5_000
        const val MOST_SAMPLES = 100_000
    }
}
