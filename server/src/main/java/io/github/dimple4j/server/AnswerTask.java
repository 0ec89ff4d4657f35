package io.github.dimple4j.server;

import io.github.dimple4j.CancelledException;
import io.github.dimple4j.Candidate;
import io.github.dimple4j.ClosedException;
import io.github.dimple4j.ContextLimitException;
import io.github.dimple4j.DimpleException;
import io.github.dimple4j.DimpleModel;
import io.github.dimple4j.Generation;
import io.github.dimple4j.Image;
import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.ModelFileException;
import io.github.dimple4j.NoTokenizerException;
import io.github.dimple4j.Session;
import io.github.dimple4j.SessionBuilder;
import io.github.dimple4j.Step;
import io.github.dimple4j.UnsupportedException;
import io.github.dimple4j.chat.ChatTemplateException;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * The work on one request: runs in a session thread and tells the connection's thread how far it is. One prefill serves all choices.
 */
final class AnswerTask implements Runnable {
  private static final System.Logger LOG = System.getLogger(AnswerTask.class.getName());

  /** What the connection's thread hears. */
  sealed interface Progress {}

  /** An iteration of a choice. */
  record Iteration(int choice, Step step) implements Progress {}

  /**
   * A choice is there. {@code alternatives}: by position, as many as were asked for; {@code first}: its time has the first pass in it;
   * {@code vision}: that of the tower.
   */
  record Choice(int choice, Generation generation, Map<Integer, List<Candidate>> alternatives, boolean first, Duration vision) implements Progress {}

  /** All choices are there. {@code cached}: tokens of the prompt that the first pass did not have to run. */
  record Done(int[] prompt, int cached) implements Progress {}

  /** There will be no answer. */
  record Failed(ApiException reason) implements Progress {}

  private final DimpleModel model;
  private final ServerOptions options;
  private final Question question;
  private final boolean watched; // iterations are told, too
  private final PrefillCache cache;
  private final FeatureCache features;
  private final Structures structures;
  private final Metrics metrics;
  private final BlockingQueue<Progress> progress = new LinkedBlockingQueue<>();

  private volatile Runnable whenOver = () -> { };
  private Session session; // that runs; guarded by this
  private ApiException cancelled; // why; guarded by this

  AnswerTask(Service service, Question question, boolean watched) {
    this.model = service.model();
    this.options = service.options();
    this.cache = service.cache();
    this.features = service.features();
    this.structures = service.structures();
    this.metrics = service.metrics();
    this.question = question;
    this.watched = watched;
  }

  /** What is to be done before the last thing is told. */
  void whenOver(Runnable action) {
    whenOver = action;
  }

  private void end(Progress last) {
    whenOver.run();
    progress.add(last);
  }

  /** What came next, or null if nothing did for so long. */
  Progress poll(long milliseconds) throws InterruptedException {
    return progress.poll(milliseconds, TimeUnit.MILLISECONDS);
  }

  /** Stops it: within an iteration, at the model's next layer. May be called by any thread at any time. */
  synchronized void cancel(ApiException why) {
    if (cancelled == null) {
      cancelled = why;
      progress.add(new Failed(why));
      if (session != null) {
        session.cancel();
      }
    }
  }

  private synchronized boolean isCancelled() {
    return cancelled != null;
  }

  private synchronized void runs(Session session) {
    this.session = session;
    if (session != null && cancelled != null) {
      session.cancel();
    }
  }

  @Override
  public void run() {
    try {
      if (!isCancelled()) {
        answer();
      }
    } catch (ApiException e) {
      end(new Failed(e));
    } catch (CancelledException | ClosedException e) {
      end(new Failed(ApiException.stopping())); // or whoever cancelled it has said why
    } catch (DimpleException e) {
      end(new Failed(reason(e)));
    } catch (OutOfMemoryError e) {
      LOG.log(Level.ERROR, "a request needs more memory than Java has", e);
      end(new Failed(ApiException.busy("the request needs more memory than there is now", 1)));
    } catch (RuntimeException | Error e) {
      LOG.log(Level.ERROR, "a request failed", e);
      end(new Failed(ApiException.internal("the server failed; its log says more")));
    } finally {
      whenOver.run(); // also of one that was cancelled before it began
    }
  }

