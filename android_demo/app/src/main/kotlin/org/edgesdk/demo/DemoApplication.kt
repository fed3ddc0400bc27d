package org.edgesdk.demo

import android.app.Application
import android.system.Os

/** Switches the runtime's telemetry off before any code of it runs. */
class DemoApplication : Application() {
    override fun onCreate() {
        super.onCreate()
        Os.setenv("ORT_DISABLE_TELEMETRY", "1", true)
    }
}
