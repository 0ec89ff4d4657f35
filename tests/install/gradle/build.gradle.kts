plugins { application }

repositories {
  mavenLocal()
  mavenCentral()
}

dependencies { implementation("io.github.dimple4j:dimple4j:0.2.0") }

java { sourceSets["main"].java.setSrcDirs(listOf(".")) }

application {
  mainClass = "Describe"
  applicationDefaultJvmArgs = listOf("--enable-native-access=ALL-UNNAMED")
}
