package org.edgesdk.demo

import android.content.Context
import android.content.Intent
import java.io.File
import java.util.concurrent.TimeUnit
import org.edgesdk.core.Json
import org.edgesdk.core.Node
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.annotation.Config
import org.robolectric.shadows.ShadowLog

/** The real Activity with the real runtime, started as `edgesdk bench --device android` does. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [34])
class BenchActivityTest {
    private val context: Context = RuntimeEnvironment.getApplication()

    private fun intent(nonce: String) = Intent(context, BenchActivity::class.java)
        .putExtra("nonce", nonce).putExtra("seconds", 1).putExtra("threads", 1)
        .putExtra("warmup", 5).putExtra("iterations", 20).putExtra("batch", 1)

    /** Starts the Activity and returns what its file holds when the line is in the log. */
    private fun result(intent: Intent): Node {
        Robolectric.buildActivity(BenchActivity::class.java, intent).setup()
        val file = File(context.filesDir, BenchActivity.RESULT)
        val end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60)
        while (ShadowLog.getLogsForTag(BenchActivity.TAG).isEmpty() && System.nanoTime() < end) Thread.sleep(20)
        return Node(Json.read(file.readText()), file.name)
    }

    @Test
    fun measuresThePackedBundle() {
        val found = result(intent("n-packed"))
        assertEquals(null, found.find("error")?.string)
        assertEquals(true, found["ok"].boolean)
        assertEquals("n-packed", found["nonce"].string)
        assertEquals(true, found["check"]["passed"].boolean)
        assertEquals("android", found["device"]["kind"].string)
        // Whatever this machine measures must never pass for a phone's time.
        assertEquals(true, found["device"]["emulated"].boolean)
        assertEquals("INVALID", found["validity"]["verdict"].string)
        val copy = File(System.getProperty("edgesdk.results")!!, "robolectric.json")
        copy.parentFile!!.mkdirs()
        copy.writeText(Json.write(found.value) + "\n")
    }

    @Test
    fun theLogHoldsTheSameRunInOneShortLine() {
        val found = result(intent("n-log"))
        val line = ShadowLog.getLogsForTag(BenchActivity.TAG).single().msg
        assertTrue(line.length < 4000)
        val logged = Node(Json.read(line), "log")
        assertEquals("n-log", logged["nonce"].string)
        assertEquals(found["run"]["p50_ms"].double, logged["run"]["p50_ms"].double, 0.0)
    }

    @Test
    fun measuresAPushedFolder() {
        val pushed = File(System.getProperty("edgesdk.bundle")!!)
        val found = result(intent("n-pushed").putExtra("bundle", pushed.path).putExtra("batch", 4))
        assertEquals(true, found["ok"].boolean)
        assertEquals(4, found["measurements"].items.first()["batch"].int)
    }

    @Test
    fun aDamagedFolderIsToldInOneSentence() {
        val empty = File(context.cacheDir, "empty").apply { mkdirs() }
        val found = result(intent("n-empty").putExtra("bundle", empty.path))
        assertEquals(false, found["ok"].boolean)
        assertTrue("it is no bundle" in found["error"].string)
    }
}
