package org.edgesdk.core

import kotlin.math.abs
import kotlin.math.ln
import kotlin.math.max
import kotlin.math.min

/** A golden stage and what is wrong with it; no reason means it is right. */
data class StageVerdict(val stage: String, val reason: String?)

/**
 * What a bundle's golden vectors say about this device.
 *
 * @property stages align, pre, infer, post, as far as the bundle has vectors for them.
 * @property cosineMin Lowest cosine of an embedding to the stored one, NaN if none was made.
 */
class SelfTest(val stages: List<StageVerdict>, val cosineMin: Double) {
    val passed get() = stages.all { it.reason == null }

    /** One sentence that names the first wrong stage, null where all are right. */
    val problem get() = stages.firstOrNull { it.reason != null }?.let {
        "the self-test failed in the stage ${NAMES[it.stage]}: ${it.reason}; export the bundle again"
    }

    companion object {
        private val NAMES = mapOf(
            "align" to "align (alignment)",
            "pre" to "pre (pre-processing)",
            "infer" to "infer (inference)",
            "post" to "post (comparison of embeddings)",
        )

        /** Runs every stage on this device; each starts from stored vectors, so one fault shows once. */
        fun run(bundle: Bundle, embedder: FaceEmbedder): SelfTest =
            sound("golden/index.json") { checked(bundle, embedder) }

        private fun checked(bundle: Bundle, embedder: FaceEmbedder): SelfTest {
            val golden = Golden(bundle)
            val found = embedder.outputs(golden.tensor(), golden.pictures().size)
            val cosines = golden.embeddings().zip(found) { a, b -> cosine(a, b).toDouble() }
            val stages = listOf(
                StageVerdict("align", alignReason(golden)),
                StageVerdict("pre", preReason(bundle, golden)),
                StageVerdict("infer", inferReason(golden, found)),
                StageVerdict("post", postReason(bundle, golden)),
            )
            return SelfTest(stages, cosines.minOrNull() ?: Double.NaN)
        }

        private fun alignReason(golden: Golden): String? =
            golden.index["align"].items.firstNotNullOfOrNull { case ->
                val points = case["points"].items.map { p -> p.doubles().let { Point(it[0], it[1]) } }
                val photo = golden.pictures(case["picture"]).single()
                val made = Align.read(case).crop(photo, points, case["pad_value"].double)
                val want = golden.pictures(case["crop"]).single()
                apart("the aligned crop", floats(want), floats(made), case["max_abs"].double)
            }

        private fun preReason(bundle: Bundle, golden: Golden): String? {
            val case = golden.index["pre"].items.first { it["input"].string == bundle.input }
            val made = bundle.preprocess.tensor(golden.pictures())
            return apart("input '${bundle.input}'", golden.tensor(), made, case["max_abs"].double)
        }

        private fun inferReason(golden: Golden, found: List<FloatArray>): String? {
            val want = golden.embeddings()
            if (found.size != want.size || found[0].size != want[0].size) return "the output has another shape"
            if (found.any { row -> row.any { !it.isFinite() } }) return "the output holds NaN or infinity"
            return Tolerance.read(golden.index["infer"]["tolerance"]).reason(want, found)
        }

        private fun postReason(bundle: Bundle, golden: Golden): String? {
            val rows = golden.embeddings()
            return golden.index["post"].items.filter { it["output"].string == bundle.output }
                .firstNotNullOfOrNull { case ->
                    val want = case["cosine"].items.flatMap { it.doubles().map(Double::toFloat) }
                    val made = rows.flatMap { a -> rows.map { b -> cosine(a, b) } }
                    apart("the similarity", want.toFloatArray(), made.toFloatArray(), case["max_abs"].double)
                }
        }

        private fun floats(picture: Picture) = FloatArray(picture.rgb.size) { (picture.rgb[it].toInt() and 0xFF).toFloat() }

        private fun apart(what: String, want: FloatArray, made: FloatArray, most: Double): String? {
            if (want.size != made.size) return "$what has ${made.size} values, ${want.size} wanted"
            val error = want.indices.maxOf { abs(want[it].toDouble() - made[it]) }
            return if (error <= most) null else "$what is off by %.3g, at most %.3g allowed".format(null, error, most)
        }
    }
}

/** When outputs count as equal to those of the source; null leaves a rule out. */
class Tolerance(
    val atol: Double?,
    val rtol: Double,
    val relativeToMax: Double?,
    val cosineP1: Double?,
    val snrDb: Double?,
) {
    /** Returns what breaks the tolerance, null for nothing: `judge` of `edgesdk/core/compare.py`. */
    fun reason(want: List<FloatArray>, found: List<FloatArray>): String? {
        val top = want.maxOf { row -> row.maxOf { abs(it.toDouble()) } }
        val near = atol?.let { it * max(1.0, top) }
        var most = 0.0
        var over = 0
        var signal = 0.0
        var noise = 0.0
        want.zip(found) { w, f ->
            for (i in w.indices) {
                val error = abs(f[i].toDouble() - w[i])
                most = max(most, error)
                if (near != null && error > near + rtol * abs(w[i])) over++
                signal += w[i].toDouble() * w[i]
                noise += error * error
            }
        }
        val p1 = percentile(want.zip(found) { a, b -> cosine(a, b).toDouble() }.toDoubleArray(), 1)
        val ratio = if (noise == 0.0) EQUAL_DB else min(EQUAL_DB, 10 * ln(max(signal, 1e-300) / noise) / ln(10.0))
        return when {
            over > 0 -> "$over values differ by more than $near + $rtol x reference (largest difference $most)"
            relativeToMax != null && most > relativeToMax * top -> "largest difference $most, allowed ${relativeToMax * top}"
            cosineP1 != null && p1 < cosineP1 -> "cosine p1 $p1, at least $cosineP1 wanted"
            snrDb != null && ratio < snrDb -> "SNR $ratio dB, at least $snrDb dB wanted"
            else -> null
        }
    }

    companion object {
        private const val EQUAL_DB = 200.0

        fun read(node: Node) = Tolerance(
            node.find("atol")?.double,
            node["rtol"].double,
            node.find("relative_to_max")?.double,
            node.find("cosine_p1")?.double,
            node.find("snr_db")?.double,
        )
    }
}
