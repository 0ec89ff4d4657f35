package io.github.dimple4j.structure;

import tools.jackson.core.JsonParser;
import tools.jackson.core.exc.InputCoercionException;
import tools.jackson.core.util.JsonParserDelegate;

/** A reader of JSON for which a number beyond a {@code double} or {@code float} is an error, and not infinite. */
final class FiniteNumbers extends JsonParserDelegate {
  FiniteNumbers(JsonParser numbers) {
    super(numbers);
  }

  @Override
  public double getDoubleValue() {
    double value = super.getDoubleValue();
    check(Double.isFinite(value), double.class);
    return value;
  }

  @Override
  public float getFloatValue() {
    float value = super.getFloatValue();
    check(Float.isFinite(value), float.class);
    return value;
  }

  private void check(boolean finite, Class<?> type) {
    if (!finite) {
      throw new InputCoercionException(this, "a number that is infinite for a " + type, currentToken(), type);
    }
  }
}
