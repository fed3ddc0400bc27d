package org.edgesdk.demo

import android.content.res.AssetManager
import java.io.FileNotFoundException
import org.edgesdk.core.Source

/** The bundle that was packed into the app. */
class AssetSource(private val assets: AssetManager, private val folder: String = "bundle") : Source {
    override fun read(name: String): ByteArray? =
        try {
            assets.open("$folder/$name").use { it.readBytes() }
        } catch (_: FileNotFoundException) {
            null
        }
}
