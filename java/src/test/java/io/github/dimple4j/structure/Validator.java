package io.github.dimple4j.structure;

import com.networknt.schema.Error;
import com.networknt.schema.InputFormat;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** Another's judgement of texts: networknt's validator, with formats asserted. */
final class Validator {
  private static final SchemaRegistry REGISTRY = SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12);

  private final Schema schema;

  Validator(String schema) {
    this.schema = REGISTRY.getSchema(schema);
  }

  /** What is wrong with a text; nothing if it is valid. */
  List<Error> errors(byte[] text) {
    return schema.validate(new String(text, StandardCharsets.UTF_8), InputFormat.JSON,
        context -> context.executionConfig(config -> config.formatAssertionsEnabled(true)));
  }
}
