package org.edgesdk.core

/** A JSON value and where it stands, so that a wrong one can be named. */
class Node(val value: Any?, val place: String) {
    /** Member `key`; a missing one is an error. */
    operator fun get(key: String): Node =
        find(key) ?: throw Problem("$place lacks the field '$key'; export the bundle again")

    /** Member `key`, or null where it is absent or null. */
    fun find(key: String): Node? = members[key]?.let { Node(it, "$place.$key") }

    val members: Map<String, Any?>
        get() {
            val map = value as? Map<*, *> ?: wrong("an object")
            @Suppress("UNCHECKED_CAST")
            return map as Map<String, Any?>
        }

    val items: List<Node>
        get() = (value as? List<*> ?: wrong("a list")).mapIndexed { i, v -> Node(v, "$place[$i]") }

    val string: String get() = value as? String ?: wrong("a string")

    val boolean: Boolean get() = value as? Boolean ?: wrong("true or false")

    val double: Double
        get() {
            val found = (value as? JsonNumber)?.text?.toDouble() ?: wrong("a number")
            return if (found.isFinite()) found else wrong("a finite number")
        }

    val int: Int get() = (value as? JsonNumber)?.text?.toIntOrNull() ?: wrong("a whole number")

    val long: Long get() = (value as? JsonNumber)?.text?.toLongOrNull() ?: wrong("a whole number")

    fun doubles(): DoubleArray = items.map { it.double }.toDoubleArray()

    private fun wrong(wanted: String): Nothing =
        throw Problem("$place must be $wanted, found ${Json.write(value).take(40)}")
}
