package org.edgesdk.core

import java.io.File

/** A face found in the gallery: `same` is null where the bundle has no threshold. */
data class Match(val name: String, val score: Float, val same: Boolean?)

/**
 * Known faces, in memory and in one file; the pictures themselves are never kept.
 *
 * @param far Key of the bundle's threshold that decides; the default is that of the Python side.
 */
class Gallery(private val bundle: Bundle, far: String = "far_1e-2") {
    private class Entry(val name: String, val row: FloatArray)

    private val entries = ArrayList<Entry>()

    /** The cosine from which on two faces count as the same person. */
    val threshold: Threshold? = bundle.thresholds[far]

    val size get() = entries.size

    /** Names in the order they were enrolled, each once. */
    val names get() = entries.map { it.name }.distinct()

    /** Adds a face; a name may have several. */
    fun add(name: String, embedding: FloatArray) {
        if (name.isBlank()) throw Problem("the name is empty; type one")
        entries.add(Entry(name, checked(embedding)))
    }

    /** Returns the `k` most similar faces, best first; of equal ones the first enrolled comes first. */
    fun top(embedding: FloatArray, k: Int = 1): List<Match> {
        val probe = checked(embedding)
        return entries
            .map { entry -> Pair(entry.name, probe.indices.sumOf { probe[it].toDouble() * entry.row[it] }.toFloat()) }
            .sortedByDescending { it.second }
            .take(k)
            .map { (name, score) -> Match(name, score, threshold?.let { score >= it.value }) }
    }

    /** Removes a name; returns whether it was there. */
    fun delete(name: String): Boolean = entries.removeAll { it.name == name }

    fun clear() = entries.clear()

    /** Writes all faces, or leaves the old file as it was. */
    fun save(file: File) {
        val rows = entries.map { mapOf("name" to it.name, "embedding" to it.row) }
        val data = mapOf("schema_version" to SCHEMA, "bundle_sha256" to bundle.sha256, "faces" to rows)
        writeWhole(file, Json.write(data))
    }

    /** Replaces all faces by those of a file; a file of another model is refused. */
    fun load(file: File) {
        val node = Node(Json.read(file.readText()), file.name)
        if (node["schema_version"].int != SCHEMA) throw Problem("${file.name} is of another version; enrol again")
        if (node["bundle_sha256"].string != bundle.sha256) {
            throw Problem("${file.name} was made with another model, whose embeddings do not compare; enrol again")
        }
        val found = node["faces"].items.map { face ->
            Entry(face["name"].string, checked(face["embedding"].doubles().map(Double::toFloat).toFloatArray()))
        }
        entries.clear()
        entries.addAll(found)
    }

    private fun checked(row: FloatArray): FloatArray {
        if (row.size != bundle.dim) throw Problem("an embedding has ${bundle.dim} values, found ${row.size}")
        if (!row.all { it.isFinite() }) throw Problem("the embedding is not finite; take the picture again")
        return unit(row)
    }

    private companion object {
        const val SCHEMA = 1
    }
}

/** Writes a file that appears whole or not at all. */
fun writeWhole(file: File, text: String) {
    val parent = file.absoluteFile.parentFile
    parent.mkdirs()
    val part = File.createTempFile(".${file.name}", ".part", parent)
    try {
        part.writeText(text)
        if (!part.renameTo(file)) throw Problem("cannot write ${file.path}; free space on the device")
    } finally {
        part.delete()
    }
}
