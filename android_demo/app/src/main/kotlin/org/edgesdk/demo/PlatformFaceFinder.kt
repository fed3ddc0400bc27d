package org.edgesdk.demo

import android.graphics.Bitmap
import android.graphics.PointF
import android.media.FaceDetector
import org.edgesdk.core.FaceFinder
import org.edgesdk.core.FoundFace
import org.edgesdk.core.Picture
import org.edgesdk.core.Point

/**
 * Android's own face detector: it gives the eyes of upright faces, nothing more.
 *
 * Its points are coarser than those of the detector that the Python side uses, so the camera
 * screen is a demonstration; no accuracy is claimed for it.
 */
class PlatformFaceFinder : FaceFinder {
    override fun find(photo: Picture): List<FoundFace> {
        val width = photo.width / 2 * 2 // The detector takes even widths only.
        val found = arrayOfNulls<FaceDetector.Face>(MOST)
        val count = FaceDetector(width, photo.height, MOST).findFaces(bitmap(photo, width), found)
        return found.take(count).filterNotNull().map { face ->
            val middle = PointF().also(face::getMidPoint)
            val half = face.eyesDistance() / 2.0
            FoundFace(listOf(Point(middle.x - half, middle.y.toDouble()), Point(middle.x + half, middle.y.toDouble())))
        }
    }

    private fun bitmap(photo: Picture, width: Int): Bitmap {
        val colours = IntArray(width * photo.height) { argb(photo, it % width, it / width) }
        return Bitmap.createBitmap(colours, width, photo.height, Bitmap.Config.RGB_565)
    }

    companion object {
        private const val MOST = 8

        /** A pixel as Android codes colours. */
        fun argb(photo: Picture, x: Int, y: Int): Int =
            (0xFF shl 24) or (photo.at(x, y, 0) shl 16) or (photo.at(x, y, 1) shl 8) or photo.at(x, y, 2)
    }
}
