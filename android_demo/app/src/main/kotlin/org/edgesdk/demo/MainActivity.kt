package org.edgesdk.demo

import android.Manifest
import android.app.Activity
import android.app.AlertDialog
import android.content.Intent
import android.content.pm.PackageManager
import android.os.Bundle
import android.widget.Button
import android.widget.EditText
import android.widget.LinearLayout
import android.widget.TextView
import java.io.File
import org.edgesdk.core.FaceFinder
import org.edgesdk.core.Gallery
import org.edgesdk.core.OrtFaceEmbedder
import org.edgesdk.core.Picture
import org.edgesdk.core.Problem
import org.edgesdk.core.Rate
import org.edgesdk.core.Recogniser
import org.edgesdk.core.Seen
import org.edgesdk.core.SelfTest
import org.edgesdk.core.Bundle as FaceBundle

/** Shows who is in front of the camera; enrols and forgets people. */
class MainActivity : Activity() {
    private lateinit var view: FacesView
    private lateinit var status: TextView
    private val frames by lazy { newFrames(this) }
    private val rate = Rate()
    private var embedder: OrtFaceEmbedder? = null
    private var recogniser: Recogniser? = null
    private var asked = false
    private var last: List<Seen> = emptyList()

    private val file get() = File(filesDir, "gallery.json")

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        view = FacesView(this)
        status = TextView(this).apply { setPadding(16, 16, 16, 16) }
        setContentView(layout())
        try {
            open()
        } catch (error: Problem) {
            status.text = error.message
        }
    }

    private fun layout() = LinearLayout(this).apply {
        orientation = LinearLayout.VERTICAL
        setPadding(0, 48, 0, 0)
        addView(view, LinearLayout.LayoutParams(LinearLayout.LayoutParams.MATCH_PARENT, 0, 1f))
        addView(status)
        val row = LinearLayout(context)
        for ((words, work) in listOf("Enrol" to ::enrol, "Delete all" to ::deleteAll, "Benchmark" to ::bench)) {
            val button = Button(context).apply {
                text = words
                setOnClickListener { work() }
            }
            row.addView(button, LinearLayout.LayoutParams(0, LinearLayout.LayoutParams.WRAP_CONTENT, 1f))
        }
        addView(row)
    }

    /** Opens bundle, network and gallery; a network that gives wrong numbers is not used. */
    private fun open() {
        val bundle = FaceBundle.open(AssetSource(assets))
        val opened = OrtFaceEmbedder(bundle, THREADS).also { embedder = it }
        SelfTest.run(bundle, opened).problem?.let { throw Problem(it) }
        val gallery = Gallery(bundle)
        recogniser = Recogniser(opened, gallery, newFinder())
        status.text = "${bundle.name}: self-test passed"
        if (file.exists()) gallery.load(file)
    }

    override fun onResume() {
        super.onResume()
        when {
            recogniser == null -> return
            checkSelfPermission(Manifest.permission.CAMERA) == PackageManager.PERMISSION_GRANTED ->
                frames.start(::look) { sentence -> runOnUiThread { status.text = sentence } }
            // Once: the answer itself brings the activity back to here.
            !asked -> requestPermissions(arrayOf(Manifest.permission.CAMERA), 1).also { asked = true }
        }
    }

    override fun onRequestPermissionsResult(code: Int, names: Array<String>, results: IntArray) {
        if (results.firstOrNull() == PackageManager.PERMISSION_DENIED) {
            status.text = "the camera is not allowed; allow it in the settings, or run the benchmark"
        }
    }

    override fun onPause() {
        frames.stop()
        super.onPause()
    }

    override fun onDestroy() {
        super.onDestroy()
        // A picture may still be looked at.
        synchronized(this) {
            recogniser = null
            embedder?.close()
        }
    }

    /** Runs on the thread of the pictures. */
    private fun look(photo: Picture) {
        val begin = System.nanoTime()
        val seen = synchronized(this) { recogniser?.see(photo) } ?: return
        val ms = (System.nanoTime() - begin) / 1e6
        val words = "camera %.1f pictures/s, %d dropped; %d faces found and compared in %.1f ms"
            .format(null, rate.tick(), frames.dropped, seen.size, ms)
        runOnUiThread {
            last = seen
            view.show(photo, seen, frames.mirror)
            status.text = words
        }
    }

    private fun enrol() {
        val face = last.firstOrNull()
        if (face == null) {
            status.text = "no face is seen; look at the camera"
            return
        }
        val name = EditText(this).apply { hint = "name" }
        AlertDialog.Builder(this)
            .setTitle("Who is this?")
            .setView(name)
            .setPositiveButton("Enrol") { _, _ -> change { it.add(name.text.toString().trim(), face.embedding) } }
            .setNegativeButton("Cancel", null)
            .show()
    }

    private fun deleteAll() = change { it.clear() }

    private fun bench() = startActivity(Intent(this, BenchActivity::class.java))

    private fun change(work: (Gallery) -> Unit) {
        val gallery = recogniser?.gallery ?: return
        try {
            synchronized(this) { work(gallery) }
            gallery.save(file)
            status.text = "${gallery.size} faces of ${gallery.names.size} people are enrolled"
        } catch (error: Problem) {
            status.text = error.message
        }
    }

    companion object {
        private const val THREADS = 2

        /** Replaced by tests: the JVM has neither camera nor Android's detector. */
        internal var newFrames: (Activity) -> Frames = ::CameraSource
        internal var newFinder: () -> FaceFinder = ::PlatformFaceFinder
    }
}
