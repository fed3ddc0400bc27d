package org.edgesdk.core

import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder

class GalleryTest {
    @get:Rule
    val folder = TemporaryFolder()

    private fun row(vararg values: Float) = FloatArray(realBundle.dim) { values.getOrElse(it) { 0f } }

    private fun filled() = Gallery(thresholdBundle).apply {
        add("Ada", row(1f))
        add("Bo", row(0f, 2f))
        add("Ada", row(0f, 0f, 3f))
    }

    @Test
    fun findsTheMostSimilar() {
        val found = filled().top(row(0.1f, 5f), 2)
        assertEquals(listOf("Bo", "Ada"), found.map { it.name })
        assertEquals(1f, found[0].score, 1e-3f)
        assertEquals(true, found[0].same)
        assertEquals(false, found[1].same)
    }

    @Test
    fun tiesKeepTheOrderOfEnrolment() {
        assertEquals(listOf("Ada", "Bo"), filled().top(row(1f, 1f), 2).map { it.name })
    }

    @Test
    fun theThresholdIsTheBundles() {
        val limit = 0.6f
        val gallery = filled()
        for (share in listOf(limit - 0.001f, limit + 0.001f)) {
            val probe = row(share, 0f, 0f, kotlin.math.sqrt(1 - share * share))
            assertEquals(share > limit, gallery.top(probe).single().same)
        }
        assertNull(Gallery(realBundle, "far_1e-9").apply { add("Ada", row(1f)) }.top(row(1f)).single().same)
    }

    @Test
    fun emptyAndWrongInput() {
        assertEquals(emptyList<Match>(), Gallery(realBundle).top(row(1f), 3))
        refused("values, found 2") { filled().add("Ada", floatArrayOf(1f, 2f)) }
        refused("not finite") { filled().top(row(Float.NaN)) }
        refused("name is empty") { filled().add("  ", row(1f)) }
    }

    @Test
    fun deletesAllFacesOfAName() {
        val gallery = filled()
        assertTrue(gallery.delete("Ada"))
        assertFalse(gallery.delete("Ada"))
        assertEquals(listOf("Bo"), gallery.names)
        gallery.clear()
        assertEquals(0, gallery.size)
    }

    @Test
    fun comesBackFromItsFileOfEitherForm() {
        for (name in listOf("gallery.json", "people.gallery")) {
            val file = File(folder.root, "${name.first()}/$name")
            val gallery = filled().apply { add("Zoë 😀 \"x\"", row(0f, 0f, 0f, 1f)) }
            gallery.save(file)
            val again = Gallery(thresholdBundle).apply { load(file) }
            assertEquals(gallery.names, again.names)
            assertEquals(gallery.top(row(1f, 2f, 3f, 4f), 4), again.top(row(1f, 2f, 3f, 4f), 4))
            assertEquals(listOf(name), file.parentFile.list()!!.toList())
        }
    }

    @Test
    fun readsWhatPythonWroteAndPythonReadsIt() {
        val gallery = Gallery(realBundle).apply { load(File(folder("edgesdk.vectors"), "people.gallery")) }
        assertEquals(listOf("Ada", "Zoë 😀", "Bo"), gallery.names)
        assertEquals(4, gallery.size)
        assertEquals("Bo", gallery.top(row(0f, 0f, 1f)).single().name)
        assertEquals(0.8f, gallery.top(row(3f, 4f)).single().score, 1e-6f)
        gallery.add("Cy", row(0f, 0f, 0f, 5f))
        gallery.delete("Bo")
        val file = File(folder("edgesdk.vectors").parentFile, "people.gallery")
        gallery.save(file)
        val content = GalleryFile.read(file)
        assertEquals(listOf("ada.jpg", "z/1.jpg", "", ""), content.faces.map { it.picture })
        assertEquals("bridge-face", content.about["model"])
    }

    @Test
    fun aRemovedPersonIsInNoByteOfTheFile() {
        val gallery = filled().apply { add("Cy", row(3f, 5f, 7f)) }
        val file = File(folder.root, "people.gallery")
        gallery.save(file)
        val values = GalleryFile.read(file).faces.last().row.take(3)
        val bytes = java.nio.ByteBuffer.allocate(12).order(java.nio.ByteOrder.LITTLE_ENDIAN)
        values.forEach(bytes::putFloat)
        val wanted = listOf("\"Cy\"", String(bytes.array(), Charsets.ISO_8859_1))
        fun written() = String(file.readBytes(), Charsets.ISO_8859_1)
        assertTrue(wanted.all { it in written() })
        gallery.delete("Cy")
        gallery.save(file)
        assertFalse(wanted.any { it in written() })
        assertTrue("\"Ada\"" in written())
    }

    @Test
    fun aDamagedFileGetsASentence() {
        val file = File(folder.root, "people.gallery")
        filled().save(file)
        val whole = file.readBytes()
        for (size in 0 until whole.size step 37) {
            file.writeBytes(whole.copyOf(size))
            assertTrue(runCatching { Gallery(thresholdBundle).load(file) }.exceptionOrNull() is Problem)
        }
    }

    @Test
    fun aFileOfAnotherModelIsRefusedAndNothingIsLost() {
        val file = File(folder.root, "gallery.json")
        filled().save(file)
        val gallery = Gallery(realBundle.copy(sha256 = "other")).apply { add("Cy", row(1f)) }
        refused("another model", "enrol again") { gallery.load(file) }
        file.writeText("{")
        refused("no JSON") { gallery.load(file) }
        assertEquals(listOf("Cy"), gallery.names)
    }
}
