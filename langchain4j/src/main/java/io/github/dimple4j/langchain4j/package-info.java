/** LangChain4j on a model in the same process. Start at {@link io.github.dimple4j.langchain4j.DimpleChatModel}. */
package io.github.dimple4j.langchain4j;
