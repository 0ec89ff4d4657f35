/** What the classes of the AAR call where Android's Java lacks a method. Made for them alone. */
package io.github.dimple4j.android;
