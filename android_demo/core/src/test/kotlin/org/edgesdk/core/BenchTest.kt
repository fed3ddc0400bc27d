package org.edgesdk.core

import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test

/** A clock that only moves when work is done. */
private class FakeClock {
    var now = 0L

    fun work(nanoseconds: Long): () -> Unit = { now += nanoseconds }
}

class BenchTest {
    private val clock = FakeClock()
    private val runner = BenchRunner { clock.now }

    @Test
    fun lastsAsLongAsAsked() {
        val series = runner.measure("infer", Plan(seconds = 2.0), clock.work(10_000_000))
        assertEquals(200, series.samples.size)
        assertEquals(20, series.warmups.size)
        assertEquals(1, series.repeat)
        assertEquals(10.0, series.p(50), 1e-9)
        assertEquals(100.0, series.facesPerSecond, 1e-9)
    }

    @Test
    fun takesTheLeastNumberOfSamplesWhateverTheTime() {
        val series = runner.measure("infer", Plan(seconds = 0.1, iterations = 100, warmup = 7), clock.work(1_000_000_000))
        assertEquals(100, series.samples.size)
        assertEquals(7, series.warmups.size)
    }

    @Test
    fun averagesWhatIsTooShortForTheClock() {
        val series = runner.measure("pre", Plan(seconds = 0.0, iterations = 10), clock.work(1000))
        assertEquals(5, series.repeat)
        assertEquals(1000L, series.samples.first())
        assertEquals(10, series.samples.size)
    }

    @Test
    fun aLongRunDoesNotFillTheFile() {
        val series = runner.measure("infer", Plan(seconds = 600.0), clock.work(100_000))
        assertTrue(series.samples.size in 99_000..100_001)
        assertEquals(600.0, series.samples.sum() * series.repeat / 1e9, 1.0)
    }

    @Test
    fun aClockThatStandsStillGivesNoTimeOfZero() {
        var calls = 0
        val slow = BenchRunner { (++calls / 1000) * 50_000_000L }
        assertTrue(slow.measure("pre", Plan(seconds = 0.0), {}).samples.all { it > 0 })
    }

    @Test
    fun windowsShowWhereTheDeviceSlowsDown() {
        var runs = 0
        val series = runner.measure("infer", Plan(seconds = 40.0), { clock.now += if (runs++ < 250) 100_000_000 else 200_000_000 })
        val windows = series.windows(10.0)
        assertEquals(100.0, windows.first()["p50_ms"] as Double, 1e-6)
        assertEquals(200.0, windows.last()["p50_ms"] as Double, 1e-6)
        assertEquals(series.samples.size, windows.sumOf { it["count"] as Int })
    }

    @Test
    fun statisticsAreThoseOfNumpy() {
        val series = Series("infer", longArrayOf(1_000_000, 2_000_000, 3_000_000, 10_000_000), LongArray(0), batch = 2)
        val facts = series.statistics()
        assertEquals(4.0, facts["mean"] as Double, 1e-12)
        assertEquals(3.5355339059327378, facts["std"] as Double, 1e-12)
        assertEquals(2.5, facts["p50"] as Double, 1e-12)
        assertEquals(7.9, facts["p90"] as Double, 1e-12)
        assertEquals(800.0, facts["items_s"] as Double, 1e-9)
        assertEquals(listOf("p50", "p90", "p95", "p99"), facts["thin"])
    }

    @Test
    fun writesAResultThatThePythonSideReads() {
        val report = Bench(JvmPhone()).run(Changed(), "n1", Plan(seconds = 0.5))
        assertTrue(report.error ?: "", report.ok)
        val file = File(folder("edgesdk.results"), "jvm.json")
        writeWhole(file, Json.write(report.json()) + "\n")
        val node = Node(Json.read(file.readText()), file.name)
        assertEquals("n1", node["nonce"].string)
        assertEquals(realBundle.sha256, node["artefact"]["sha256"].string)
        assertEquals(listOf("infer", "load", "first", "pre"), node["measurements"].items.map { it["stage"].string })
        // Half a second is too short for a verdict, and the result says so.
        assertEquals("INVALID", node["validity"]["verdict"].string)
        assertTrue("needs 10 s" in Json.write(node["validity"]["reasons"].value))
    }

    @Test
    fun theLineForTheLogIsShort() {
        val report = Bench(JvmPhone()).run(Changed(), "n2", Plan(seconds = 0.2))
        assertTrue(Json.write(report.brief()).length < 4000)
        assertTrue(report.sentence(), "faces/s" in report.sentence())
    }

    @Test
    fun wrongNumbersEndTheRun() {
        val report = Bench(JvmPhone()).run(
            Changed { it.inner("preprocess").inner(realBundle.input)["color"] = "BGR" }, "n3", Plan(seconds = 0.1),
        )
        assertFalse(report.ok)
        val node = Node(Json.read(Json.write(report.json())), "result")
        assertTrue("pre-processing" in node["error"].string)
        assertEquals("fail", node["check"]["stages"]["pre"].string)
        assertEquals(null, node.find("measurements"))
    }

    @Test
    fun anAlteredBundleEndsTheRunBeforeAnythingIsOpened() {
        val report = Bench(JvmPhone()).run(Changed(absent = setOf(realBundle.entry)), "n4", Plan())
        assertEquals("n4", report.json()["nonce"])
        assertTrue("lacks its file" in report.error!!)
    }

    @Test
    fun aRuntimeThatCannotBeLoadedIsTold() {
        val report = Bench(JvmPhone()).run({ throw UnsatisfiedLinkError("dlopen failed") }, "n6", Plan())
        assertTrue("native library cannot be loaded" in report.error!!)
        assertEquals(false, report.json()["ok"])
    }

    @Test
    fun whatSpoilsATimeIsTold() {
        val hot = mapOf("thermal" to 3, "power_save" to true)
        val report = Bench(JvmPhone(hot, emulated = true)).run(Changed(), "n5", Plan(seconds = 0.1))
        val reasons = Json.write((report.json()["validity"] as Map<*, *>)["reasons"])
        for (word in listOf("hot", "power saving", "emulated")) assertTrue(reasons, word in reasons)
    }
}

/** This machine in the place of a phone. */
private class JvmPhone(private val now: Map<String, Any?> = emptyMap(), emulated: Boolean = false) : Phone {
    override val device = mapOf(
        "kind" to "host", "name" to "cpu", "cores" to Runtime.getRuntime().availableProcessors(),
        "abi" to System.getProperty("os.arch"), "os" to System.getProperty("os.name"), "emulated" to emulated,
    )
    override val app = mapOf("version" to "test")
    override val runtime = "onnxruntime-java"

    override fun state() = now

    override fun date(): String = java.time.Instant.now().toString().substringBefore('.') + "+00:00"
}
