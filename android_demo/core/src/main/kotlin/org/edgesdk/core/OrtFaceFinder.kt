package org.edgesdk.core

import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtSession
import java.nio.FloatBuffer
import kotlin.math.max
import kotlin.math.roundToInt

/** The bundle `face-detector` in ONNX Runtime: finds the faces of a photo. Belongs to one thread. */
class OrtFaceFinder(private val bundle: Bundle, threads: Int) : FaceFinder, AutoCloseable {
    private val environment = ortEnvironment()
    private val session: OrtSession = environment.open(bundle, threads)
    private val told = bundle.manifest["postprocess"]
    private val side = bundle.preprocess.width

    init {
        if (bundle.task != TASK) throw Problem("the bundle is for '${bundle.task}', a finder of faces needs '$TASK'")
    }

    /** Looks twice: at half the size a face that fills the photo is seen, at the whole one a small one. */
    override fun find(photo: Picture): List<FoundFace> = detect(photo).map { FoundFace(it.points) }

    /** Faces in pixels of the photo, surest first. */
    fun detect(photo: Picture): List<Detection> = FaceMaps.join(
        listOf(side / 2, side).map { long ->
            val factor = max(photo.width, photo.height).toDouble() / long
            val found = FaceMaps.decode(maps(placed(photo, factor)), side, told["score"].double)
            FaceMaps.suppress(found, told["overlap"].double).map { it.scaled(factor) }
        },
    )

    /** The maps of one picture of the network's own size, by name. */
    fun maps(square: Picture): Map<String, FloatArray> {
        val shape = longArrayOf(1, 3, side.toLong(), side.toLong())
        val values = FloatBuffer.wrap(bundle.preprocess.tensor(listOf(square)))
        OnnxTensor.createTensor(environment, values, shape).use { input ->
            session.run(mapOf(bundle.input to input), FaceMaps.names.toSet()).use { result ->
                return FaceMaps.names.associateWith { name ->
                    val buffer = (result.get(name).get() as OnnxTensor).floatBuffer
                    FloatArray(buffer.remaining()).also(buffer::get)
                }
            }
        }
    }

    /** The photo shrunk into the upper left of a black square of the network's size. */
    private fun placed(photo: Picture, factor: Double): Picture {
        val width = (photo.width / factor).roundToInt().coerceIn(1, side)
        val height = (photo.height / factor).roundToInt().coerceIn(1, side)
        val small = resize(photo, height, width)
        val rgb = ByteArray(side * side * 3)
        for (y in 0 until height) {
            for (i in 0 until width * 3) rgb[y * side * 3 + i] = small[y * width * 3 + i].roundToInt().toByte()
        }
        return Picture(side, side, rgb)
    }

    override fun close() = session.close()

    companion object {
        const val TASK = "face-detection"
    }
}
