package io.github.dimple4j;

import io.github.dimple4j.core.AlternativeResult;
import io.github.dimple4j.core.CandidateResult;
import io.github.dimple4j.core.Core;
import io.github.dimple4j.core.CoreBatch;
import io.github.dimple4j.core.CoreConstraint;
import io.github.dimple4j.core.CoreException;
import io.github.dimple4j.core.CoreModel;
import io.github.dimple4j.core.CoreSession;
import io.github.dimple4j.core.CoreVocabulary;
import io.github.dimple4j.core.DeviceFacts;
import io.github.dimple4j.core.Finding;
import io.github.dimple4j.core.Grid;
import io.github.dimple4j.core.Metadata;
import io.github.dimple4j.core.ModelFacts;
import io.github.dimple4j.core.Patches;
import io.github.dimple4j.core.Rgb;
import io.github.dimple4j.core.SessionFigures;
import io.github.dimple4j.core.StepResult;
import io.github.dimple4j.core.TensorFacts;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * A core without a model: it writes down what it is asked, reveals one position per step as token 7, and fails when a test says so. Its
 * response is done when nothing is masked.
 */
final class RecordingCore implements Core {
  static final int MASK = 9;
  static final int IMAGE = 8;
  static final int REVEALED = 7;

  /** Every call, with its arguments, in order. */
  final List<String> calls = Collections.synchronizedList(new ArrayList<>());

  /** Thrown by the next call of this name, once. */
  private final Map<String, CoreException> failures = new LinkedHashMap<>();

  private void record(String call, Object... arguments) {
    calls.add(call + Arrays.deepToString(arguments));
    CoreException failure = failures.remove(call);
    if (failure != null) {
      throw failure;
    }
  }

  void fail(String call, CoreException.Kind kind, String message) {
    failures.put(call, new CoreException(kind, message, null));
  }

  /** A model of this core. */
  DimpleModel model() {
    return DimpleModel.load(this, Path.of("model.gguf"), ModelOptions.builder().backend("best").threads(3).build());
  }

  Decoding.Builder decoding() {
    return Decoding.builder(this);
  }

  @Override
  public String cpuDescription() {
    return "recording: nothing";
  }

  @Override
  public int resolveThreads(int wanted) {
    record("resolveThreads", wanted);
    return wanted == 0 ? 1 : wanted;
  }

  @Override
  public long[] measurePeaks(String backend, int threads) {
    record("measurePeaks", backend, threads);
    return new long[] {3, 2, 1};
  }

  @Override
  public CoreModel load(String file, String backend, String mmproj, int threads, boolean ignoreUnknown, boolean unpacked, int deviceLayers,
      long weightMemory, boolean packCache) {
    record("load", file, backend, mmproj, threads, ignoreUnknown);
    return new RecordingModel();
  }

  @Override
  public List<DeviceFacts> devices(String names) {
    record("devices", names);
    return List.of();
  }

  @Override
  public Map<String, Number> decodingDefaults() {
    Map<String, Number> defaults = new LinkedHashMap<>();
    defaults.put("pipeline", 0);
    defaults.put("algorithm", 3);
    defaults.put("steps", 64);
    defaults.put("top_k", 0);
    defaults.put("original_confidence", 1);
    defaults.put("threshold", 0.95f);
    defaults.put("temperature", 0f);
    defaults.put("top_p", 1f);
    defaults.put("algorithm_temperature", 0f);
    defaults.put("epsilon", 1e-3f);
    defaults.put("seed", 0L);
    return defaults;
  }

  @Override
  public void validate(Map<String, Number> settings) {
    record("validate", settings);
  }

  @Override
  public List<Finding> check(String file, boolean ignoreUnknown) {
    throw new UnsupportedOperationException("check");
  }

  @Override
  public Optional<TensorFacts> tensorType(int type) {
    throw new UnsupportedOperationException("tensorType");
  }

  @Override
  public void quantizeRows(int type, ByteBuffer floats, long rows, long columns, ByteBuffer importance, ByteBuffer target) {
    throw new UnsupportedOperationException("quantizeRows");
  }

  @Override
  public void dequantizeRows(int type, ByteBuffer source, long rows, long columns, ByteBuffer floats) {
    throw new UnsupportedOperationException("dequantizeRows");
  }

  private final class RecordingModel implements CoreModel {
    @Override
    public ModelFacts facts() {
      return new ModelFacts("recorded", "none", 10, 32, 1, 4, 1, 1, 4, true, true, MASK, -1, -1, -1, IMAGE, true, 2, 2, 16, 64, 100, 200, 300,
          400, 0, 0, "");
    }

    @Override
    public List<Finding> ignored() {
      return List.of();
    }

    @Override
    public Optional<Metadata> metadata(String key) {
      record("metadata", key);
      byte[] name = "a name".getBytes(StandardCharsets.UTF_8);
      return key.equals("general.name") ? Optional.of(new Metadata(key, 8, 8, 1, name)) : Optional.empty();
    }

    @Override
    public List<String> metadataKeys() {
      return List.of("general.name");
    }

