package org.edgesdk.core

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue

/** The folders that the build names. */
fun folder(property: String) = File(System.getProperty(property) ?: error("-D$property is not set"))

/** The real bundle whose golden vectors the Python side wrote. */
val realBundle: Bundle by lazy { Bundle.open(FolderSource(folder("edgesdk.bundle"))) }

/** The same with a threshold that no training decides. */
val thresholdBundle: Bundle by lazy { realBundle.copy(thresholds = mapOf("far_1e-2" to Threshold(0.6, 0.59, 0.61))) }

/** What the Python reference answered, see tools/write_vectors.py. */
class Vectors {
    private val folder = folder("edgesdk.vectors")
    val index = Node(Json.read(File(folder, "index.json").readText()), "index.json")

    fun picture(entry: Node): Picture {
        val shape = entry["shape"].items.map { it.int }
        return Picture(shape[shape.size - 2], shape[shape.size - 3], bytes(entry))
    }

    fun floats(entry: Node): FloatArray {
        val raw = bytes(entry)
        return FloatArray(raw.size / 4).also {
            ByteBuffer.wrap(raw).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(it)
        }
    }

    private fun bytes(entry: Node) = File(folder, entry["file"].string).readBytes()
}

/** The real bundle in memory, changed: a file's content, or the manifest before it is sealed. */
class Changed(
    private val files: Map<String, ByteArray> = emptyMap(),
    private val absent: Set<String> = emptySet(),
    private val seal: Boolean = true,
    private val edit: (MutableMap<String, Any?>) -> Unit = {},
) : Source {
    private val real = FolderSource(folder("edgesdk.bundle"))

    override fun read(name: String): ByteArray? =
        when (name) {
            in absent -> null
            Bundle.MANIFEST -> manifest()
            else -> files[name] ?: real.read(name)
        }

    private fun manifest(): ByteArray {
        val node = Node(Json.read(String(real.read(Bundle.MANIFEST)!!, Charsets.UTF_8)), "bundle.json")
        val data = LinkedHashMap(node.members).also(edit)
        if (seal) {
            data -= "manifest_sha256"
            data["manifest_sha256"] = sha256(Json.canonical(data).toByteArray())
        }
        return Json.write(data).toByteArray()
    }
}

/** Member `key` of a JSON object, for editing. */
@Suppress("UNCHECKED_CAST")
fun Map<String, Any?>.inner(key: String) = this[key] as MutableMap<String, Any?>

/** Expects a [Problem] that says all of `words`. */
fun refused(vararg words: String, work: () -> Unit) {
    val message = assertThrows(Problem::class.java) { work() }.message!!
    words.forEach { assertTrue("'$it' is not in: $message", it in message) }
}
