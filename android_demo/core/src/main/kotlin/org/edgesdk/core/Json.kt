package org.edgesdk.core

/** A number as it stands in the text, so that writing it again gives the same text. */
class JsonNumber(val text: String) {
    override fun toString() = text
    override fun equals(other: Any?) = other is JsonNumber && other.text == text
    override fun hashCode() = text.hashCode()
}

/**
 * JSON without a library: Android's own `org.json` is another implementation on the JVM.
 *
 * Values are Map, List, String, JsonNumber (when read), Boolean and null.
 */
object Json {
    private const val MAX_DEPTH = 100

    /** Returns the value that `text` holds; throws [Problem] where it is no JSON. */
    fun read(text: String): Any? = Reader(text).document()

    /** Returns `value` as JSON on one line; a float that is not finite becomes null. */
    fun write(value: Any?): String = StringBuilder().also { Writer(it, false).value(value) }.toString()

    /** Returns what the Python side hashes of JSON that it wrote: sorted keys, no blanks, ASCII. */
    fun canonical(value: Any?): String =
        StringBuilder().also { Writer(it, true).value(value) }.toString()

    private class Reader(private val text: String) {
        private var at = 0

        fun document(): Any? {
            val value = value(0)
            blanks()
            if (at != text.length) fail("more text after the value")
            return value
        }

        private fun value(depth: Int): Any? {
            if (depth > MAX_DEPTH) fail("nested deeper than $MAX_DEPTH")
            blanks()
            return when (val c = peek()) {
                '{' -> members(depth)
                '[' -> items(depth)
                '"' -> string()
                't' -> word("true", true)
                'f' -> word("false", false)
                'n' -> word("null", null)
                else -> if (c == '-' || c in '0'..'9') number() else fail("unexpected '$c'")
            }
        }

        private fun members(depth: Int): Map<String, Any?> {
            val found = LinkedHashMap<String, Any?>()
            sequence('}') {
                if (peek() != '"') fail("a key must be a string")
                val key = string()
                blanks()
                take(':')
                found[key] = value(depth + 1)
            }
            return found
        }

        private fun items(depth: Int): List<Any?> {
            val found = ArrayList<Any?>()
            sequence(']') { found.add(value(depth + 1)) }
            return found
        }

        private fun sequence(end: Char, one: () -> Unit) {
            at++
            blanks()
            if (peek() == end) {
                at++
                return
            }
            while (true) {
                blanks()
                one()
                blanks()
                if (peek() == end) break
                take(',')
            }
            at++
        }

        private fun string(): String {
            at++
            val out = StringBuilder()
            while (true) {
                val c = peek()
                at++
                when {
                    c == '"' -> return out.toString()
                    c == '\\' -> out.append(escaped())
                    c < ' ' -> fail("a control character in a string")
                    else -> out.append(c)
                }
            }
        }

        private fun escaped(): Char {
            val c = peek()
            at++
            return when (c) {
                '"', '\\', '/' -> c
                'b' -> '\b'
                'f' -> '\u000C'
                'n' -> '\n'
                'r' -> '\r'
                't' -> '\t'
                'u' -> {
                    val digits = text.substring(at, minOf(at + 4, text.length))
                    if (!HEX.matches(digits)) fail("a broken \\u escape")
                    at += 4
                    digits.toInt(16).toChar()
                }
                else -> fail("an unknown escape '\\$c'")
            }
        }

        private fun number(): JsonNumber {
            val from = at
            while (at < text.length && text[at] in "+-.eE0123456789") at++
            val found = text.substring(from, at)
            if (!NUMBER.matches(found)) fail("a broken number '$found'")
            return JsonNumber(found)
        }

        private fun <T> word(word: String, value: T): T {
            if (!text.startsWith(word, at)) fail("unexpected '${text[at]}'")
            at += word.length
            return value
        }

        private fun blanks() {
            while (at < text.length && text[at] in " \t\r\n") at++
        }

        private fun peek(): Char = if (at < text.length) text[at] else fail("it ends too early")

        private fun take(c: Char) {
            if (peek() != c) fail("'$c' expected, found '${text[at]}'")
            at++
        }

        private fun fail(why: String): Nothing = throw Problem("no JSON: $why at character $at")
    }

    private class Writer(private val out: StringBuilder, private val canonical: Boolean) {
        fun value(value: Any?) {
            when (value) {
                null -> out.append("null")
                is String -> string(value)
                is Boolean, is JsonNumber, is Int, is Long -> out.append(value)
                is Float -> if (value.isFinite()) out.append(value) else out.append("null")
                is Double -> if (value.isFinite()) out.append(value) else out.append("null")
                is Map<*, *> -> members(value)
                is Iterable<*> -> items(value)
                is FloatArray -> items(value.asIterable())
                is LongArray -> items(value.asIterable())
                is DoubleArray -> items(value.asIterable())
                else -> throw IllegalArgumentException("no JSON for ${value.javaClass}")
            }
        }

        private fun members(map: Map<*, *>) {
            out.append('{')
            val keys = if (canonical) map.keys.sortedBy { it as String } else map.keys
            keys.forEachIndexed { place, key ->
                if (place > 0) out.append(',')
                string(key as String)
                out.append(':')
                value(map[key])
            }
            out.append('}')
        }

        private fun items(values: Iterable<*>) {
            out.append('[')
            values.forEachIndexed { place, one ->
                if (place > 0) out.append(',')
                value(one)
            }
            out.append(']')
        }

        private fun string(text: String) {
            out.append('"')
            for (c in text) {
                when {
                    c == '"' || c == '\\' -> out.append('\\').append(c)
                    c == '\n' -> out.append("\\n")
                    c == '\r' -> out.append("\\r")
                    c == '\t' -> out.append("\\t")
                    c == '\b' -> out.append("\\b")
                    c == '\u000C' -> out.append("\\f")
                    c < ' ' || (c > '~' && canonical) || c.isSurrogate() ->
                        out.append("\\u").append(c.code.toString(16).padStart(4, '0'))
                    else -> out.append(c)
                }
            }
            out.append('"')
        }
    }

    private val HEX = Regex("[0-9a-fA-F]{4}")
    private val NUMBER = Regex("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?")
}
