package org.edgesdk.demo

import android.Manifest
import android.app.AlertDialog
import android.app.Application
import android.content.DialogInterface
import android.graphics.Bitmap
import android.graphics.Canvas
import android.view.View
import android.view.ViewGroup
import android.widget.Button
import android.widget.EditText
import android.widget.TextView
import java.io.File
import org.edgesdk.core.FolderSource
import org.edgesdk.core.FoundFace
import org.edgesdk.core.Golden
import org.edgesdk.core.Picture
import org.edgesdk.core.Point
import org.edgesdk.core.Bundle as FaceBundle
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertSame
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import org.robolectric.shadows.ShadowAlertDialog

/** A camera that shows what the test holds in front of it. */
private class FakeFrames : Frames {
    var seen: ((Picture) -> Unit)? = null
    var failed: ((String) -> Unit)? = null
    override val dropped = 3
    override val mirror = true

    override fun start(seen: (Picture) -> Unit, failed: (String) -> Unit) {
        this.seen = seen
        this.failed = failed
    }

    override fun stop() {
        seen = null
    }
}

@RunWith(RobolectricTestRunner::class)
@Config(sdk = [34], qualifiers = "w411dp-h891dp-xhdpi")
@GraphicsMode(GraphicsMode.Mode.NATIVE)
class MainActivityTest {
    private val context: Application = RuntimeEnvironment.getApplication()
    private val frames = FakeFrames()
    private val golden = Golden(FaceBundle.open(FolderSource(File(System.getProperty("edgesdk.bundle")!!))))
    private lateinit var controller: ActivityController<MainActivity>

    /** A drawn face of the golden vectors, and where its eyes are. */
    private val case = golden.index["align"].items.first()
    private val photo = golden.pictures(case["picture"]).single()
    private val eyes = case["points"].items.take(2).map { p -> p.doubles().let { Point(it[0], it[1]) } }

    @Before
    fun replaceCameraAndDetector() {
        MainActivity.newFrames = { frames }
        MainActivity.newFinder = { { seen -> if (seen === photo) listOf(FoundFace(eyes)) else emptyList() } }
        shadowOf(context).grantPermissions(Manifest.permission.CAMERA)
        controller = Robolectric.buildActivity(MainActivity::class.java)
    }

    @After
    fun close() {
        controller.pause().stop().destroy()
    }

    private fun views(root: View): List<View> =
        listOf(root) + if (root is ViewGroup) (0 until root.childCount).flatMap { views(root.getChildAt(it)) } else emptyList()

    private val all get() = views(controller.get().findViewById(android.R.id.content))
    private val status get() = all.first { it is TextView && it !is Button }.let { (it as TextView).text.toString() }
    private val shown get() = all.first { it is FacesView }.contentDescription.toString()

    private fun press(words: String) = all.filterIsInstance<Button>().first { it.text.toString() == words }.performClick()

    private fun enrol(name: String) {
        press("Enrol")
        val dialog = ShadowAlertDialog.getLatestDialog() as AlertDialog
        val field = views(dialog.window!!.decorView).filterIsInstance<EditText>().single()
        field.setText(name)
        dialog.getButton(DialogInterface.BUTTON_POSITIVE).performClick()
        shadowOf(android.os.Looper.getMainLooper()).idle()
    }

    private fun look(picture: Picture = photo) {
        frames.seen!!(picture)
        shadowOf(android.os.Looper.getMainLooper()).idle()
    }

    private fun picture(name: String) {
        val root = controller.get().window.decorView
        val bitmap = Bitmap.createBitmap(root.width, root.height, Bitmap.Config.ARGB_8888)
        root.draw(Canvas(bitmap))
        val file = File(System.getProperty("edgesdk.results")!!, "$name.png")
        file.parentFile!!.mkdirs()
        file.outputStream().use { bitmap.compress(Bitmap.CompressFormat.PNG, 100, it) }
        assertTrue(file.length() > 1000)
    }

    @Test
    fun enrolsAndRecognisesAFace() {
        controller.setup()
        assertTrue(status, "self-test passed" in status)
        look()
        assertEquals("nobody is enrolled", shown)
        enrol("Ada")
        assertEquals("1 faces of 1 people are enrolled", status)
        look()
        assertEquals("Ada 1.00", shown)
        assertTrue(status, "3 dropped" in status)
        picture("recognise")
    }

    @Test
    fun theGalleryOutlivesTheActivityAndCanBeDeleted() {
        controller.setup()
        look()
        enrol("Ada")
        controller.pause().stop().destroy()
        controller = Robolectric.buildActivity(MainActivity::class.java).setup()
        look()
        assertEquals("Ada 1.00", shown)
        press("Delete all")
        look()
        assertEquals("nobody is enrolled", shown)
    }

    @Test
    fun withoutAFaceNobodyIsEnrolled() {
        controller.setup()
        look(golden.pictures().first())
        assertEquals("no face", shown)
        press("Enrol")
        assertTrue(status, "no face is seen" in status)
    }

    @Test
    fun withoutPermissionTheCameraStaysOff() {
        shadowOf(context).denyPermissions(Manifest.permission.CAMERA)
        controller.setup()
        assertEquals(null, frames.seen)
        val denied = intArrayOf(android.content.pm.PackageManager.PERMISSION_DENIED)
        controller.get().onRequestPermissionsResult(1, arrayOf(Manifest.permission.CAMERA), denied)
        assertTrue(status, "not allowed" in status)
        // The dialog leaves and comes back: whoever asks again there never stops asking.
        val asked = shadowOf(controller.get()).lastRequestedPermission
        controller.pause().resume()
        assertSame(asked, shadowOf(controller.get()).lastRequestedPermission)
        assertTrue(status, "not allowed" in status)
    }

    @Test
    fun aFailingCameraIsTold() {
        controller.setup()
        frames.failed!!("the camera was taken by another app")
        shadowOf(android.os.Looper.getMainLooper()).idle()
        assertTrue("taken" in status)
    }

    @Test
    fun opensTheBenchmark() {
        controller.setup()
        press("Benchmark")
        assertEquals(BenchActivity::class.java.name, shadowOf(context).nextStartedActivity.component!!.className)
    }

    @Test
    fun theRealCameraSourceIsWiredUp() {
        // Robolectric has no camera: what remains is that its absence is told.
        MainActivity.newFrames = ::CameraSource
        controller.setup()
        assertTrue(status, "no camera" in status)
    }
}
