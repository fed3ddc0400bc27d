package org.edgesdk.core

/** An RGB picture, 8 bits a channel, row by row. */
class Picture(val width: Int, val height: Int, val rgb: ByteArray) {
    init {
        require(width > 0 && height > 0 && rgb.size == width * height * 3) {
            "a picture of ${width}x$height needs ${width * height * 3} bytes, found ${rgb.size}"
        }
    }

    /** Channel `c` of a pixel, 0..255. */
    fun at(x: Int, y: Int, c: Int): Int = rgb[(y * width + x) * 3 + c].toInt() and 0xFF
}
