package org.edgesdk.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Test

class JsonTest {
    private val vectors = Vectors()

    @Test
    fun writesWhatPythonHashes() {
        val cases = vectors.index["json"].items
        assertEquals(4, cases.size)
        for (case in cases) {
            assertEquals(case["canonical"].string, Json.canonical(Json.read(case["text"].string)))
        }
    }

    @Test
    fun readsWhatItWrote() {
        for (case in vectors.index["json"].items) {
            val value = Json.read(case["text"].string)
            assertEquals(value, Json.read(Json.write(value)))
        }
    }

    @Test
    fun refusesWhatPythonRefuses() {
        for (text in vectors.index["broken"].items.map { it.string }) refused("no JSON") { Json.read(text) }
    }

    @Test
    fun refusesDeepNesting() {
        Json.read("[".repeat(100) + "]".repeat(100))
        refused("nested deeper") { Json.read("[".repeat(100_000)) }
    }

    @Test
    fun everyCutOfATextIsRefused() {
        val text = """{"a": [1.5e3, true, "\u00e4\n"], "b": null}"""
        Json.read(text)
        for (length in 0 until text.length) refused("no JSON") { Json.read(text.take(length)) }
    }

    @Test
    fun writesNumbersWithoutLoss() {
        assertEquals("[1,-2,0.1,null,1.0E-5]", Json.write(listOf(1, -2L, 0.1, Double.NaN, 1e-5)))
        assertEquals(0.1f, Json.write(0.1f).toFloat(), 0f)
        assertThrows(IllegalArgumentException::class.java) { Json.write(Any()) }
    }

    @Test
    fun namesThePlaceOfAWrongValue() {
        val node = Node(Json.read("""{"a": {"b": [1, "x"]}}"""), "file")
        refused("file.a.b[1]", "a number", "\"x\"") { node["a"]["b"].items[1].double }
        refused("file lacks the field 'c'") { node["c"] }
        refused("file.a must be a list") { node["a"].items }
        refused("a whole number") { Node(Json.read("1.5"), "n").int }
        refused("a finite number") { Node(Json.read("1e999"), "n").double }
    }
}
