package org.edgesdk.core

import kotlin.math.max

/**
 * A face in a photo.
 *
 * @property points Two eyes, or five points: eyes, nose, mouth corners; picture's left first.
 */
data class FoundFace(val points: List<Point>) {
    private val eyes get() = points[1].x - points[0].x

    /** left, top, right, bottom of the face in pixels, as far as the eyes tell. */
    val box: List<Double>
        get() {
            val x = (points[0].x + points[1].x) / 2
            val y = (points[0].y + points[1].y) / 2
            return listOf(x - 1.1 * eyes, y - 1.1 * eyes, x + 1.1 * eyes, y + 1.7 * eyes)
        }

    val area get() = max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])
}

/** Finds the faces of a photo. */
fun interface FaceFinder {
    fun find(photo: Picture): List<FoundFace>
}

/** A face that was looked at: where it is, and who it is most like; null while nobody is enrolled. */
class Seen(val face: FoundFace, val embedding: FloatArray, val match: Match?) {
    /** What stands beside the face. */
    val caption get() = when {
        match == null -> "nobody is enrolled"
        match.same == true -> "%s %.2f".format(null, match.name, match.score)
        match.same == null -> "most like %s %.2f".format(null, match.name, match.score)
        else -> "unknown (%s %.2f)".format(null, match.name, match.score)
    }
}

/** Finds, aligns, embeds and compares the faces of a photo. */
class Recogniser(private val embedder: FaceEmbedder, val gallery: Gallery, private val finder: FaceFinder) {
    private val how = embedder.bundle.preprocess

    private val align = how.align
        ?: throw Problem("the bundle does not tell how a face is aligned; export it again")

    /** Largest face first; faces smaller than `LEAST` pixels between the eyes are left out. */
    fun see(photo: Picture): List<Seen> {
        val faces = finder.find(photo)
            .filter { it.points[1].x - it.points[0].x >= LEAST }
            .sortedByDescending { it.area }
            .take(MOST)
        val rows = embedder.embed(faces.map { align.crop(photo, it.points, how.padValue) })
        return faces.zip(rows) { face, row -> Seen(face, row, gallery.top(row).firstOrNull()) }
    }

    private companion object {
        const val LEAST = 6.0
        const val MOST = 8
    }
}

/** How often something happens, over the last 30 times. */
class Rate(private val clock: () -> Long = System::nanoTime) {
    private val times = ArrayDeque<Long>()

    /** Notes one event and returns the events per second. */
    @Synchronized
    fun tick(): Double {
        val now = clock()
        times.addLast(now)
        while (times.size > WINDOW) times.removeFirst()
        return if (times.size < 2) 0.0 else (times.size - 1) * 1e9 / max(1, now - times.first())
    }

    private companion object {
        const val WINDOW = 30
    }
}
