package io.github.dimple4j.server;

import java.nio.ByteBuffer;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.http.HttpStatus;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;

/** What the HTTP library refuses before it comes to us: an error object, too. */
final class Malformed implements Request.Handler {
  @Override
  public boolean handle(Request request, Response response, Callback callback) {
    boolean ours = response.getStatus() == HttpStatus.INTERNAL_SERVER_ERROR_500;
    int status = ours || response.getStatus() / 100 == 4 ? response.getStatus() : HttpStatus.BAD_REQUEST_400; // of another version, too
    response.setStatus(status);
    ApiException said = !ours ? ApiException.request(status, "malformed_request", "not a request of HTTP: " + HttpStatus.getMessage(status))
        : ApiException.internal(HttpStatus.getMessage(status));
    byte[] content = Json.bytes(said.toJson());
    response.getHeaders().put(HttpHeader.CONTENT_TYPE, "application/json");
    response.getHeaders().put(HttpHeader.CONTENT_LENGTH, content.length);
    response.write(true, ByteBuffer.wrap(content), callback);
    return true;
  }
}
