package org.edgesdk.core

/** What only the device knows, asked before and after a run. */
interface Phone {
    /** kind, name, manufacturer, model, soc, abi, sdk_int, page_size, cores, emulated. */
    val device: Map<String, Any?>

    /** version, git, dirty, debuggable. */
    val app: Map<String, Any?>

    /** Name of the runtime, such as "onnxruntime-android". */
    val runtime: String

    /** thermal, battery, charging, power_save as they are now; null where unknown. */
    fun state(): Map<String, Any?>

    /** ISO date and time, UTC. */
    fun date(): String
}

/** One benchmark of a bundle: self-test first, then times, then the verdict. */
class Bench(private val phone: Phone, private val runner: BenchRunner = BenchRunner()) {
    /**
     * Returns the result; whatever goes wrong is told in it, with `ok` false.
     *
     * @param nonce What the asker recognises the answer by.
     * @param told Called with what is done at the moment.
     */
    fun run(source: Source, nonce: String, plan: Plan, told: (String) -> Unit = {}): Report {
        var bundle: Bundle? = null
        return try {
            told("checking the bundle")
            bundle = Bundle.open(source)
            measured(bundle, nonce, plan.copy(batch = bundle.batch ?: plan.batch), told)
        } catch (error: Exception) {
            Report(phone, nonce, plan, bundle, error = error.message ?: error.javaClass.simpleName)
        } catch (error: LinkageError) {
            val what = "the runtime's native library cannot be loaded on this device"
            Report(phone, nonce, plan, bundle, error = "$what (${error.message})")
        }
    }

    private fun measured(bundle: Bundle, nonce: String, plan: Plan, told: (String) -> Unit): Report {
        lateinit var embedder: FaceEmbedder
        val load = runner.once("load") { embedder = OrtFaceEmbedder(bundle, plan.threads) }
        embedder.use {
            val golden = Golden(bundle)
            val tensor = batch(golden.tensor(), bundle.preprocess.elements * plan.batch)
            val first = runner.once("first") { it.outputs(tensor, plan.batch) }
            told("self-test on the golden vectors")
            val test = SelfTest.run(bundle, it)
            if (!test.passed) return Report(phone, nonce, plan, bundle, it.version, test, error = test.problem)
            told("measuring for ${plan.seconds} s")
            val before = phone.state()
            val infer = runner.measure("infer", plan) { it.outputs(tensor, plan.batch) }
            val picture = golden.pictures().take(1)
            val pre = runner.measure("pre", PRE) { bundle.preprocess.tensor(picture) }
            val series = listOf(infer, load, first, pre)
            return Report(phone, nonce, plan, bundle, it.version, test, series, listOf(before, phone.state()))
        }
    }

    private fun batch(golden: FloatArray, elements: Int) = FloatArray(elements) { golden[it % golden.size] }

    private companion object {
        val PRE = Plan(seconds = 0.0, warmup = 3, iterations = 30)
    }
}
