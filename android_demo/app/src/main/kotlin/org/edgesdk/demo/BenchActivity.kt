package org.edgesdk.demo

import android.app.Activity
import android.content.Intent
import android.os.Bundle
import android.util.Log
import android.view.WindowManager
import android.widget.ScrollView
import android.widget.TextView
import java.io.File
import org.edgesdk.core.Bench
import org.edgesdk.core.FolderSource
import org.edgesdk.core.Json
import org.edgesdk.core.Plan
import org.edgesdk.core.Problem
import org.edgesdk.core.Report
import org.edgesdk.core.writeWhole

/**
 * Measures a bundle without a camera and writes the result for `edgesdk bench --device android`.
 *
 * Extras: bundle (folder on the phone; the packed bundle without it), nonce, seconds, threads,
 * warmup, iterations, batch. The result goes to files/edgesdk_result.json, and without its raw
 * times on one line to the log.
 */
class BenchActivity : Activity() {
    private lateinit var text: TextView
    private var worker: Thread? = null

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        // A phone that sleeps is a phone that slows down.
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        text = TextView(this).apply {
            textSize = 16f
            setPadding(32, 64, 32, 32)
        }
        setContentView(ScrollView(this).apply { addView(text) })
        start(intent)
    }

    override fun onNewIntent(intent: Intent) {
        super.onNewIntent(intent)
        if (worker?.isAlive == true) show("still measuring; start again when it is done") else start(intent)
    }

    private fun start(intent: Intent) {
        text.text = ""
        val folder = intent.getStringExtra("bundle")
        val source = if (folder == null) AssetSource(assets) else FolderSource(File(folder))
        val nonce = intent.getStringExtra("nonce") ?: ""
        worker = Thread {
            val report = Bench(AndroidPhone(this)).run(source, nonce, plan(intent)) { show("$it …") }
            publish(report)
            show(report.sentence())
        }.also { it.start() }
    }

    private fun plan(intent: Intent): Plan {
        val plain = Plan()
        return Plan(
            seconds = intent.getIntExtra("seconds", plain.seconds.toInt()).coerceIn(1, 3600).toDouble(),
            threads = intent.getIntExtra("threads", plain.threads).coerceIn(1, 64),
            warmup = intent.getIntExtra("warmup", plain.warmup).coerceIn(1, 10_000),
            iterations = intent.getIntExtra("iterations", plain.iterations).coerceIn(1, 1_000_000),
            batch = intent.getIntExtra("batch", plain.batch).coerceIn(1, 1024),
        )
    }

    private fun publish(report: Report) {
        try {
            writeWhole(File(filesDir, RESULT), Json.write(report.json()) + "\n")
        } catch (error: java.io.IOException) {
            show("the result cannot be written (${error.message}); free space on the phone")
        } catch (error: Problem) {
            show(error.message ?: "")
        }
        // The file comes first: whoever reads the line finds the file complete.
        Log.i(TAG, Json.write(report.brief()))
    }

    private fun show(line: String) = runOnUiThread { text.append(line + "\n") }

    companion object {
        const val RESULT = "edgesdk_result.json"
        const val TAG = "EDGESDK_RESULT"
    }
}
