package org.edgesdk.core

import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtSession
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.FloatBuffer

/** Turns faces into embeddings. Belongs to one thread. */
interface FaceEmbedder : AutoCloseable {
    val bundle: Bundle

    /** Name and version of the library behind it. */
    val version: String

    /** Runs one batch of `count` pictures' tensors; returns the network's own output rows. */
    fun outputs(tensor: FloatArray, count: Int): List<FloatArray>

    /** Returns one row of unit length per aligned crop. */
    fun embed(crops: List<Picture>): List<FloatArray> {
        val size = bundle.batch ?: maxOf(crops.size, 1)
        return crops.chunked(size).flatMap { part ->
            // A file of a fixed batch size is filled up with the last crop.
            val filled = part + List(size - part.size) { part.last() }
            outputs(bundle.preprocess.tensor(filled), size).take(part.size).map(::finite).map(::unit)
        }
    }

    private fun finite(row: FloatArray): FloatArray =
        if (row.all { it.isFinite() }) row else throw Problem("the embedding is not finite; run the self-test")
}

/** The bundle's ONNX file in ONNX Runtime, on the CPU. */
class OrtFaceEmbedder(override val bundle: Bundle, threads: Int) : FaceEmbedder {
    private val environment = ortEnvironment()
    private val session: OrtSession = environment.open(bundle, threads)
    private var buffer: FloatBuffer = direct(bundle.preprocess.elements)

    override val version = "onnxruntime ${environment.version}"

    override fun outputs(tensor: FloatArray, count: Int): List<FloatArray> {
        if (buffer.capacity() < tensor.size) buffer = direct(tensor.size)
        buffer.clear()
        buffer.put(tensor)
        buffer.flip()
        val how = bundle.preprocess
        val sides = longArrayOf(how.height.toLong(), how.width.toLong())
        val shape = if (how.layout == "NCHW") longArrayOf(count.toLong(), 3) + sides else longArrayOf(count.toLong()) + sides + 3
        OnnxTensor.createTensor(environment, buffer, shape).use { input ->
            session.run(mapOf(bundle.input to input), setOf(bundle.output)).use { return rows(it, count) }
        }
    }

    private fun rows(result: OrtSession.Result, count: Int): List<FloatArray> {
        val values = (result.get(0) as OnnxTensor).floatBuffer
        if (values.remaining() != count * bundle.dim) {
            throw Problem("${bundle.entry} gave ${values.remaining()} values, ${count * bundle.dim} wanted; export it again")
        }
        return List(count) { FloatArray(bundle.dim).also(values::get) }
    }

    override fun close() = session.close()

    private companion object {
        fun direct(elements: Int): FloatBuffer =
            ByteBuffer.allocateDirect(elements * 4).order(ByteOrder.nativeOrder()).asFloatBuffer()
    }
}
