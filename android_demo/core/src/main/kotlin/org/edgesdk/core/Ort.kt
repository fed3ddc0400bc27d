package org.edgesdk.core

import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtException
import ai.onnxruntime.OrtSession

/** ONNX Runtime of this process, which tells nobody what it does. */
internal fun ortEnvironment(): OrtEnvironment = OrtEnvironment.getEnvironment().apply { setTelemetry(false) }

/** Opens a bundle's ONNX file on the CPU. */
internal fun OrtEnvironment.open(bundle: Bundle, threads: Int): OrtSession =
    try {
        OrtSession.SessionOptions().use { options ->
            options.setIntraOpNumThreads(threads)
            options.setInterOpNumThreads(1)
            createSession(bundle.file(bundle.entry), options)
        }
    } catch (error: OrtException) {
        throw Problem("ONNX Runtime cannot open ${bundle.entry}: ${error.message}", error)
    }
