module describe { requires io.github.dimple4j; }
