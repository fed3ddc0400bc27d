package org.edgesdk.core

/** One plane of a camera frame; the last row may end after its last pixel. */
class Plane(val bytes: ByteArray, val rowStride: Int, val pixelStride: Int) {
    fun at(x: Int, y: Int): Int = bytes[y * rowStride + x * pixelStride].toInt() and 0xFF

    /** Says whether a plane of this size fits into the bytes. */
    fun holds(width: Int, height: Int) =
        rowStride > 0 && pixelStride > 0 &&
            (height - 1L) * rowStride + (width - 1L) * pixelStride < bytes.size
}

/** A YUV_420_888 frame as a camera gives it: full range BT.601, colours at half size. */
class Yuv(val width: Int, val height: Int, val y: Plane, val u: Plane, val v: Plane) {
    init {
        val halfWidth = (width + 1) / 2
        val halfHeight = (height + 1) / 2
        if (width < 1 || height < 1 || !y.holds(width, height) || !u.holds(halfWidth, halfHeight) ||
            !v.holds(halfWidth, halfHeight)
        ) {
            throw Problem("a camera frame of ${width}x$height has planes too small for it; it is dropped")
        }
    }

    /**
     * Returns the picture turned clockwise by 0, 90, 180 or 270 degrees.
     *
     * It is never mirrored: a mirrored face has another embedding. A mirror is for the screen.
     */
    fun toPicture(rotation: Int): Picture {
        require(rotation in setOf(0, 90, 180, 270)) { "rotation must be 0, 90, 180 or 270, found $rotation" }
        val turned = rotation % 180 != 0
        val flipX = rotation >= 180
        val flipRow = rotation == 90 || rotation == 180
        val outWidth = if (turned) height else width
        val outHeight = if (turned) width else height
        val rgb = ByteArray(width * height * 3)
        for (outY in 0 until outHeight) {
            for (outX in 0 until outWidth) {
                val x = if (turned) outY else outX
                val row = if (turned) outX else outY
                convert(
                    if (flipX) width - 1 - x else x,
                    if (flipRow) height - 1 - row else row,
                    rgb,
                    (outY * outWidth + outX) * 3,
                )
            }
        }
        return Picture(outWidth, outHeight, rgb)
    }

    /** Writes one pixel; the factors are those of BT.601 times 2^16. */
    private fun convert(x: Int, row: Int, rgb: ByteArray, to: Int) {
        val luma = (y.at(x, row) shl 16) + HALF
        val blue = u.at(x / 2, row / 2) - 128
        val red = v.at(x / 2, row / 2) - 128
        rgb[to] = clamp((luma + 91881 * red) shr 16)
        rgb[to + 1] = clamp((luma - 22554 * blue - 46802 * red) shr 16)
        rgb[to + 2] = clamp((luma + 116130 * blue) shr 16)
    }

    private fun clamp(value: Int): Byte = value.coerceIn(0, 255).toByte()

    private companion object {
        const val HALF = 1 shl 15
    }
}
