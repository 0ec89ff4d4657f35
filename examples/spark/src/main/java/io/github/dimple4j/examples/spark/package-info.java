/** A question about every picture of a folder, by Apache Spark. */
package io.github.dimple4j.examples.spark;
