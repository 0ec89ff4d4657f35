/**
 * The C core through JNI, for a Java without the Foreign Function and Memory API, such as Android's; elsewhere chosen by the system property
 * {@code dimple.core=jni}. Applications use the module {@code io.github.dimple4j}.
 */
module io.github.dimple4j.jni {
  requires io.github.dimple4j;
  requires java.logging;

  provides io.github.dimple4j.core.CoreProvider with io.github.dimple4j.jni.JniProvider;
}
