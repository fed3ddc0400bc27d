package org.edgesdk.core

import java.io.File
import kotlin.math.abs
import kotlin.math.sqrt
import org.junit.AfterClass
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test

/** The real runtime on the real bundle, against what the Python side stored in it. */
class EmbedderTest {
    private val golden = Golden(realBundle)

    @Test
    fun embeddingsEqualThoseOfPython() {
        val found = embedder.outputs(golden.tensor(), golden.pictures().size)
        assertNull(Tolerance.read(golden.index["infer"]["tolerance"]).reason(golden.embeddings(), found))
        if (realBundle.precision == "fp32") assertTrue(apart(golden.embeddings(), found) < 1e-5)
    }

    @Test
    fun fromPictureToEmbeddingTheCosineStays() {
        val found = embedder.embed(golden.pictures())
        val least = if (realBundle.precision == "fp32") 0.999 else 0.9
        golden.embeddings().zip(found) { a, b -> assertTrue(cosine(a, b) > least) }
        for (row in found) assertEquals(1.0, sqrt(row.sumOf { it.toDouble() * it }), 1e-5)
    }

    @Test
    fun theBatchSizeChangesNothing() {
        val pictures = golden.pictures()
        val single = pictures.flatMap { embedder.embed(listOf(it)) }
        assertTrue(apart(single, embedder.embed(pictures)) < 1e-6)
        assertEquals(0, embedder.embed(emptyList()).size)
    }

    @Test
    fun aFixedBatchIsFilledUp() {
        val fixed = object : FaceEmbedder by embedder {
            override val bundle = realBundle.copy(batch = 3)
            override fun outputs(tensor: FloatArray, count: Int): List<FloatArray> {
                assertEquals(3, count)
                return embedder.outputs(tensor, count)
            }
        }
        assertTrue(apart(embedder.embed(golden.pictures()), fixed.embed(golden.pictures())) < 1e-6)
    }

    @Test
    fun aBrokenModelIsRefusedInOneSentence() {
        val broken = Bundle.open(
            Changed(files = mapOf(realBundle.entry to "no model".toByteArray())) {
                it.inner("files").inner(realBundle.entry)["sha256"] = sha256("no model".toByteArray())
            },
        )
        refused("ONNX Runtime cannot open", realBundle.entry) { OrtFaceEmbedder(broken, 1).close() }
    }

    /** The JVM's column of the table that compares all engines on the golden crops. */
    @Test
    fun writesItsEmbeddingsForTheTableOfAllEngines() {
        val rows = embedder.outputs(realBundle.preprocess.tensor(golden.pictures()), golden.pictures().size)
        val file = File(System.getProperty("edgesdk.oneTruth"))
        val engine = "ONNX Runtime (Java, JVM)"
        writeWhole(file, Json.write(mapOf("engine" to engine, "version" to embedder.version, "bundle_sha256" to realBundle.sha256, "embedding" to rows)))
        assertEquals(rows.size, Node(Json.read(file.readText()), file.name)["embedding"].items.size)
    }

    private fun apart(a: List<FloatArray>, b: List<FloatArray>) =
        a.zip(b) { one, other -> one.indices.maxOf { abs(one[it] - other[it]) } }.maxOrNull()!!

    companion object {
        private val embedder = OrtFaceEmbedder(realBundle, 1)

        @JvmStatic
        @AfterClass
        fun close() = embedder.close()
    }
}
