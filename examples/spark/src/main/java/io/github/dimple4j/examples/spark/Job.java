package io.github.dimple4j.examples.spark;

import java.io.Serializable;

/**
 * What is asked about each picture; sent to every executor.
 *
 * @param model a file that each executor's machine has, or the name of one that Spark brings ({@code spark-submit --files})
 * @param question what is asked
 * @param schema a JSON Schema that answers are held to; null: free text
 * @param responseLength tokens of an answer
 * @param output folder of the results, in any file system that Hadoop knows
 */
record Job(String model, String question, String schema, int responseLength, String output) implements Serializable {}
