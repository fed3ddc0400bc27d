package org.edgesdk.core

import java.nio.ByteBuffer
import java.nio.ByteOrder

/** The golden vectors of a bundle: what each stage must answer. */
class Golden(private val bundle: Bundle) {
    val index = Node(Json.read(String(bundle.file("golden/index.json"), Charsets.UTF_8)), "golden/index.json")

    /** The crops behind the bundle's input. */
    fun pictures(): List<Picture> = pictures(case("pre", "input")["pictures"])

    /** The tensor that those crops must give. */
    fun tensor(): FloatArray = floats(case("pre", "input")["tensor"])

    /** The outputs of the source, one row per crop. */
    fun embeddings(): List<FloatArray> {
        val flat = floats(index["infer"]["outputs"][bundle.output])
        return List(flat.size / bundle.dim) { flat.copyOfRange(it * bundle.dim, (it + 1) * bundle.dim) }
    }

    /** Returns the pictures of an entry of shape [N, H, W, 3] or [H, W, 3]. */
    fun pictures(entry: Node): List<Picture> {
        val shape = shape(entry, "uint8", 1)
        val (height, width) = shape.takeLast(3)
        val bytes = raw(entry)
        return List(shape.dropLast(3).firstOrNull() ?: 1) {
            val size = height * width * 3
            Picture(width, height, bytes.copyOfRange(it * size, (it + 1) * size))
        }
    }

    /** Returns the values of an entry, row by row. */
    fun floats(entry: Node): FloatArray {
        val count = shape(entry, "float32", 4).fold(1) { a, b -> a * b }
        val out = FloatArray(count)
        ByteBuffer.wrap(raw(entry)).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(out)
        return out
    }

    private fun case(stage: String, key: String): Node =
        index[stage].items.firstOrNull { it[key].string == bundle.input }
            ?: throw Problem("golden/index.json has no stage '$stage' for ${bundle.input}; export it again")

    private fun shape(entry: Node, dtype: String, bytes: Int): List<Int> {
        val shape = entry["shape"].items.map { it.int }
        val size = shape.fold(bytes.toLong()) { a, b -> a * b }
        if (entry["dtype"].string != dtype || shape.any { it < 1 } || size != raw(entry).size.toLong()) {
            throw Problem("${entry.place} is damaged: $dtype of shape $shape wanted; export it again")
        }
        return shape
    }

    private fun raw(entry: Node) = bundle.file("golden/" + entry["file"].string.substringAfterLast('/'))
}
