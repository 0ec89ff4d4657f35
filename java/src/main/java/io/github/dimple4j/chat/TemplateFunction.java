package io.github.dimple4j.chat;

import io.github.dimple4j.chat.Expression.Evaluated;

/** A value of a template that can be called. */
interface TemplateFunction {
  /** What messages call it. */
  String name();

  Object call(Evaluated arguments, Rendering rendering);

  /** A method of a value, not yet called. */
  record Method(Object of, String name) implements TemplateFunction {
    @Override
    public Object call(Evaluated arguments, Rendering rendering) {
      return Methods.call(of, name, arguments, rendering);
    }
  }

  /** A function that is known by its name. */
  record Named(String name, Body body) implements TemplateFunction {
    @Override
    public Object call(Evaluated arguments, Rendering rendering) {
      Signature.ofFunction(name, arguments, rendering);
      return body.call(arguments, rendering);
    }
  }

  /** What a named function does. */
  interface Body {
    Object call(Evaluated arguments, Rendering rendering);
  }
}
