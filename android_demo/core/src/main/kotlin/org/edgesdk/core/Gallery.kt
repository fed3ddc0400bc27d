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
    private val entries = ArrayList<GalleryFace>()
    private var about = emptyMap<String, String>()

    /** The cosine from which on two faces count as the same person. */
    val threshold: Threshold? = bundle.thresholds[far]

    val size get() = entries.size

    /** Names in the order they were enrolled, each once. */
    val names get() = entries.map { it.name }.distinct()

    /** Adds a face; a name may have several. */
    fun add(name: String, embedding: FloatArray) {
        if (name.isBlank()) throw Problem("the name is empty; type one")
        entries.add(GalleryFace(name, checked(embedding)))
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

    /** Writes all faces, or leaves the old file as it was; a name that ends in .json makes a text. */
    fun save(file: File) = GalleryFile(bundle.sha256, entries, about).write(file)

    /** Replaces all faces by those of a file of either form; a file of another model is refused. */
    fun load(file: File) {
        val content = GalleryFile.read(file)
        if (content.bundleSha256 != bundle.sha256) {
            throw Problem("${file.name} was made with another model, whose embeddings do not compare; enrol again")
        }
        val found = content.faces.map { GalleryFace(it.name, checked(it.row), it.picture) }
        entries.clear()
        entries.addAll(found)
        about = content.about
    }

    private fun checked(row: FloatArray): FloatArray {
        if (row.size != bundle.dim) throw Problem("an embedding has ${bundle.dim} values, found ${row.size}")
        if (!row.all { it.isFinite() }) throw Problem("the embedding is not finite; take the picture again")
        return unit(row)
    }
}
