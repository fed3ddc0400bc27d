package org.edgesdk.core

import kotlin.math.abs
import kotlin.math.max
import kotlin.math.min
import kotlin.math.round

/**
 * What one frame tells of a target.
 *
 * @property box x, y of the upper left corner, width, height, in pixels; of a lost target the last known one.
 * @property score How sure, 0..1.
 * @property lost Whether the target has not been seen for some frames.
 */
class Tracked(val box: List<Double>, val score: Double, val lost: Boolean)

/** A tracker's network, a batch of one: a crop [3, size, size], the memory of a target and a sentence in. */
interface TrackNet {
    /** Side of the crop, cells of the answer and of the memory, channels of both, stride of a cell in the crop. */
    val size: Int
    val cells: Int
    val memorySide: Int
    val channels: Int
    val stride: Int

    /** Places for words, and the length of a word's row. */
    val words: Int
    val dims: Int

    fun run(image: FloatArray, memory: FloatArray, text: FloatArray): TrackAnswer
}

/** Scores [cells, cells], boxes [4, cells, cells], features [channels, cells, cells]. */
class TrackAnswer(val score: FloatArray, val box: FloatArray, val features: FloatArray)

/** The state of one target: the steps of `edgesdk/track.py`. Belongs to one thread. */
class Follower(private val net: TrackNet, private val policy: Policy) {
    private var box: List<Double>? = null
    private var centre = Spot(0.0, 0.0)
    private var sides = Spot(0.0, 0.0)
    private var speed = Spot(0.0, 0.0)
    private var misses = 0
    private var tile = 0
    private var text = FloatArray(0)
    private var memory = FloatArray(0)

    private class Sight(val centre: Spot, val sides: Spot, val score: Double, val rate: Double, val answer: TrackAnswer)

    /** Whether the target has not been seen for some frames. */
    val lost get() = misses > policy.patience

    /** Remembers what a box of a frame shows, and what a sentence says of it. */
    fun start(frame: Picture, box: List<Double>, text: String = ""): Tracked {
        check(frame, box)
        this.box = box
        centre = Spot(box[0] + box[2] / 2, box[1] + box[3] / 2)
        sides = Spot(box[2], box[3])
        speed = Spot(0.0, 0.0)
        misses = 0
        tile = 0
        this.text = Words.features(text, net.words, net.dims)
        memory = FloatArray(net.channels * net.memorySide * net.memorySide)
        memory = middle(look(frame, centre, side()).features, 0, 0)
        return Tracked(box, 1.0, false)
    }

    /** Finds the target in the next frame; null is a frame that could not be read. */
    fun update(frame: Picture?): Tracked {
        val last = box ?: throw Problem("there is no target yet; call start(frame, box) first")
        if (frame == null) return missed(last, 0.0)
        val side = side()
        val awaited = awaited(side)
        var found = find(frame, awaited, side)
        for (at in more(awaited, side, found.score, frame)) {
            find(frame, at, side).let { if (it.score > found.score) found = it }
        }
        if (found.score < policy.lost) return missed(last, found.score)
        take(found, frame)
        if (policy.update > 0 && found.score >= policy.sure) remember(found.answer, awaited, side)
        return Tracked(box!!, found.score, false)
    }

    private fun check(frame: Picture, box: List<Double>) {
        if (box.size != 4 || box.any { !it.isFinite() } || box[2] <= 0 || box[3] <= 0 || max(box[2], box[3]) > FARTHEST) {
            throw Problem("a box is x, y and a width and a height above 0 pixels, found $box")
        }
        if (box[0] >= frame.width || box[1] >= frame.height || box[0] + box[2] <= 0 || box[1] + box[3] <= 0) {
            throw Problem("the box $box lies outside the frame of ${frame.width}x${frame.height} pixels")
        }
    }

    /** The side of the crop; the memory holds target and surroundings, the crop is that much larger. */
    private fun side() = net.size.toDouble() / (net.memorySide * net.stride) * TrackSteps.targetSide(sides.x, sides.y)

