package org.edgesdk.core

import java.io.File
import java.security.MessageDigest

/** Where the files of a bundle come from: a folder, or the app's assets. */
fun interface Source {
    /** Returns the content of a file by its relative name, null where there is none. */
    fun read(name: String): ByteArray?
}

/** A bundle in a folder. */
class FolderSource(private val folder: File) : Source {
    override fun read(name: String): ByteArray? {
        val file = File(folder, name)
        return try {
            if (file.isFile) file.readBytes() else null
        } catch (error: java.io.IOException) {
            throw Problem("${file.path} cannot be read (${error.message}); check its permissions", error)
        }
    }
}

/** Threshold of a decision and its 95 % interval. */
data class Threshold(val value: Double, val low: Double, val high: Double)

/**
 * A bundle as `edgesdk export` writes it; every hash was checked.
 *
 * @property dim Values of an embedding, 0 where there is none.
 * @property batch Batch size that the file demands, null for a free one.
 * @property sha256 Identity of the artefact, as the Python side computes it.
 */
data class Bundle(
    val task: String,
    val model: String,
    val target: String,
    val precision: String,
    val format: String,
    val entry: String,
    val sha256: String,
    val sourceSha256: String,
    val input: String,
    val output: String,
    val batch: Int?,
    val dim: Int,
    val preprocess: Preprocess,
    val thresholds: Map<String, Threshold>,
    val manifest: Node,
    private val files: Map<String, ByteArray>,
) {
    /** Name as the Python side writes it. */
    val name get() = "$model-$target-$precision"

    /** Returns the content of one of its files. */
    fun file(name: String): ByteArray =
        files[name] ?: throw Problem("bundle ${this.name} holds no file $name; export it again")

    companion object {
        private const val SCHEMA = 1
        private const val EMBEDDING = "face-embedding"
        const val MANIFEST = "bundle.json"

        /** Opens a bundle of face embeddings. */
        fun open(source: Source): Bundle = open(source, EMBEDDING)

        /** Opens a bundle of a task; throws [Problem] where it is none, of an unknown schema, or altered. */
        fun open(source: Source, task: String, inputs: Int = 1): Bundle {
            val raw = source.read(MANIFEST)
                ?: throw Problem("there is no $MANIFEST: it is no bundle; make one with: edgesdk export")
            val node = Node(Json.read(String(raw, Charsets.UTF_8)), MANIFEST)
            checkSchema(node)
            checkManifest(node)
            val files = node["files"].members.keys.associateWith { readFile(source, node["files"], it) }
            return sound(MANIFEST) { parse(node, files, task, inputs) }
        }

        private fun checkSchema(node: Node) {
            val version = node.find("schema_version")?.int
            if (version != SCHEMA) {
                throw Problem("$MANIFEST has schema $version, this app reads $SCHEMA; update the app")
            }
        }

        private fun checkManifest(node: Node) {
            val content = Json.canonical(node.members - "manifest_sha256")
            if (node.find("manifest_sha256")?.value != sha256(content.toByteArray())) {
                throw Problem("$MANIFEST was altered after the export; export it again")
            }
        }

        private fun readFile(source: Source, files: Node, name: String): ByteArray {
            if (name.startsWith("/") || ".." in name.split('/')) {
                throw Problem("$MANIFEST lists a file outside the bundle: '$name'")
            }
            val content = source.read(name) ?: throw Problem("the bundle lacks its file $name; export it again")
            val wanted = files[name]["sha256"].string
            val found = sha256(content)
            if (found != wanted) {
                throw Problem("$name was altered: expected SHA-256 $wanted, found $found; export it again")
            }
            return content
        }

        private fun parse(node: Node, files: Map<String, ByteArray>, task: String, inputs: Int): Bundle {
            checkKind(node, files, task, inputs)
            val input = node["inputs"].items.first()
            return Bundle(
                task = task,
                model = node["model"].string,
                target = node["target"].string,
                precision = node["precision"].string,
                format = node["format"].string,
                entry = node["entry"].string,
                sha256 = identity(files),
                sourceSha256 = node["source_sha256"].string,
                input = input["name"].string,
                output = node["outputs"].items.first()["name"].string,
                batch = input["shape"].items.first().let { if (it.value == null) null else it.int },
                dim = if (task == EMBEDDING) node["postprocess"]["dim"].int else 0,
                preprocess = Preprocess.read(node["preprocess"][input["name"].string]),
                thresholds = node["thresholds"].members.keys.associateWith {
                    val one = node["thresholds"][it]
                    Threshold(one["value"].double, one["low"].double, one["high"].double)
                },
                manifest = node,
                files = files,
            )
        }

        private fun checkKind(node: Node, files: Map<String, ByteArray>, task: String, inputs: Int) {
            if (node["task"].string != task || node["inputs"].items.size != inputs) {
                throw Problem("the bundle is for '${node["task"].string}', this app needs '$task'")
            }
            if (node["format"].string != "onnx") {
                throw Problem("the bundle holds ${node["format"].string}, this app opens onnx; export --target onnx")
            }
            if (node["verify"]["verdict"].string == "fail") {
                throw Problem("the bundle was rejected by its verification; export it again")
            }
            if (node["entry"].string !in files) {
                throw Problem("$MANIFEST names an entry it does not hold: '${node["entry"].string}'")
            }
        }

        private fun identity(files: Map<String, ByteArray>) =
            sha256(Json.canonical(files.mapValues { sha256(it.value) }).toByteArray())
    }
}

/** Runs `work`; an empty or short list in the file `name` becomes a sentence. */
internal fun <T> sound(name: String, work: () -> T): T =
    try {
        work()
    } catch (error: IndexOutOfBoundsException) {
        throw Problem("$name is damaged: a list is too short; export the bundle again", error)
    } catch (error: NoSuchElementException) {
        throw Problem("$name is damaged: a list is empty; export the bundle again", error)
    }

/** Returns the SHA-256 of `data` in hex. */
fun sha256(data: ByteArray): String =
    MessageDigest.getInstance("SHA-256").digest(data).joinToString("") {
        (it.toInt() and 0xFF).toString(16).padStart(2, '0')
    }