    @Override
    public Grid imageGrid(int width, int height) {
      record("imageGrid", width, height);
      return new Grid(8, 8, 4, 4, 4);
    }

    @Override
    public Patches preprocess(Rgb picture, int rows, int columns) {
      throw new UnsupportedOperationException("preprocess");
    }

    @Override
    public CoreVocabulary vocabulary(byte[] bytes, long[] offsets, byte[] kinds) {
      throw new UnsupportedOperationException("vocabulary");
    }

    @Override
    public CoreSession session(int threads, int contextLength, boolean keepPrompt, int kvType) {
      record("session", threads, contextLength, keepPrompt, kvType);
      return new RecordingSession();
    }

    @Override
    public CoreBatch batch(int threads) {
      throw new UnsupportedOperationException("batch");
    }

    @Override
    public void free() {
      record("model.free");
    }
  }

  private final class RecordingSession implements CoreSession {
    private int[] response;
    private int[] canvas;
    private int iteration;

    @Override
    public void setPrompt(int[] tokens, List<Rgb> pictures) {
      record("setPrompt", tokens, pictures.stream().map(picture -> picture.width() + "x" + picture.height()).toList());
    }

    @Override
    public void setResponse(int[] tokens) {
      record("setResponse", tokens);
      response = tokens.clone();
    }

    @Override
    public void setAnswer(int[] tokens) {
      record("setAnswer", tokens);
    }

    @Override
    public void setConstraint(CoreConstraint constraint, int[] later) {
      throw new UnsupportedOperationException("setConstraint");
    }

    @Override
    public StepResult complete() {
      throw new UnsupportedOperationException("complete");
    }

    @Override
    public CandidateResult look() {
      record("look");
      int[] positions = IntStream.range(0, canvas.length).filter(i -> canvas[i] == MASK).toArray();
      int[] tokens = new int[positions.length];
      Arrays.fill(tokens, REVEALED);
      return new CandidateResult(iteration, positions, tokens, new float[positions.length], new float[positions.length], 100);
    }

    @Override
    public AlternativeResult alternatives(int candidates, int count) {
      throw new UnsupportedOperationException("alternatives");
    }

    @Override
    public StepResult reveal(int[] positions, int[] tokens) {
      record("reveal", positions, tokens);
      for (int i = 0; i < positions.length; i++) {
        canvas[positions[i]] = tokens[i];
      }
      int remaining = (int) Arrays.stream(canvas).filter(token -> token == MASK).count();
      return new StepResult(iteration++, remaining == 0, remaining, positions, new float[positions.length], new float[positions.length],
          canvas.clone(), iteration, 1000, new int[0], -1, canvas.length, new int[0]);
    }

    @Override
    public void setBias(int[] tokens, float[] values) {
      record("setBias", tokens, values);
    }

    @Override
    public void prefill() {
      record("prefill");
    }

    @Override
    public void begin(Map<String, Number> settings) {
      record("begin", settings);
      canvas = response.clone();
      iteration = 0;
    }

    @Override
    public StepResult step() {
      record("step");
      int position = 0;
      while (canvas[position] != MASK) {
        position++;
      }
      canvas[position] = REVEALED;
      int remaining = (int) Arrays.stream(canvas).filter(token -> token == MASK).count();
      return new StepResult(iteration++, remaining == 0, remaining, new int[] {position}, new float[] {0.5f}, new float[] {-0.25f}, canvas.clone(), iteration, 1000, new int[0], -1, canvas.length, new int[0]);
    }

    @Override
    public void shorten(int length) {
      record("shorten", length);
    }

    @Override
    public void cancel() {
      record("cancel");
    }

    @Override
    public SessionFigures figures() {
      return new SessionFigures(1, 20, 300, 4000, 50_000);
    }

    @Override
    public float[][] logits(int positions, int vocabulary) {
      record("logits", positions, vocabulary);
      return new float[positions][vocabulary];
    }

    @Override
    public float[][] imageFeatures(int tokens, int width) {
      record("imageFeatures", tokens, width);
      return new float[tokens][width];
    }

    @Override
    public int takePrefix(CoreSession from) {
      record("takePrefix");
      return 0;
    }

    @Override
    public void setImageFeatures(float[] features) {
      record("setImageFeatures", features.length);
    }

    @Override
    public float[] score(int[] response, int[] targets, float guidanceScale) {
      record("score", response, targets, guidanceScale);
      float[] scores = new float[response.length];
      for (int i = 0; i < scores.length; i++) {
        scores[i] = targets[i] < 0 ? Float.NaN : -targets[i];
      }
      return scores;
    }

    @Override
    public byte[] scoreMasks(int length, int rows, long seed, int round) {
      record("scoreMasks", length, rows, seed, round);
      byte[] masks = new byte[rows * length];
      for (int row = 0; row < rows; row++) {
        Arrays.fill(masks, row * length, row * length + 1 + row % length, (byte) 1); // the first token, the first two, ..
      }
      return masks;
    }

    @Override
    public void replayDraws(int[] kinds, int[] lengths, double[] values) {
      record("replayDraws", kinds, lengths, values);
    }

    @Override
    public void free() {
      record("session.free");
    }
  }
}
