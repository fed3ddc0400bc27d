package org.edgesdk.demo

import android.annotation.SuppressLint
import android.app.Activity
import android.graphics.ImageFormat
import android.hardware.camera2.CameraAccessException
import android.hardware.camera2.CameraCaptureSession
import android.hardware.camera2.CameraCharacteristics
import android.hardware.camera2.CameraDevice
import android.hardware.camera2.CameraManager
import android.media.Image
import android.media.ImageReader
import android.os.Handler
import android.os.HandlerThread
import java.util.concurrent.atomic.AtomicBoolean
import java.util.concurrent.atomic.AtomicInteger
import kotlin.math.abs
import org.edgesdk.core.Picture
import org.edgesdk.core.Plane
import org.edgesdk.core.Problem
import org.edgesdk.core.Yuv

/** The front camera, or the first one there is; needs the permission CAMERA. */
class CameraSource(private val activity: Activity) : Frames {
    private val manager = activity.getSystemService(CameraManager::class.java)
    private val busy = AtomicBoolean(false)
    private val lost = AtomicInteger(0)
    @Volatile private var running = false
    @Volatile private var camera: CameraDevice? = null
    @Volatile private var reader: ImageReader? = null
    private var cameraThread: HandlerThread? = null
    private var workThread: HandlerThread? = null
    private lateinit var failed: (String) -> Unit

    override val dropped get() = lost.get()

    override var mirror = false
        private set

    override fun start(seen: (Picture) -> Unit, failed: (String) -> Unit) {
        this.failed = failed
        running = true
        guarded {
            val id = manager?.let(::choose)
                ?: return failed("this device has no camera; the benchmark needs none")
            val facts = manager.getCameraCharacteristics(id)
            cameraThread = HandlerThread("camera").apply { start() }
            workThread = HandlerThread("faces").apply { start() }
            mirror = facing(facts)
            reader = reader(facts, seen)
            open(id)
        }
    }

    /** Runs `work`; a camera that is taken, refused or closed meanwhile becomes a sentence. */
    private inline fun guarded(work: () -> Unit) {
        try {
            work()
        } catch (error: CameraAccessException) {
            failed("the camera cannot be used (${error.message}); close other apps that use it")
        } catch (error: SecurityException) {
            failed("the camera is not allowed (${error.message}); allow it in the settings of the app")
        } catch (error: IllegalStateException) {
            if (running) failed("the camera stopped (${error.message}); start the app again")
        }
    }

    override fun stop() {
        running = false
        camera?.close()
        reader?.close()
        cameraThread?.quitSafely()
        workThread?.quitSafely()
        camera = null
        reader = null
    }

    private fun choose(manager: CameraManager): String? {
        val ids = manager.cameraIdList
        return ids.firstOrNull { facing(manager.getCameraCharacteristics(it)) } ?: ids.firstOrNull()
    }

    private fun facing(facts: CameraCharacteristics) =
        facts.get(CameraCharacteristics.LENS_FACING) == CameraCharacteristics.LENS_FACING_FRONT

    /** Asks for frames of about 640x480: faces are shrunk to a few pixels anyway. */
    private fun reader(facts: CameraCharacteristics, seen: (Picture) -> Unit): ImageReader {
        val sizes = facts.get(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP)
            ?.getOutputSizes(ImageFormat.YUV_420_888)?.toList().orEmpty()
        val size = sizes.minByOrNull { abs(it.width * it.height - 640 * 480) }
        val work = Handler(workThread!!.looper)
        return ImageReader.newInstance(size?.width ?: 640, size?.height ?: 480, ImageFormat.YUV_420_888, 2).apply {
            setOnImageAvailableListener({ take(it, turn(facts), work, seen) }, Handler(cameraThread!!.looper))
        }
    }

    /** Copies the newest frame and hands it on, unless the one before is still looked at. */
    private fun take(from: ImageReader, turn: Int, work: Handler, seen: (Picture) -> Unit) {
        val frame = (from.acquireLatestImage() ?: return).use { image ->
            if (!busy.compareAndSet(false, true)) {
                lost.incrementAndGet()
                return
            }
            copy(image)
        }
        work.post {
            try {
                seen(frame().toPicture(turn))
            } catch (error: Problem) {
                failed(error.message ?: "")
            } finally {
                busy.set(false)
            }
        }
    }

    private fun copy(image: Image): () -> Yuv {
        val (y, u, v) = image.planes.map { plane ->
            val bytes = ByteArray(plane.buffer.remaining()).also(plane.buffer::get)
            Plane(bytes, plane.rowStride, plane.pixelStride)
        }
        val width = image.width
        val height = image.height
        return { Yuv(width, height, y, u, v) }
    }

    /** Degrees clockwise from the sensor's picture to an upright one. */
    private fun turn(facts: CameraCharacteristics): Int {
        val sensor = facts.get(CameraCharacteristics.SENSOR_ORIENTATION) ?: 0
        @Suppress("DEPRECATION") // Its successor came with Android 11.
        val screen = activity.windowManager.defaultDisplay.rotation * 90
        return if (facing(facts)) (sensor + screen) % 360 else (sensor - screen + 360) % 360
    }

    @SuppressLint("MissingPermission") // MainActivity asks for it first.
    private fun open(id: String) {
        val handler = Handler(cameraThread!!.looper)
        val states = object : CameraDevice.StateCallback() {
            override fun onOpened(device: CameraDevice) {
                // The app may have been left while the camera was opened.
                if (!running) return device.close()
                camera = device
                guarded { stream(device, handler) }
            }

            override fun onDisconnected(device: CameraDevice) {
                device.close()
                failed("the camera was taken by another app; come back to this one")
            }

            override fun onError(device: CameraDevice, error: Int) {
                device.close()
                failed("the camera stopped with error $error; start the app again")
            }
        }
        manager?.openCamera(id, states, handler)
    }

    private fun stream(device: CameraDevice, handler: Handler) {
        val surface = reader?.surface ?: return
        val request = device.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW).apply { addTarget(surface) }.build()
        val states = object : CameraCaptureSession.StateCallback() {
            override fun onConfigured(session: CameraCaptureSession) = guarded {
                session.setRepeatingRequest(request, null, handler)
            }

            override fun onConfigureFailed(session: CameraCaptureSession) =
                failed("the camera gives no frames of this kind; the benchmark needs none")
        }
        @Suppress("DEPRECATION") // Its successor came with Android 9.
        device.createCaptureSession(listOf(surface), states, handler)
    }
}
