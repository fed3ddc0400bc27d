package org.edgesdk.core

/** What went wrong, in one sentence: what was asked, what was found, what to do. */
class Problem(message: String, cause: Throwable? = null) : Exception(message, cause)

/** Marks a function whose calls of a newer Android are guarded by a check of the version. */
@Retention(AnnotationRetention.BINARY)
@Target(AnnotationTarget.FUNCTION)
annotation class ApiGuarded
