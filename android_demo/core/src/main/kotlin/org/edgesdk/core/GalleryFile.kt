package org.edgesdk.core

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

/** One face of a gallery's file: who it is, and where it came from, "" where that is not told. */
class GalleryFace(val name: String, val row: FloatArray, val picture: String = "")

/**
 * The file of a gallery, the same that the Python side reads and writes: a safetensors file with
 * `embeddings`, `person`, `names` and `pictures`; text where its name ends in `.json`.
 */
class GalleryFile(val bundleSha256: String, val faces: List<GalleryFace>, val about: Map<String, String> = emptyMap()) {
    /** Writes the file, or leaves the old one as it was. */
    fun write(file: File) {
        if (file.extension.lowercase() == "json") writeWhole(file, text()) else writeWhole(file, ::tensors)
    }

    private fun text(): String {
        val rows = faces.map { mapOf("name" to it.name, "embedding" to it.row, "picture" to it.picture) }
        val data = mapOf("schema_version" to TEXT, "bundle_sha256" to bundleSha256, "faces" to rows)
        return Json.write(data)
    }

    private fun tensors(write: (ByteArray) -> Unit) {
        val people = faces.map { it.name }.distinct()
        val number = people.withIndex().associate { it.value to it.index }
        val names = Json.write(people).toByteArray()
        val pictures = Json.write(faces.map { it.picture }).toByteArray()
        val dim = faces.firstOrNull()?.row?.size ?: 0
        var end = 0L
        fun entry(dtype: String, shape: List<Int>, bytes: Long): Map<String, Any> {
            val offsets = listOf(end, end + bytes).also { end += bytes }
            return mapOf("dtype" to dtype, "shape" to shape, "data_offsets" to offsets)
        }
        val head = mapOf(
            "__metadata__" to about + mapOf("schema_version" to "$BINARY", "bundle_sha256" to bundleSha256),
            "embeddings" to entry("F32", listOf(faces.size, dim), 4L * faces.size * dim),
            "person" to entry("I32", listOf(faces.size), 4L * faces.size),
            "names" to entry("U8", listOf(names.size), names.size.toLong()),
            "pictures" to entry("U8", listOf(pictures.size), pictures.size.toLong()),
        )
        val text = Json.write(head).toByteArray()
        val padded = text + ByteArray((-text.size).mod(HEAD)) { ' '.code.toByte() }
        write(little(HEAD).putLong(padded.size.toLong()).array())
        write(padded)
        for (face in faces) write(little(4 * dim).apply { face.row.forEach(::putFloat) }.array())
        for (face in faces) write(little(4).putInt(number.getValue(face.name)).array())
        write(names)
        write(pictures)
    }

    companion object {
        private const val TEXT = 1
        private const val BINARY = 2
        private const val HEAD = 8
        private const val LARGEST_HEAD = 1L shl 20

        /** Reads a file of either form. */
        fun read(file: File): GalleryFile {
            val bytes = ByteBuffer.wrap(file.readBytes()).order(ByteOrder.LITTLE_ENDIAN)
            val binary = bytes.limit() > HEAD && bytes[HEAD] == '{'.code.toByte() && bytes.getLong(0) in 1L..LARGEST_HEAD
            return if (binary) ofTensors(bytes, file.name) else ofText(String(bytes.array()), file.name)
        }

        private fun ofText(text: String, name: String): GalleryFile {
            val node = Node(Json.read(text), name)
            if (node["schema_version"].int != TEXT) throw otherVersion(name)
            val faces = node["faces"].items.map { face ->
                val picture = face.find("picture")?.string ?: ""
                GalleryFace(face["name"].string, face["embedding"].doubles().map(Double::toFloat).toFloatArray(), picture)
            }
            return GalleryFile(node["bundle_sha256"].string, faces)
        }

        private fun ofTensors(bytes: ByteBuffer, name: String): GalleryFile {
            val begin = HEAD + bytes.getLong(0).toInt()
            if (begin > bytes.limit()) throw damaged(name)
            val head = Node(Json.read(String(bytes.array(), HEAD, begin - HEAD)), name)
            val about = head["__metadata__"].let { told -> told.members.keys.associateWith { told[it].string } }
            if (about["schema_version"] != "$BINARY") throw otherVersion(name)
            val tensor = { of: String, dtype: String -> slice(bytes, begin, head[of], dtype) ?: throw damaged(name) }
            val words = { of: String ->
                val part = tensor(of, "U8")
                Node(Json.read(String(part.array(), part.position(), part.remaining())), name).items.map { it.string }
            }
            val (count, dim) = head["embeddings"]["shape"].items.map { it.int }
            val rows = tensor("embeddings", "F32")
            val person = tensor("person", "I32")
            val (people, pictures) = Pair(words("names"), words("pictures"))
            if (rows.remaining() != 4 * count * dim || person.remaining() != 4 * count || pictures.size != count) throw damaged(name)
            val faces = List(count) { at ->
                val who = people.getOrNull(person.getInt()) ?: throw damaged(name)
                GalleryFace(who, FloatArray(dim) { rows.getFloat() }, pictures[at])
            }
            return GalleryFile(about["bundle_sha256"] ?: throw damaged(name), faces, about - listOf("index_sha256"))
        }

        /** Returns the bytes of a tensor, null where the file does not hold them. */
        private fun slice(bytes: ByteBuffer, begin: Int, entry: Node, dtype: String): ByteBuffer? {
            val (start, end) = entry["data_offsets"].items.map { it.int }
            if (entry["dtype"].string != dtype || start !in 0..end || end > bytes.limit() - begin) return null
            return bytes.duplicate().order(ByteOrder.LITTLE_ENDIAN).apply {
                limit(begin + end)
                position(begin + start)
            }
        }

        private fun little(size: Int) = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN)

        private fun otherVersion(name: String) = Problem("$name is of another version; enrol again")

        private fun damaged(name: String) = Problem("$name is a damaged gallery; enrol again")
    }
}

/** Writes a file that appears whole or not at all. */
fun writeWhole(file: File, text: String) = writeWhole(file) { write -> write(text.toByteArray()) }

/** Writes a file that appears whole or not at all, a part at a time. */
fun writeWhole(file: File, parts: ((ByteArray) -> Unit) -> Unit) {
    val parent = file.absoluteFile.parentFile
    parent.mkdirs()
    val part = File.createTempFile(".${file.name}", ".part", parent)
    try {
        part.outputStream().buffered().use { stream -> parts(stream::write) }
        if (!part.renameTo(file)) throw Problem("cannot write ${file.path}; free space on the device")
    } finally {
        part.delete()
    }
}
