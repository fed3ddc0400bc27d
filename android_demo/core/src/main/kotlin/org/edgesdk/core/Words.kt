package org.edgesdk.core

import kotlin.math.max
import kotlin.math.sqrt

/** Sentences as rows without a vocabulary: the numbers of `edgesdk/words.py`. */
object Words {
    private const val BLANK = "[blank]"
    private const val PRIME = 16777619
    private const val BASIS = 0x811c9dc5.toInt()
    private val GROUPS = listOf(3, 4)
    private val WORD = Regex("[\\p{L}\\p{N}]+")

    /** The words in lower case, or the reserved one where there are none. */
    fun of(sentence: String): List<String> =
        WORD.findAll(sentence.lowercase()).map { it.value }.toList().ifEmpty { listOf(BLANK) }

    /** Returns a row of `dims` values and length 1 for each of `words` words, zeros behind the last one. */
    fun features(sentence: String, words: Int, dims: Int): FloatArray {
        val out = FloatArray(words * dims)
        of(sentence).take(words).forEachIndexed { row, word ->
            val values = FloatArray(dims)
            for (group in groups(word)) {
                val hash = fnv1a(group)
                values[(hash.toLong() and 0xFFFFFFFFL).rem(dims).toInt()] += if (hash < 0) 1f else -1f
            }
            val length = max(sqrt(values.sumOf { it.toDouble() * it }), 1e-6)
            for (k in 0 until dims) out[row * dims + k] = (values[k] / length).toFloat()
        }
        return out
    }

    /** The 32-bit FNV-1a hash of the UTF-8 bytes. */
    fun fnv1a(text: String): Int =
        text.toByteArray().fold(BASIS) { hash, byte -> (hash xor (byte.toInt() and 0xFF)) * PRIME }

    /** The whole word twice, so that it weighs more, and its groups of letters. */
    private fun groups(word: String): List<String> {
        if (word == BLANK) return listOf(word)
        val letters = "<$word>".codePoints().toArray()
        val parts = GROUPS.flatMap { n -> (0..letters.size - n).map { String(letters, it, n) } }
        return listOf("<$word>", "<$word>+") + parts
    }
}
