package org.edgesdk.demo

import android.content.Context
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Paint
import android.graphics.RectF
import android.view.View
import org.edgesdk.core.Picture
import org.edgesdk.core.Seen
import kotlin.math.min

/** Shows the very picture that was looked at, with a box and a caption for each face. */
class FacesView(context: Context) : View(context) {
    private var picture: Bitmap? = null
    private var faces: List<Seen> = emptyList()
    private var mirrored = false
    private val image = Paint(Paint.FILTER_BITMAP_FLAG)
    private val line = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        style = Paint.Style.STROKE
        strokeWidth = 4f
    }
    private val words = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        color = Color.WHITE
        textSize = 18 * resources.displayMetrics.density
        setShadowLayer(4f, 0f, 0f, Color.BLACK)
    }

    /** Shows another picture; called on the main thread. */
    fun show(photo: Picture, seen: List<Seen>, mirror: Boolean) {
        mirrored = mirror
        val colours = IntArray(photo.width * photo.height) {
            PlatformFaceFinder.argb(photo, it % photo.width, it / photo.width)
        }
        picture = Bitmap.createBitmap(colours, photo.width, photo.height, Bitmap.Config.ARGB_8888)
        faces = seen
        contentDescription = if (seen.isEmpty()) "no face" else seen.joinToString { it.caption }
        invalidate()
    }

    override fun onDraw(canvas: Canvas) {
        super.onDraw(canvas)
        val shown = picture ?: return
        val scale = min(width.toFloat() / shown.width, height.toFloat() / shown.height)
        val left = (width - shown.width * scale) / 2
        val top = (height - shown.height * scale) / 2
        val place = RectF(left, top, left + shown.width * scale, top + shown.height * scale)
        canvas.save()
        if (mirrored) canvas.scale(-1f, 1f, width / 2f, 0f)
        canvas.drawBitmap(shown, null, place, image)
        canvas.restore()
        for (one in faces) {
            val (x0, y0, x1, y1) = one.face.box.map { it.toFloat() * scale }
            val from = left + if (mirrored) shown.width * scale - x1 else x0
            line.color = if (one.match?.same == true) Color.GREEN else Color.YELLOW
            canvas.drawRect(from, top + y0, from + x1 - x0, top + y1, line)
            canvas.drawText(one.caption, from, top + y0 - 8, words)
        }
    }
}
