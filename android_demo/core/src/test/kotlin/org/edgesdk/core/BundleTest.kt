package org.edgesdk.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

class BundleTest {
    private val number = JsonNumber("7")

    @Test
    fun opensTheRealBundle() {
        assertEquals("face-embedding", realBundle.manifest["task"].string)
        assertTrue(realBundle.dim > 0)
        assertEquals(64, realBundle.sha256.length)
    }

    @Test
    fun aSealedCopyIsTheSameBundle() {
        assertEquals(realBundle.sha256, Bundle.open(Changed()).sha256)
    }

    @Test
    fun refusesAnAlteredFile() {
        val model = realBundle.file(realBundle.entry).clone().also { it[it.size / 2]++ }
        refused(realBundle.entry, "was altered", "expected SHA-256") {
            Bundle.open(Changed(files = mapOf(realBundle.entry to model)))
        }
    }

    @Test
    fun refusesAMissingFile() {
        refused("lacks its file golden/index.json") { Bundle.open(Changed(absent = setOf("golden/index.json"))) }
        refused("it is no bundle") { Bundle.open(Changed(absent = setOf("bundle.json"))) }
    }

    @Test
    fun refusesAnAlteredManifest() {
        refused("bundle.json was altered") {
            Bundle.open(Changed(seal = false) { it.inner("postprocess")["dim"] = number })
        }
    }

    @Test
    fun refusesAnUnknownSchema() {
        refused("has schema 7", "reads 1") { Bundle.open(Changed { it["schema_version"] = number }) }
        refused("has schema null") { Bundle.open(Changed { it -= "schema_version" }) }
    }

    @Test
    fun refusesWhatItCannotRun() {
        refused("tflite", "opens onnx") { Bundle.open(Changed { it["format"] = "tflite" }) }
        refused("'detection'") { Bundle.open(Changed { it["task"] = "detection" }) }
        refused("rejected") { Bundle.open(Changed { it.inner("verify")["verdict"] = "fail" }) }
        refused("names an entry") { Bundle.open(Changed { it["entry"] = "other.onnx" }) }
        for (name in listOf("../x", "/etc/x", "a/../../x")) {
            refused("outside the bundle") {
                Bundle.open(Changed { it.inner("files")[name] = mapOf("sha256" to "", "bytes" to 1) })
            }
        }
    }

    @Test
    fun refusesPreprocessingItDoesNotKnow() {
        val wrong = mapOf(
            "resize" to "crop", "interpolation" to "nearest", "color" to "GBR", "layout" to "HWC",
            "dtype" to "uint8", "antialias" to false, "mean" to listOf(number), "size" to listOf(number),
        )
        for ((key, value) in wrong) {
            refused(key) { Bundle.open(Changed { it.inner("preprocess").inner(realBundle.input)[key] = value }) }
        }
        refused("template") {
            Bundle.open(Changed { it.inner("preprocess").inner(realBundle.input)["align"] = mapOf("template" to "own", "size" to 112) })
        }
    }

    @Test
    fun noDamagedByteOfTheManifestGivesAnythingButASentence() {
        val real = FolderSource(folder("edgesdk.bundle"))
        val text = real.read(Bundle.MANIFEST)!!
        val random = kotlin.random.Random(7)
        var refusals = 0
        repeat(500) {
            val damaged = text.clone().also { it[random.nextInt(it.size)] = random.nextInt(256).toByte() }
            try {
                // A blank may become another blank; whatever opens must still be the same bundle.
                val opened = Bundle.open { name -> if (name == Bundle.MANIFEST) damaged else real.read(name) }
                assertEquals(Json.canonical(realBundle.manifest.value), Json.canonical(opened.manifest.value))
            } catch (_: Problem) {
                refusals++
            }
        }
        assertTrue("$refusals of 500", refusals > 300)
    }

    @Test
    fun aListThatIsTooShortIsDamage() {
        refused("a list is empty") { Bundle.open(Changed { it["outputs"] = emptyList<Any>() }) }
    }

    @Test
    fun everyMissingFieldIsNamed() {
        val needed = listOf("model", "target", "precision", "format", "entry", "inputs", "outputs", "preprocess",
            "postprocess", "thresholds", "verify", "source_sha256", "task", "files")
        for (key in needed) refused("lacks the field '$key'") { Bundle.open(Changed { it -= key }) }
    }
}
