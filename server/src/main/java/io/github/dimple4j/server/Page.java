package io.github.dimple4j.server;

import java.io.IOException;
import java.io.InputStream;
import java.util.LinkedHashMap;
import java.util.Map;
import org.eclipse.jetty.http.HttpField;

/** The page at {@code /}: three files that are here, and nothing from elsewhere. */
final class Page {
  /** A page that somebody got something into could still load nothing, send nothing elsewhere, and be framed by nobody. */
  private static final String POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
      + "form-action 'none'; frame-ancestors 'none'";
  private static final HttpField[] HEADERS = {new HttpField("Content-Security-Policy", POLICY), new HttpField("Referrer-Policy", "no-referrer"),
      new HttpField("Cross-Origin-Opener-Policy", "same-origin"), new HttpField("Cross-Origin-Resource-Policy", "same-origin"),
      new HttpField("Cache-Control", "no-cache")};

  private Page() {}

  static Map<String, Gate.Route> routes() {
    Map<String, Gate.Route> routes = new LinkedHashMap<>();
    routes.put("/", route("page.html", "text/html; charset=utf-8"));
    routes.put("/page.css", route("page.css", "text/css; charset=utf-8"));
    routes.put("/page.js", route("page.js", "text/javascript; charset=utf-8"));
    routes.put("/icon.svg", route("icon.svg", "image/svg+xml"));
    return routes;
  }

  private static Gate.Route route(String file, String type) {
    return exchange -> {
      try (InputStream in = Page.class.getResourceAsStream(file)) {
        if (in == null) {
          throw new IOException("the server's jar has no " + file);
        }
        exchange.send(200, type, in.readAllBytes(), HEADERS);
      }
    };
  }
}
