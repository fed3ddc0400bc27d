package org.edgesdk.demo

import android.content.Context
import android.content.pm.ApplicationInfo
import android.os.BatteryManager
import android.os.Build
import android.os.PowerManager
import android.system.Os
import android.system.OsConstants
import java.time.Instant
import java.time.temporal.ChronoUnit
import org.edgesdk.core.ApiGuarded
import org.edgesdk.core.Json
import org.edgesdk.core.Node
import org.edgesdk.core.Phone

/** The facts of this phone; what it does not tell is null. */
class AndroidPhone(private val context: Context) : Phone {
    override val runtime = "onnxruntime-android"

    override val device: Map<String, Any?> = mapOf(
        "kind" to "android",
        "name" to "${Build.MANUFACTURER} ${Build.MODEL}",
        "manufacturer" to Build.MANUFACTURER,
        "model" to Build.MODEL,
        "soc" to soc(),
        "abi" to Build.SUPPORTED_ABIS.firstOrNull(),
        "sdk_int" to Build.VERSION.SDK_INT,
        "os" to "Android ${Build.VERSION.RELEASE} (SDK ${Build.VERSION.SDK_INT})",
        "page_size" to Os.sysconf(OsConstants._SC_PAGESIZE).takeIf { it > 0 },
        "cores" to Runtime.getRuntime().availableProcessors(),
        "emulated" to emulated(),
    )

    override val app: Map<String, Any?> = build() + mapOf(
        "version" to context.packageManager.getPackageInfo(context.packageName, 0).versionName,
        "debuggable" to (context.applicationInfo.flags and ApplicationInfo.FLAG_DEBUGGABLE != 0),
    )

    override fun state(): Map<String, Any?> {
        val battery = context.getSystemService(BatteryManager::class.java)
        val power = context.getSystemService(PowerManager::class.java)
        return mapOf(
            "thermal" to if (Build.VERSION.SDK_INT >= 29) thermal(power) else null,
            "battery" to battery?.getIntProperty(BatteryManager.BATTERY_PROPERTY_CAPACITY)?.takeIf { it in 0..100 },
            "charging" to battery?.isCharging,
            "power_save" to power?.isPowerSaveMode,
        )
    }

    override fun date(): String = Instant.now().truncatedTo(ChronoUnit.SECONDS).toString().replace("Z", "+00:00")

    @ApiGuarded
    private fun thermal(power: PowerManager?): Int? = power?.currentThermalStatus

    @ApiGuarded
    private fun soc(): String = if (Build.VERSION.SDK_INT >= 31) Build.SOC_MODEL else Build.HARDWARE

    private fun emulated() = EMULATORS.any { it in Build.FINGERPRINT || it in Build.HARDWARE }

    /** git and dirty, as the build wrote them. */
    private fun build(): Map<String, Any?> {
        val text = AssetSource(context.assets, "about").read("build.json") ?: return emptyMap()
        return Node(Json.read(String(text)), "build.json").members
    }

    private companion object {
        val EMULATORS = listOf("generic", "goldfish", "ranchu", "cutf", "robolectric")
    }
}
