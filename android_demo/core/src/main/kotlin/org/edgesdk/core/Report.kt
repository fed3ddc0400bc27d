package org.edgesdk.core

/**
 * A result as every `edgesdk bench` writes it (`edgesdk/core/result.py`), and beside it what a
 * phone adds: nonce, ok, error, app, model, run, state, check.
 *
 * @property states The phone's state before and after; empty where nothing was measured.
 * @property error Sentence on what went wrong, null for nothing.
 */
class Report(
    private val phone: Phone,
    private val nonce: String,
    private val plan: Plan,
    private val bundle: Bundle?,
    private val version: String = "",
    private val test: SelfTest? = null,
    private val series: List<Series> = emptyList(),
    private val states: List<Map<String, Any?>> = emptyList(),
    val error: String? = null,
) {
    val ok get() = error == null

    private val infer get() = series.firstOrNull { it.stage == "infer" }

    /** Returns the whole result with all raw samples, for the file. */
    fun json(): Map<String, Any?> =
        if (bundle == null || infer == null) {
            brief()
        } else {
            brief() + mapOf(
                "name" to name(bundle),
                "artefact" to artefact(bundle),
                "environment" to environment(),
                "plan" to planJson(),
                "measurements" to series.map(::measurement),
                "placement" to null,
                "memory" to emptyMap<String, Any>(),
                "order" to listOf(name(bundle)),
            )
        }

    /** Returns the result without samples, short enough for a line of the log. */
    fun brief(): Map<String, Any?> = mapOf(
        "schema_version" to 1,
        "nonce" to nonce,
        "ok" to ok,
        "error" to error,
        "device" to phone.device,
        "runtime" to runtime(),
        "app" to phone.app,
        "model" to bundle?.let(::modelJson),
        "run" to infer?.let(::runJson),
        "state" to stateJson(),
        "check" to test?.let(::checkJson),
        "validity" to validity(),
        "date" to phone.date(),
    )

    /** One or two lines for the screen. */
    fun sentence(): String {
        val one = infer ?: return error ?: "nothing was measured"
        val verdict = validity()
        return "%.1f faces/s, median %.3f ms, p90 %.3f ms, %d runs; %s %s".format(
            null, one.facesPerSecond, one.p(50), one.p(90), one.samples.size * one.repeat,
            verdict["verdict"], (verdict["reasons"] as List<*>).joinToString("; "),
        ).trim()
    }

    private fun name(bundle: Bundle) = listOf(bundle.model, bundle.target, bundle.precision, phone.runtime).joinToString(" ")

    private fun artefact(bundle: Bundle): Map<String, Any?> {
        val about = bundle.manifest
        val cost = about["cost"].members
        return mapOf(
            "model" to bundle.model,
            "target" to bundle.target,
            "precision" to bundle.precision,
            "format" to bundle.format,
            "sha256" to bundle.sha256,
            "source_sha256" to bundle.sourceSha256,
            "bytes" to about["files"][bundle.entry]["bytes"].long,
            "parameters" to cost["parameters"],
            "macs" to cost["macs"],
            "verify" to about["verify"].members,
            "metrics" to if (bundle.precision == "fp32") about["metrics"].members else emptyMap(),
        )
    }

    private fun runtime() = mapOf(
        "name" to phone.runtime,
        "version" to version,
        "kind" to "native",
        "native" to true,
        "ep" to "cpu",
        "threads" to plan.threads,
    )

    private fun environment() = mapOf(
        "cpu" to phone.device["soc"],
        "cores" to phone.device["cores"],
        "os" to phone.device["os"],
        "machine" to phone.device["abi"],
        "versions" to mapOf("onnxruntime" to version.substringAfter(' ')),
    )

    private fun planJson() = mapOf(
        "scenario" to if (plan.batch == 1) "latency" else "throughput",
        "warmup" to plan.warmup,
        "iterations" to plan.iterations,
        "duration_s" to plan.seconds,
        "threads" to plan.threads,
        "batch" to plan.batch,
        "faces_per_frame" to 1,
    )

    private fun measurement(one: Series) = mapOf(
        "stage" to one.stage,
        "samples" to one.samples,
        "warmups" to one.warmups,
        "batch" to one.batch,
        "repeat" to one.repeat,
        "unit" to "ns",
        "statistics_ms" to one.statistics(),
    )

    private fun modelJson(bundle: Bundle) = mapOf(
        "bundle_sha256" to bundle.sha256,
        "file" to bundle.entry,
        "precision" to bundle.precision,
        "input" to listOf(bundle.preprocess.height, bundle.preprocess.width),
    )

    private fun runJson(one: Series) = mapOf(
        "warmup" to one.warmups.size,
        "samples" to one.samples.size,
        "seconds" to seconds(one),
        "min_ms" to one.minMs,
        "p50_ms" to one.p(50),
        "p90_ms" to one.p(90),
        "p99_ms" to one.p(99),
        "faces_per_s" to one.facesPerSecond,
        "windows" to one.windows().takeLast(MOST_WINDOWS),
    )

    private fun stateJson() = mapOf(
        "thermal" to states.map { it["thermal"] },
        "battery" to states.map { it["battery"] },
        "charging" to states.lastOrNull()?.get("charging"),
        "power_save" to states.lastOrNull()?.get("power_save"),
    )

    private fun checkJson(test: SelfTest) = mapOf(
        "golden_cos_min" to test.cosineMin,
        "passed" to test.passed,
        "stages" to test.stages.associate { it.stage to if (it.reason == null) "pass" else "fail" },
    )

    private fun seconds(one: Series) = one.samples.sum() * one.repeat / 1e9

    /** Says whether the times may be believed; what a host can see in the samples it judges itself. */
    private fun validity(): Map<String, Any> {
        val wrong = ArrayList<String>()
        val one = infer
        when {
            one == null -> wrong.add("nothing was measured")
            seconds(one) < LEAST_SECONDS ->
                wrong.add("measured for %.1f s, a phone needs %d s".format(null, seconds(one), LEAST_SECONDS))
        }
        if (phone.device["emulated"] == true) wrong.add("an emulated device tells nothing about a phone's speed")
        if (states.any { ((it["thermal"] as? Int) ?: 0) > MODERATE }) {
            wrong.add("the phone got hot: thermal status above moderate")
        }
        if (states.any { it["power_save"] == true }) wrong.add("power saving was on; switch it off")
        return mapOf("verdict" to if (wrong.isEmpty()) "VALID" else "INVALID", "reasons" to wrong)
    }

    private companion object {
        const val LEAST_SECONDS = 10
        const val MODERATE = 2
        // The line of the log must stay short.
        const val MOST_WINDOWS = 6
    }
}