  /** What the library refuses is the request's fault, unless it is the machine's or the file's. */
  private ApiException reason(DimpleException e) {
    String field = question.messages() == null ? "prompt" : "messages";
    return switch (e) {
      case ContextLimitException limit when question.shape().isStructure() && e.getMessage().contains("that fits") ->
          ApiException.field("max_tokens", "max_tokens: " + e.getMessage());
      case ContextLimitException limit -> ApiException.field(field, "context_length_exceeded", e.getMessage());
      case ChatTemplateException template -> ApiException.field(field, e.getMessage());
      case InvalidArgumentException wrong -> ApiException.field(field, e.getMessage());
      case UnsupportedException not -> ApiException.field(field, "unsupported", e.getMessage());
      case NoTokenizerException none -> ApiException.field(field, "unsupported", e.getMessage());
      default -> {
        LOG.log(Level.ERROR, e instanceof ModelFileException ? "the model's file is at fault" : "a request failed", e);
        yield ApiException.internal(e.getMessage());
      }
    };
  }

  private void answer() {
    List<Image> images = question.images(options.maxPixels());
    SessionBuilder builder = question.session(model, options, images);
    structures.keep(question.shape());
    Done done;
    try (PrefillCache.Lease lease = cache.lease(question, builder)) {
      Duration vision = lease.hit() || images.isEmpty() ? Duration.ZERO : see(lease.session(), images);
      runs(lease.session());
      try {
        lease.share();
        for (int choice = 0; choice < question.choices(); choice++) {
          decode(lease, choice, vision);
        }
      } finally {
        runs(null);
      }
      done = new Done(lease.session().promptTokens(), lease.cached());
      if (!isCancelled()) { // otherwise a request to stop may wait in the session for its next call
        lease.keep();
      }
    }
    end(done);
  }

  /** Gives a session the features of its pictures, of each those that are kept or else the tower's. Returns the time of the tower. */
  private Duration see(Session session, List<Image> images) {
    Duration time = Duration.ZERO;
    List<float[]> rows = new ArrayList<>();
    for (int i = 0; i < images.size(); i++) {
      String digest = question.pictures().get(i).digest();
      float[][] features = this.features.find(digest);
      metrics.features(features != null);
      if (features == null) {
        try (Session alone = alone(images.get(i))) {
          runs(alone);
          features = alone.imageFeatures();
          time = time.plus(alone.timings().vision());
        } finally {
          runs(null);
        }
        this.features.keep(digest, features);
      }
      rows.addAll(Arrays.asList(features));
    }
    session.setImageFeatures(rows.toArray(float[][]::new));
    return time;
  }

  private Session alone(Image image) {
    int[] placeholders = new int[model.imageGrid(image.width(), image.height()).tokens()];
    Arrays.fill(placeholders, model.info().imageTokenId().orElseThrow());
    return model.session().tokens(placeholders, image).withoutResponse().threads(options.threads()).open();
  }

  private void decode(PrefillCache.Lease lease, int choice, Duration vision) {
    Map<Integer, List<Candidate>> alternatives = Map.of();
    for (Step step : lease.session().steps(question.decoding(choice))) {
      if (question.alternatives() > 0) {
        alternatives = LogProbs.listedBehind(step, alternatives, lease.session().alternatives(question.alternatives()));
      }
      metrics.iteration(step.time());
      if (watched) {
        progress.add(new Iteration(choice, step));
      }
    }
    Generation generation = lease.session().generation();
    boolean first = !lease.hit() && choice == 0;
    metrics.choice(generation, first, vision);
    progress.add(new Choice(choice, generation, alternatives, first, vision));
  }
}
