plugins {
    alias(libs.plugins.kotlin.jvm)
}

kotlin {
    compilerOptions {
        jvmTarget.set(org.jetbrains.kotlin.gradle.dsl.JvmTarget.JVM_1_8)
        allWarningsAsErrors.set(true)
        freeCompilerArgs.add("-Xjdk-release=8")
    }
}

java {
    sourceCompatibility = JavaVersion.VERSION_1_8
    targetCompatibility = JavaVersion.VERSION_1_8
}

dependencies {
    // On a phone the AAR brings the same classes.
    compileOnly(libs.onnxruntime.jvm)
    testImplementation(libs.onnxruntime.jvm)
    testImplementation(libs.junit)
}

tasks.test {
    environment("ORT_DISABLE_TELEMETRY", "1")
    systemProperty("edgesdk.bundle", rootDir.resolve("build/bundle").path)
    systemProperty("edgesdk.detector", rootDir.resolve("build/detector").path)
    systemProperty("edgesdk.tracker", rootDir.resolve("build/tracker").path)
    systemProperty("edgesdk.vectors", rootDir.resolve("build/vectors").path)
    systemProperty("edgesdk.results", layout.buildDirectory.dir("results").get().asFile.path)
    systemProperty("edgesdk.oneTruth", rootDir.resolve("../build/one_truth/jvm.json").path)
}
