package io.github.dimple4j.server;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.System.Logger.Level;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.eclipse.jetty.http.HttpField;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;

/** Where requests come in: checks who asks, finds what is asked for, and turns failures into error objects. */
final class Gate extends Handler.Abstract {
  private static final System.Logger LOG = System.getLogger(Gate.class.getName());

  /** What answers a method of a path. */
  @FunctionalInterface
  interface Route {
    void answer(Exchange exchange) throws IOException, InterruptedException;
  }

  private static final Pattern LOCAL_HOST = Pattern.compile("(localhost|127\\.\\d+\\.\\d+\\.\\d+|\\[::1])(:\\d+)?");

  private final Map<String, Map<String, Route>> routes;
  private final ApiKeys keys;
  private final BodyBudget budget;
  private final Metrics metrics;

  /** {@code routes}: by path and method. */
  Gate(Map<String, Map<String, Route>> routes, ApiKeys keys, BodyBudget budget, Metrics metrics) {
    this.routes = routes;
    this.keys = keys;
    this.budget = budget;
    this.metrics = metrics;
  }

  @Override
  public boolean handle(Request request, Response response, Callback callback) {
    String path = "other";
    try (Exchange exchange = new Exchange(request, response, budget)) {
      try {
        admit(exchange);
        path = routes.containsKey(exchange.path()) ? exchange.path() : path;
        find(exchange).answer(exchange);
      } catch (ApiException e) {
        refuse(exchange, e);
      } catch (IOException | UncheckedIOException e) {
        LOG.log(Level.DEBUG, "a client left", e);
        exchange.abort();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        exchange.abort();
      } catch (RuntimeException | Error e) {
        LOG.log(Level.ERROR, "a request failed", e);
        refuse(exchange, ApiException.internal("the server failed; its log says more"));
      }
    }
    metrics.request(path, response.getStatus());
    callback.succeeded();
    return true;
  }

  private void admit(Exchange exchange) {
    if (keys.wanted()) {
      if (exchange.headers("Authorization") != 1 || !keys.allow(exchange.header("Authorization"))) {
        throw ApiException.unauthorized();
      }
      return;
    }
    checkHost(exchange);
  }

  /**
   * Without a key, what reaches a server at the loopback address is trusted. A page in a browser on the same machine may send requests there by
   * a name of its own that leads to this address: it is told by the name.
   */
  private static void checkHost(Exchange exchange) {
    boolean loopback = exchange.client() instanceof InetSocketAddress client && isLoopback(client.getAddress());
    String host = exchange.header("Host");
    if (loopback && (host == null || !LOCAL_HOST.matcher(host.toLowerCase(Locale.ROOT)).matches())) {
      throw ApiException.request(403, "forbidden_host", "a server without an API key answers localhost and loopback addresses only");
    }
    String origin = exchange.header("Origin");
    if (loopback && origin != null && !origin.equals("http://" + host)) {
      throw ApiException.request(403, "forbidden_origin", "a server without an API key answers no pages of other servers");
    }
  }

  private static boolean isLoopback(InetAddress address) {
    return address != null && address.isLoopbackAddress();
  }

  private Route find(Exchange exchange) {
    Map<String, Route> methods = routes.get(exchange.path());
    if (methods == null) {
      throw ApiException.request(404, "unknown_url", "there is nothing at " + printable(exchange.path()) + "; there is "
          + String.join(", ", new TreeMap<>(routes).keySet()));
    }
    String method = exchange.method().equals("HEAD") ? "GET" : exchange.method();
    Route route = methods.get(method);
    if (route == null) {
      Set<String> allowed = methods.keySet();
      throw ApiException.request(405, "method_not_allowed", printable(exchange.method()) + " does not go with " + exchange.path()
          + ", expected " + String.join(" or ", allowed));
    }
    return route;
  }

  private static String printable(String text) {
    String shown = text == null ? "" : text.replaceAll("[^\\x21-\\x7e]", "?");
    return shown.length() > 100 ? shown.substring(0, 100) + "..." : shown;
  }

  private void refuse(Exchange exchange, ApiException e) {
    if (exchange.begun()) {
      exchange.abort();
      return;
    }
    HttpField[] more = {};
    if (e.retryAfter().isPresent()) {
      more = new HttpField[] {new HttpField("Retry-After", Integer.toString(e.retryAfter().getAsInt()))};
    } else if (e.status() == 401) {
      // A browser asks its user for a key where it wants a page.
      String challenge = exchange.path() != null && exchange.path().startsWith("/v1/") ? "Bearer" : "Basic realm=\"dimple\"";
      more = new HttpField[] {new HttpField("WWW-Authenticate", challenge)};
    } else if (e.status() == 408) {
      more = new HttpField[] {new HttpField("X-Should-Retry", "false")};
    } else if (e.status() == 405) {
      more = new HttpField[] {new HttpField("Allow", String.join(", ", routes.get(exchange.path()).keySet()))};
    }
    try {
      exchange.send(e.status(), e.toJson(), more);
    } catch (IOException gone) {
      exchange.abort();
    }
  }
}
