package org.edgesdk.core

import org.junit.AfterClass
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test

/** One fault at a time; the stage that is named must be the one that holds it. */
class SelfTestTest {
    private fun run(bundle: Bundle, with: FaceEmbedder = embedder) = SelfTest.run(bundle, with)

    private fun failed(test: SelfTest) = test.stages.filter { it.reason != null }.map { it.stage }

    private fun changed(key: String, value: Any) =
        Bundle.open(Changed { it.inner("preprocess").inner(realBundle.input)[key] = value })

    @Test
    fun theRealBundlePasses() {
        val test = run(realBundle)
        assertTrue(test.passed)
        assertNull(test.problem)
        assertEquals(listOf("align", "pre", "infer", "post"), test.stages.map { it.stage })
        assertTrue(test.cosineMin > if (realBundle.precision == "fp32") 0.9999 else 0.9)
    }

    @Test
    fun swappedColoursAreNamedAsPreprocessing() {
        val other = if (realBundle.preprocess.color == "RGB") "BGR" else "RGB"
        val test = run(changed("color", other))
        assertEquals(listOf("pre"), failed(test))
        assertTrue(test.problem!!, "stage pre (pre-processing)" in test.problem!!)
    }

    @Test
    fun aWrongMeanOrDeviationIsNamedAsPreprocessing() {
        val three = List(3) { JsonNumber("100.0") }
        assertEquals(listOf("pre"), failed(run(changed("mean", three))))
        assertEquals(listOf("pre"), failed(run(changed("std", three))))
        // Swapped with each other, a mistake that is easily made.
        val how = realBundle.preprocess
        assertEquals(listOf("pre"), failed(run(realBundle.copy(preprocess = how.copy(mean = how.std.map { it + 1 }, std = how.mean)))))
    }

    @Test
    fun wrongNumbersAreNamedAsInference() {
        val wrong = object : FaceEmbedder by embedder {
            override fun outputs(tensor: FloatArray, count: Int) =
                embedder.outputs(tensor, count).map { row -> FloatArray(row.size) { row[it] + 0.5f } }
        }
        assertEquals(listOf("infer"), failed(run(realBundle, wrong)))
        val broken = object : FaceEmbedder by embedder {
            override fun outputs(tensor: FloatArray, count: Int) =
                embedder.outputs(tensor, count).map { row -> FloatArray(row.size) { Float.NaN } }
        }
        assertTrue("NaN" in run(realBundle, broken).problem!!)
    }

    private fun withFile(name: String, content: ByteArray) = Bundle.open(
        Changed(files = mapOf(name to content)) { it.inner("files").inner(name)["sha256"] = sha256(content) },
    )

    @Test
    fun aWrongCropIsNamedAsAlignment() {
        val name = "golden/" + Golden(realBundle).index["align"].items.last()["crop"]["file"].string
        val crop = realBundle.file(name).copyOf().also { it[it.size / 2] = (it[it.size / 2] + 9).toByte() }
        assertEquals(listOf("align"), failed(run(withFile(name, crop))))
    }

    @Test
    fun aWrongSimilarityIsNamedAsComparison() {
        val index = Golden(realBundle).index
        @Suppress("UNCHECKED_CAST")
        val row = index["post"].items.first()["cosine"].items.first().value as MutableList<Any?>
        row[row.lastIndex] = JsonNumber("0.5")
        val text = Json.write(index.value).toByteArray()
        assertEquals(listOf("post"), failed(run(withFile("golden/index.json", text))))
    }

    @Test
    fun aDamagedIndexIsToldAsSuch() {
        val text = String(realBundle.file("golden/index.json")).replace("\"uint8\"", "\"int16\"").toByteArray()
        refused("is damaged", "export it again") { run(withFile("golden/index.json", text)) }
    }

    @Test
    fun theToleranceOfOtherPrecisionsIsJudgedToo() {
        val want = listOf(floatArrayOf(1f, 0f))
        val near = listOf(floatArrayOf(0.99f, 0.1f))
        assertNull(Tolerance(null, 0.0, 0.2, 0.99, 10.0).reason(want, near))
        assertTrue("allowed" in Tolerance(null, 0.0, 0.05, null, null).reason(want, near)!!)
        assertTrue("cosine p1" in Tolerance(null, 0.0, null, 0.999, null).reason(want, near)!!)
        assertTrue("SNR" in Tolerance(null, 0.0, null, null, 30.0).reason(want, near)!!)
        assertNull(Tolerance(0.0, 0.0, null, 1.0, 200.0).reason(want, want))
    }

    companion object {
        private val embedder = OrtFaceEmbedder(realBundle, 1)

        @JvmStatic
        @AfterClass
        fun close() = embedder.close()
    }
}
