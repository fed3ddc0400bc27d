plugins {
    alias(libs.plugins.android.application)
}

android {
    namespace = "org.edgesdk.demo"
    compileSdk = libs.versions.compileSdk.get().toInt()

    defaultConfig {
        applicationId = "org.edgesdk.demo"
        minSdk = libs.versions.minSdk.get().toInt()
        targetSdk = libs.versions.targetSdk.get().toInt()
        versionCode = 1
        versionName = "0.1.0"
        ndk {
            abiFilters += "arm64-v8a"
        }
    }

    buildTypes {
        release {
            isMinifyEnabled = true
            proguardFiles("../r8.pro")
        }
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }

    // A compressed model cannot be mapped into memory.
    androidResources {
        noCompress += "onnx"
    }

    // bundle/ and licenses/, gathered by tools/build_apk.py resources.
    sourceSets["main"].assets.srcDirs("build/assets")

    // Takes out what the runtime's AAR would add to the manifest.
    for (type in listOf("debug", "release")) {
        sourceSets[type].manifest.srcFile("src/gradle/AndroidManifest.xml")
    }
}

dependencies {
    implementation(project(":core"))
    implementation(libs.onnxruntime.android)
}
