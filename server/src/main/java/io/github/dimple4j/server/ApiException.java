package io.github.dimple4j.server;

import java.util.OptionalInt;
import tools.jackson.databind.node.ObjectNode;

/** A request that is not answered, as OpenAI's error object says it. */
final class ApiException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final int status;
  private final String type;
  private final String code; // null: none
  private final String param; // the field; null: none
  private final int retryAfter; // seconds; 0: not said

  private ApiException(int status, String type, String code, String param, String message, int retryAfter) {
    super(message, null, false, false);
    this.status = status;
    this.type = type;
    this.code = code;
    this.param = param;
    this.retryAfter = retryAfter;
  }

  /** A field that is wrong. */
  static ApiException field(String param, String message) {
    return field(param, "invalid_value", message);
  }

  /** A field that is wrong in a way that has a name. */
  static ApiException field(String param, String code, String message) {
    return new ApiException(400, "invalid_request_error", code, param, message, 0);
  }

  /** A request that is wrong as a whole. */
  static ApiException request(int status, String code, String message) {
    return new ApiException(status, "invalid_request_error", code, null, message, 0);
  }

  /** A model that is not here. */
  static ApiException unknownModel(String asked, String here) {
    return new ApiException(404, "invalid_request_error", "model_not_found", "model",
        "there is no model '" + asked + "' here, but '" + here + "'", 0);
  }

  /** No key, or a wrong one. */
  static ApiException unauthorized() {
    return new ApiException(401, "invalid_request_error", "invalid_api_key", null,
        "this server wants an API key: Authorization: Bearer KEY", 0);
  }

  /** Too much at once. */
  static ApiException busy(String message, int retryAfter) {
    return new ApiException(429, "rate_limit_error", "server_busy", null, message, retryAfter);
  }

  /** Not in time. */
  static ApiException timeout(String message) {
    return new ApiException(408, "timeout_error", "timeout", null, message, 0);
  }

  /** The server ends. */
  static ApiException stopping() {
    return new ApiException(503, "server_error", "server_stopping", null, "the server is stopping", 0);
  }

  /** A fault of the server's own. */
  static ApiException internal(String message) {
    return new ApiException(500, "server_error", "internal_error", null, message, 0);
  }

  int status() {
    return status;
  }

  String param() {
    return param;
  }

  OptionalInt retryAfter() {
    return retryAfter == 0 ? OptionalInt.empty() : OptionalInt.of(retryAfter);
  }

  /** {@code {"error": {"message", "type", "param", "code"}}}. */
  ObjectNode toJson() {
    ObjectNode root = Json.object();
    ObjectNode error = root.putObject("error");
    error.put("message", getMessage());
    error.put("type", type);
    error.put("param", param);
    error.put("code", code);
    return root;
  }
}
