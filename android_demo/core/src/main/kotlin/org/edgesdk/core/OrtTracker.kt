package org.edgesdk.core

import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtSession
import java.nio.FloatBuffer

/** The bundle `tracker` in ONNX Runtime: follows one target. Belongs to one thread. */
class OrtTracker(bundle: Bundle, threads: Int, policy: Policy = Policy.read(bundle.manifest["postprocess"].find("policy"))) :
    AutoCloseable {
    private val net = OrtTrackNet(bundle, threads)
    private val follower = Follower(net, policy)

    /** Remembers what a box (x, y, width, height) of a frame shows, and what a sentence says of it. */
    fun start(frame: Picture, box: List<Double>, text: String = ""): Tracked = follower.start(frame, box, text)

    /** Finds it in the next frame; null is a frame that could not be read. */
    fun update(frame: Picture?): Tracked = follower.update(frame)

    override fun close() = net.close()

    companion object {
        const val TASK = "tracking"
        const val INPUTS = 3

        /** Opens a bundle for tracking. */
        fun bundle(source: Source): Bundle = Bundle.open(source, TASK, INPUTS)
    }
}

private class OrtTrackNet(bundle: Bundle, threads: Int) : TrackNet, AutoCloseable {
    private val shapes: Map<String, LongArray>
    private val environment = ortEnvironment()
    private val session: OrtSession

    init {
        if (bundle.task != OrtTracker.TASK) throw Problem("the bundle is for '${bundle.task}', a tracker needs '${OrtTracker.TASK}'")
        shapes = listOf("inputs", "outputs").flatMap { bundle.manifest[it].items }.associate { it["name"].string to shape(it["shape"]) }
        session = environment.open(bundle, threads)
    }

    override val size = sides("image")[2]
    override val cells = sides("score")[2]
    override val memorySide = sides("memory")[2]
    override val channels = sides("memory")[1]
    override val stride = bundle.manifest["postprocess"].find("stride")?.int ?: 16
    override val words = sides("text")[1]
    override val dims = sides("text")[2]

    override fun run(image: FloatArray, memory: FloatArray, text: FloatArray): TrackAnswer {
        val given = mapOf("image" to image, "memory" to memory, "text" to text)
        val tensors = given.mapValues { (name, values) -> OnnxTensor.createTensor(environment, FloatBuffer.wrap(values), shapes.getValue(name)) }
        try {
            session.run(tensors).use { result ->
                val (score, box, features) = listOf("score", "box", "features").map { values(result, it) }
                return TrackAnswer(score, box, features)
            }
        } finally {
            tensors.values.forEach { it.close() }
        }
    }

    private fun values(result: OrtSession.Result, name: String): FloatArray {
        val buffer = (result.get(name).get() as OnnxTensor).floatBuffer
        return FloatArray(buffer.remaining()).also(buffer::get)
    }

    /** A shape whose free batch is one. */
    private fun shape(told: Node) = LongArray(told.items.size) { if (it == 0) 1L else told.items[it].long }

    private fun sides(name: String): List<Int> =
        shapes[name]?.map { it.toInt() } ?: throw Problem("the bundle has no input or output '$name'; export it again")

    override fun close() = session.close()
}