    /** Where the target's middle is awaited; short steps are but a box that trembles. */
    private fun awaited(side: Double): Spot {
        val part = if (max(abs(speed.x), abs(speed.y)) > policy.still * side) policy.motion else 0.0
        return Spot(centre.x + part * speed.x, centre.y + part * speed.y)
    }

    /** The middles of further squares to look at, none where the first one is sure. */
    private fun more(awaited: Spot, side: Double, score: Double, frame: Picture): List<Spot> {
        if (lost) return nextTiles(frame, side)
        if (score >= policy.look) return emptyList()
        val off = AROUND * side
        val around = CORNERS.map { (x, y) -> Spot(awaited.x + x * off, awaited.y + y * off) }
        return listOf(Spot(awaited.x + speed.x, awaited.y + speed.y)) + around
    }

    private fun look(frame: Picture, at: Spot, side: Double) = net.run(TrackSteps.crop(frame, at, side, net.size), memory, text)

    private fun find(frame: Picture, at: Spot, side: Double): Sight {
        val answer = look(frame, at, side)
        val scale = net.size / side
        val boxes = TrackSteps.boxesIn(answer.box, net.cells, net.stride)
        val (best, rate) = TrackSteps.choose(answer.score, boxes, Spot(sides.x * scale, sides.y * scale), policy)
        val found = boxes[best]
        return Sight(
            Spot(at.x + found.x / scale, at.y + found.y / scale), Spot(found.width / scale, found.height / scale),
            answer.score[best].toDouble(), rate, answer,
        )
    }

    private fun take(found: Sight, frame: Picture) {
        val (width, height) = listOf(frame.width.toDouble(), frame.height.toDouble())
        fun mixed(old: Double, new: Double, most: Double) = min(max(old * (1 - found.rate) + new * found.rate, SMALLEST), most)
        val next = Spot(min(max(found.centre.x, 0.0), width), min(max(found.centre.y, 0.0), height))
        speed = if (misses == 0) Spot(next.x - centre.x, next.y - centre.y) else Spot(0.0, 0.0)
        centre = next
        misses = 0
        sides = Spot(mixed(sides.x, found.sides.x, width), mixed(sides.y, found.sides.y, height))
        box = listOf(centre.x - sides.x / 2, centre.y - sides.y / 2, sides.x, sides.y)
    }

    private fun missed(last: List<Double>, score: Double): Tracked {
        misses += 1
        speed = Spot(0.0, 0.0)
        return Tracked(last, score, lost)
    }

    /** The middle of the features, `right` and `down` cells off. */
    private fun middle(features: FloatArray, right: Int, down: Int): FloatArray {
        val side = net.memorySide
        val skip = (net.cells - side) / 2
        fun wrapped(v: Int) = ((v % net.cells) + net.cells) % net.cells
        return FloatArray(net.channels * side * side) {
            val x = wrapped(it % side + skip + right)
            val y = wrapped(it / side % side + skip + down)
            features[(it / side / side * net.cells + y) * net.cells + x]
        }
    }

    /** Mixes the target's new features into the memory, from where it stands in the crop. */
    private fun remember(answer: TrackAnswer, awaited: Spot, side: Double) {
        fun cells(away: Double) = round(away * net.size / side / net.stride).toInt()
        val seen = middle(answer.features, cells(centre.x - awaited.x), cells(centre.y - awaited.y))
        val part = policy.update
        memory = FloatArray(memory.size) { ((1 - part) * memory[it] + part * seen[it]).toFloat() }
    }

    /** The middles of the next few squares of a grid over the whole frame. */
    private fun nextTiles(frame: Picture, side: Double): List<Spot> {
        val (columns, rows) = listOf(frame.width, frame.height).map { max(1, round(2 * it / side).toInt()) }
        val numbers = List(min(TILES, columns * rows)) { (tile + it) % (columns * rows) }
        tile += TILES
        return numbers.map { Spot((it % columns + 0.5) * frame.width / columns, (it / columns + 0.5) * frame.height / rows) }
    }

    private companion object {
        const val AROUND = 0.35
        val CORNERS = listOf(-1 to -1, 1 to -1, -1 to 1, 1 to 1)
        const val SMALLEST = 4.0
        const val TILES = 2
        const val FARTHEST = 1e6
    }
}
