package io.github.dimple4j.core;

import java.lang.foreign.GroupLayout;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.LinkedHashMap;
import java.util.Map;

/** The numbers of a C struct by their names, so that a new field of it is known here without a line of code. */
final class StructFields {
  private record Field(ValueLayout layout, long offset) {}

  private final Map<String, Field> fields = new LinkedHashMap<>();

  private StructFields(GroupLayout struct) {
    for (MemoryLayout member : struct.memberLayouts()) {
      if (member instanceof ValueLayout value && member.name().isPresent()) {
        String name = member.name().get();
        fields.put(name, new Field(value, struct.byteOffset(PathElement.groupElement(name))));
      }
    }
  }

  static StructFields of(GroupLayout struct) {
    return new StructFields(struct);
  }

  void read(MemorySegment struct, Map<String, Number> into) {
    fields.forEach((name, field) -> into.put(name, switch (field.layout) {
      case ValueLayout.OfInt layout -> struct.get(layout, field.offset);
      case ValueLayout.OfLong layout -> struct.get(layout, field.offset);
      case ValueLayout.OfFloat layout -> struct.get(layout, field.offset);
      default -> throw new IllegalArgumentException(name + " is a " + field.layout);
    }));
  }

  /** Writes the fields that are named and leaves the others. */
  void write(Map<String, Number> values, MemorySegment struct) {
    values.forEach((name, value) -> {
      Field field = fields.get(name);
      switch (field == null ? null : field.layout) {
        case ValueLayout.OfInt layout -> struct.set(layout, field.offset, value.intValue());
        case ValueLayout.OfLong layout -> struct.set(layout, field.offset, value.longValue());
        case ValueLayout.OfFloat layout -> struct.set(layout, field.offset, value.floatValue());
        case null, default -> throw new IllegalArgumentException("no number is called " + name);
      }
    });
  }
}
