/*
 * dimple.h - the public interface of libdimple, an inference engine for masked-diffusion multimodal language models.
 *
 * The engine loads a GGUF file (a *model*) and fills masked responses (a *session*):
 *
 *     dimple_model_load -> dimple_session_create -> dimple_session_set_prompt -> dimple_session_set_response
 *         -> dimple_session_prefill (optional) -> dimple_session_begin -> dimple_session_step ... until step.done
 *
 * Vocabulary. The *prompt* is a list of P token ids; image placeholders in it are already expanded to one id per merged
 * image token. The *response* is a block of L positions behind it; a position holds the mask token until it is revealed,
 * or a fixed token from the start (a structure prior). The *canvas* is the response as it stands. One *iteration* runs the
 * model once and reveals zero or more masked positions. Reference for all of it: "Dimple: Discrete Diffusion Multimodal
 * Large Language Model with Parallel Decoding", arXiv 2505.16990.
 *
 * Errors. Every function that can fail returns a dimple_status. When it is not DIMPLE_OK, nothing was changed unless the
 * function says otherwise, output parameters are untouched, and dimple_last_error() says what was wrong, where, and what
 * was expected. The library never prints, aborts or exits.
 *
 * Threads. A model is immutable and may be used from any number of threads. A session serves one thread at a time: a call
 * made while another thread is inside the same session fails with DIMPLE_ERROR_STATE and harms nothing; only
 * dimple_session_cancel may be called at any time. Two sessions of one model run independently.
 *
 * Ownership. What a *_load or *_create function hands out is released by the *_free function of the same noun. Every
 * pointer passed in is read before the call returns and never kept. Pointers handed out stay valid as their comment says.
 */
#ifndef DIMPLE_H
#define DIMPLE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define DIMPLE_API __declspec(dllexport)
#else
#define DIMPLE_API __attribute__((visibility("default")))
#endif

/* Incremented with every incompatible change of this header; dimple_api_version() returns the library's value. */
#define DIMPLE_API_VERSION 10

/* ------------------------------------------------------------------------------------------------ status and errors */

typedef enum dimple_status {
  DIMPLE_OK = 0,
  DIMPLE_ERROR_ARGUMENT = 1,    /* an argument is null, out of range or contradicts another */
  DIMPLE_ERROR_IO = 2,          /* the operating system refused: no such file, a directory, a read error */
  DIMPLE_ERROR_FORMAT = 3,      /* the file is not a well-formed GGUF file, or lacks a key or tensor its architecture needs */
  DIMPLE_ERROR_UNSUPPORTED = 4, /* well-formed, but an architecture, tensor type or feature this library does not run */
  DIMPLE_ERROR_MEMORY = 5,      /* an allocation failed */
  DIMPLE_ERROR_STATE = 6,       /* the call does not fit the session's state, or another thread is inside the session */
  DIMPLE_ERROR_LIMIT = 7,       /* prompt and response do not fit the context */
  DIMPLE_ERROR_NOT_FOUND = 8,   /* no such metadata key */
  DIMPLE_ERROR_CANCELLED = 9,   /* dimple_session_cancel interrupted the call */
  DIMPLE_ERROR_MODEL = 10       /* the model gives NaN or infinity: a weight is none, or its numbers overflow */
} dimple_status;

/* The calling thread's message of its last failed call: UTF-8, one line, never null ("" if no call has failed yet). Valid
 * until the thread's next failing call. */
DIMPLE_API const char *dimple_last_error(void);

/* DIMPLE_API_VERSION as the library was compiled with. */
DIMPLE_API int32_t dimple_api_version(void);

/* What the processor offers and which kernels that selects, one line for logs, e.g. "x86-64: avx512-vnni (selected), avx2,
 * plain". Static. */
DIMPLE_API const char *dimple_cpu_description(void);

/* How many threads a setting named `threads` stands for: 0 for one per processor that this process may use, 1 to the most there can be
 * (1024) for itself. Errors: ARGUMENT for any other number (the message names the range). Any thread. */
DIMPLE_API dimple_status dimple_resolve_threads(int32_t wanted, int32_t *threads);

/* What a machine does at most, a second, for figures to be compared with. */
typedef struct dimple_peaks {
  int64_t int8_products; /* of a weight's and an activation's byte, by the instructions that the backend's kernels multiply quantized weights with, on
                          * registers alone; 0 where they are multiplied as floats */
  int64_t f32_products;  /* of two floats, likewise */
  int64_t memory_bytes;  /* read from memory, of 256 MiB */
} dimple_peaks;

/* Measures, with `threads` as dimple_resolve_threads takes it, in about a second; the best of seven tries each. `backend` as in
 * dimple_model_options. Errors: ARGUMENT (null, threads), UNSUPPORTED (no such backend, or one that cannot say, "ref"), MEMORY. Any thread. */
DIMPLE_API dimple_status dimple_measure_peaks(const char *backend, int32_t threads, dimple_peaks *out);

/* What can run models beside the processor's kernels. */
typedef struct dimple_device {
  char name[96];         /* as dimple_model_options.backend takes it; "cpu" for the kernels */
  char description[128]; /* as its maker calls it */
  char problem[256];     /* why it is not used: it gave wrong results in a few operations that are tried here, or no answer; "": it is */
  int64_t memory_free;   /* bytes, now; 0 where it does not say, as of "cpu" */
  int64_t memory_total;
} dimple_device;

/* The `index`-th device, from 0: "cpu", then GGML's of this machine, none where libdimple-ggml or GGML is not there; or with `names`, a list as
 * dimple_model_options.backend takes it, those that it names. Tries each device once in a process, in some hundredths of a second. Errors: ARGUMENT,
 * NOT_FOUND past the last one; with `names` also as of dimple_model_load. Any thread. */
DIMPLE_API dimple_status dimple_get_device(const char *names, int64_t index, dimple_device *device);

/* -------------------------------------------------------------------------------------------------------------- model */

typedef struct dimple_model dimple_model;

typedef struct dimple_model_options {
  /* Which backend runs the model: null or "auto" (the fastest one here), "cpu", "ref" (plain loops: slow, the oracle of the
   * tests), or "cpu-" and an instruction set: "cpu-plain", "cpu-avx2", "cpu-avx-vnni", "cpu-avx512-vnni", "cpu-amx";
   * dimple_cpu_description() lists those of this machine. The environment variable DIMPLE_CPU (plain, avx2, ...) does the same
   * for "auto" and "cpu". Where libdimple-ggml is, also "ggml:NAME" for a device of GGML's, "child:ggml:NAME" for the same in a process of its own,
   * which a crash ends alone, and "rpc:HOST:PORT" for those of a machine that serves them (GGML's rpc-server); dimple_get_device lists them. Several
   * names with commas between them share the model's layers, see device_layers. Devices compute with other rounding than the rest. */
  const char *backend;
  /* A second GGUF file with the vision tower, llama.cpp's "mmproj"; null when the model file holds it or there is none. */
  const char *mmproj_path;
  /* Threads that pack the weights while loading; 0: one per processor. */
  int32_t threads;
  /* What to do with a file that has unknown keys or tensors (dimple_model_check_summary says which these are): 0 to refuse it, because what
   * they ask for may change the result; 1 to run the model without, and list them in dimple_model_get_ignored. */
  int32_t ignore_unknown;
  /* 1: weights are not packed but read from the mapped file by every pass: less memory that is the process's own, and none is filled while
   * loading, but slower. Results are the same, bit for bit. What has to be reordered (queries and keys of some files) is packed
   * all the same, and so is everything by "ref". Does not go with weight_memory and pack_cache. */
  int32_t unpacked;
  /* How many of the layers, from the first on, the devices that `backend` names take, shared out by the memory they have free; the others, and what
   * makes logits behind them, are run by the last name, if that is no device, or by "cpu". 0: as many as fit, at least one. Whether they fit is
   * estimated before anything is uploaded: the weights as the file has them, keys and values of 2048 positions, and 256 MiB. */
  int32_t device_layers;
  /* Bytes that packed weights may take, where `unpacked` is 0; 0: seven eighths of the memory that is available when the model is loaded (what the
   * system gives without swapping, within the limit of a container). If they came to more, banks of experts are left in the mapped file as with
   * `unpacked`, those of the last layers first, as few as make the rest fit; dimple_model_info.unpacked_size says how much. Models without experts
   * are packed whatever it takes. */
  int64_t weight_memory;
  /* 1: packed weights are kept in a file beside the model's, PATH.BACKEND.packed, of about the packed weights' size. Loading maps it instead of
   * packing, and processes share its pages; the first loading writes it. It is used if its digests agree with the model's files and with itself, whoever made
   * it, and written anew otherwise; it comes to be whole or not at all. Weights that cannot be kept (on devices, of "ref", in a folder that is read only, while
   * another process writes them) are packed as usual: dimple_model_info.pack_cache says what happened. 0: nothing is kept or looked for. */
  int32_t pack_cache;
} dimple_model_options;

/* What came of dimple_model_options.pack_cache. */
typedef enum dimple_pack_cache {
  DIMPLE_PACK_CACHE_NONE = 0,     /* it was not asked for */
  DIMPLE_PACK_CACHE_USED = 1,     /* packed weights are the file's: they take no memory of this process alone */
  DIMPLE_PACK_CACHE_WRITTEN = 2,  /* weights were packed, and the file is there for the next one */
  DIMPLE_PACK_CACHE_UNWRITTEN = 3 /* weights were packed, and there is no file */
} dimple_pack_cache;

/* Loads a GGUF file (v2 or v3, little-endian). `options` may be null. Weights are packed for the backend unless it says otherwise; the file stays
 * mapped until the model is freed and must not be changed meanwhile. Errors: IO (also a device that does not answer), FORMAT, UNSUPPORTED (also a device
 * whose results are wrong), MEMORY (also a device that has too little for its layers), ARGUMENT. A device that is lost later ends the call that meets it,
 * and all later ones of the model, with IO and its name; sessions and the model can be freed as always. */
DIMPLE_API dimple_status dimple_model_load(const char *path, const dimple_model_options *options, dimple_model **model);

/* Releases the caller's hold. Null is allowed. Memory goes once the last session of the model is freed too. */
DIMPLE_API void dimple_model_free(dimple_model *model);

/* Facts about a loaded model. Token ids are -1 where the file names none. */
typedef struct dimple_model_info {
  char architecture[32]; /* general.architecture, NUL-terminated */
  char backend[256];     /* the backend that runs it, e.g. "cpu-avx512-vnni"; of a split model those of its layers, with commas between them */
  int32_t vocab_size;
  int32_t context_length;   /* largest P + L, from the file */
  int32_t layer_count;      /* decoder blocks */
  int32_t embedding_length; /* width of the residual stream */
  int32_t head_count; /* heads and their size: of the first layer; those of a model may differ */
  int32_t head_count_kv;
  int32_t head_size;
  int32_t bidirectional; /* 1: full attention, 0: causal (autoregressively trained) */
  int32_t shift_logits;  /* 1: row j scores position j + 1; 0: row j scores position j */
  int32_t mask_token_id;
  int32_t bos_token_id;
  int32_t eos_token_id; /* end of text; where the file names none, the first that it lists (tokenizer.ggml.eos_token_ids) */
  int32_t pad_token_id;
  int32_t image_token_id; /* placeholder that image features replace */
  int32_t has_vision;
  int32_t patch_size;         /* pixels per patch side; 0 without vision */
  int32_t merge_size;         /* patches per side of one merged image token; 0 without vision */
  int64_t min_pixels;         /* area limits of the image resize */
  int64_t max_pixels;
  int64_t parameter_count;    /* elements of all tensors */
  int64_t file_size;          /* bytes of the file, and of the mmproj beside it */
  int64_t weight_size;        /* bytes the packed weights take in memory; what is not packed is in the mapped file, and takes none here */
  int64_t kv_bytes_per_token; /* bytes of keys and values of one position in a session; of F32, half of it in F16, 17/64 in Q8_0 */
  int32_t pack_cache;         /* dimple_pack_cache */
  char pack_cache_note[512];  /* why there is no file, or that one was damaged; "": nothing is to be said */
  int64_t unpacked_size;      /* bytes of matrices that passes read from the mapped file, because of `unpacked` or weight_memory; 0: none */
} dimple_model_info;

DIMPLE_API dimple_status dimple_model_get_info(const dimple_model *model, dimple_model_info *info);

/* -------------------------------------------------------------------------------------------------------------- check */

/* What a file is, held against what its model needs, without running or packing anything. */
typedef struct dimple_model_check dimple_model_check;

/* Checks what dimple_model_load checks: that the file is well formed, that the keys of its architecture and of its vision tower are there
 * and in range, and that every tensor they ask for is there in its shape and in a type that this library reads. Of `options`,
 * which may be null, mmproj_path and ignore_unknown count. A file with a vision tower alone, llama.cpp's "mmproj", is checked as that. What is
 * wrong is in the findings, and the call succeeds all the same; a model loads if problem_count is 0 and memory suffices. The files stay
 * mapped until the check is freed. Errors: ARGUMENT; IO, FORMAT or UNSUPPORTED if the file at `path` cannot be read as GGUF at all;
 * MEMORY. */
DIMPLE_API dimple_status dimple_model_check_create(const char *path, const dimple_model_options *options, dimple_model_check **check);

/* Null is allowed. */
DIMPLE_API void dimple_model_check_free(dimple_model_check *check);

/* How the keys and tensors of the files stand. A key is used when this library reads it; harmless when it changes nothing here: it
 * describes (general.*), is read by the bindings (tokenizer.*), or says what is so anyway; unknown when it stands under the
 * architecture's name, "general.", "diffusion.", "clip.", "tokenizer." or a prefix that changes weights ("prism.", "adapter.", "xielu.")
 * and is none of these, or has a value that asks for something this library does not do. A tensor is used or unknown. A problem with a
 * key ends the check early; nothing is counted then. */
typedef struct dimple_model_check_summary {
  int64_t problem_count;
  int64_t used_key_count;
  int64_t harmless_key_count;
  int64_t unknown_key_count;
  int64_t used_tensor_count;
  int64_t unknown_tensor_count;
} dimple_model_check_summary;

DIMPLE_API dimple_status dimple_model_check_get_summary(const dimple_model_check *check, dimple_model_check_summary *summary);

typedef enum dimple_finding_kind {
  DIMPLE_FINDING_PROBLEM = 0,       /* dimple_model_load fails: with the first one */
  DIMPLE_FINDING_UNKNOWN_KEY = 1,   /* with ignore_unknown the file loads, and what the key asks for is not done */
  DIMPLE_FINDING_UNKNOWN_TENSOR = 2 /* with ignore_unknown the file loads, and the tensor is not used */
} dimple_finding_kind;

/* Pointers stay valid until the check, or the model, is freed. */
typedef struct dimple_finding {
  int32_t kind;     /* dimple_finding_kind */
  int32_t status;   /* PROBLEM: what dimple_model_load returns; otherwise DIMPLE_OK */
  const char *path; /* of the file */
  const char *text; /* PROBLEM: the message, as of dimple_last_error(); otherwise the name, one line of UTF-8, cut if very long */
} dimple_finding;

/* The `index`-th finding, from 0: problems, then unknown keys, then unknown tensors, each in the order in which they are looked for or
 * stand in the file. Errors: ARGUMENT, NOT_FOUND past the last one. */
DIMPLE_API dimple_status dimple_model_check_get_finding(const dimple_model_check *check, int64_t index, dimple_finding *finding);

/* The `index`-th key or tensor, from 0, that a model was loaded without, because ignore_unknown allowed it: keys, then tensors. Errors:
 * ARGUMENT, NOT_FOUND past the last one. */
DIMPLE_API dimple_status dimple_model_get_ignored(const dimple_model *model, int64_t index, dimple_finding *finding);

/* ----------------------------------------------------------------------------------------------------------- metadata */

/* GGUF's metadata value types, numbered as in the format's specification. */
typedef enum dimple_metadata_type {
  DIMPLE_METADATA_UINT8 = 0,
  DIMPLE_METADATA_INT8 = 1,
  DIMPLE_METADATA_UINT16 = 2,
  DIMPLE_METADATA_INT16 = 3,
  DIMPLE_METADATA_UINT32 = 4,
  DIMPLE_METADATA_INT32 = 5,
  DIMPLE_METADATA_FLOAT32 = 6,
  DIMPLE_METADATA_BOOL = 7,
  DIMPLE_METADATA_STRING = 8,
  DIMPLE_METADATA_ARRAY = 9,
  DIMPLE_METADATA_UINT64 = 10,
  DIMPLE_METADATA_INT64 = 11,
  DIMPLE_METADATA_FLOAT64 = 12
} dimple_metadata_type;

/* One key and its value, pointing into the mapped file: valid until the model is freed, not aligned, not NUL-terminated. */
typedef struct dimple_metadata {
  const char *key; /* UTF-8 */
  uint64_t key_size;
  int32_t type;         /* dimple_metadata_type */
  int32_t element_type; /* of an ARRAY its elements' type, otherwise equal to type */
  uint64_t count;       /* elements of an ARRAY, otherwise 1 */
  const uint8_t *data;  /* scalars: little-endian. STRING: the bytes. ARRAY: its elements one after the other, a string in an
                         * array as a little-endian uint64 length and its bytes */
  uint64_t size;        /* bytes at data */
} dimple_metadata;

/* The value of `key` (NUL-terminated). Errors: NOT_FOUND. */
DIMPLE_API dimple_status dimple_model_find_metadata(const dimple_model *model, const char *key, dimple_metadata *value);

/* The `index`-th key of the file, from 0, in file order. Errors: NOT_FOUND past the last one. */
DIMPLE_API dimple_status dimple_model_get_metadata(const dimple_model *model, int64_t index, dimple_metadata *value);

/* ------------------------------------------------------------------------------------------------------------- images */

/* 8-bit RGB, row by row from the top left, three bytes a pixel. */
typedef struct dimple_image {
  const uint8_t *rgb;
  int32_t width;
  int32_t height;
  int64_t row_stride; /* bytes from one row to the next; at least 3 * width */
} dimple_image;

/* What the vision tower makes of a picture of a certain size. Tiles, where a picture is cut into such, lie one below the other: the picture as a whole
 * first, then those of the larger one, row by row. */
typedef struct dimple_image_grid {
  int32_t resized_width; /* pixels, a multiple of patch_size * merge_size */
  int32_t resized_height;
  int32_t rows; /* patches */
  int32_t columns;
  int32_t tokens; /* image tokens of the prompt: rows * columns / merge_size^2; of pictures in tiles, what is left of these, and one behind each row */
} dimple_image_grid;

/* The grid of a width x height picture. Errors: ARGUMENT for one that the tower does not take (Qwen2.5-VL's: a side below patch_size *
 * merge_size or an aspect ratio above 200; Qwen2-VL's, as Dream-VL has it, enlarges the former; Gemma 4's and SigLIP's take all that have a pixel); UNSUPPORTED without a vision tower. */
DIMPLE_API dimple_status dimple_model_get_image_grid(const dimple_model *model, int32_t width, int32_t height,
                                                     dimple_image_grid *grid);

/* Preprocesses one picture: antialiased bicubic resize, or tiles of such, normalisation, patches in model order. Writes
 * [rows*columns x 3*temporal*patch*patch] floats to `patches`, whose length `count` must be exactly that; `resized`, if not
 * null, receives the picture between the two steps, 3 * resized_width * resized_height bytes. Errors: as
 * dimple_model_get_image_grid, ARGUMENT for a wrong count, and MEMORY, with anything in `resized`. */
DIMPLE_API dimple_status dimple_model_preprocess(const dimple_model *model, const dimple_image *image, float *patches,
                                                 int64_t count, uint8_t *resized);

/* -------------------------------------------------------------------------------------------------------- constraints */

/*
 * A constraint says what the bytes of a whole response may be. It is compiled from an automaton over bytes and a vocabulary, and knows
 * no model and no tokenizer. A response fits it when its tokens' bytes, one after the other, are accepted by the automaton, and then
 * either the canvas ends, or a token of kind END follows and behind it only tokens of kind END and FILLER.
 *
 * Under a constraint (dimple_session_set_constraint) at all times some assignment of all masked positions agrees with every fixed token
 * and fits. All tokens that one iteration reveals lie on one such assignment, the *path*: at temperature 0 the one with the highest
 * product of probabilities (Suresh et al., "DINGO", arXiv 2505.23061), above it one drawn from position to position, each token by its
 * probability, after temperature, among those with which a response can still fit. It holds for every pipeline, algorithm and setting.
 * top_k and top_p choose among the tokens that still fit, and give way where no path is left.
 */

/* What a token of the vocabulary stands for. */
typedef enum dimple_token_kind {
  DIMPLE_TOKEN_TEXT = 0,    /* its bytes; one without bytes is never used */
  DIMPLE_TOKEN_END = 1,     /* the end of the response: end of text, of turn, of message */
  DIMPLE_TOKEN_FILLER = 2,  /* padding, which only stands behind an end */
  DIMPLE_TOKEN_EXCLUDED = 3 /* never part of a response: mask, other control tokens, ids without a token */
} dimple_token_kind;

/* The tokens of a model as bytes. Immutable; any thread; serves any number of constraints. */
typedef struct dimple_vocabulary dimple_vocabulary;

/* Token t of `count` >= 1 has kind kinds[t] (dimple_token_kind) and, if that is TEXT, the bytes from bytes + offsets[t] up to
 * bytes + offsets[t + 1]: what the model's tokenizer decodes it to, which need not be whole characters. offsets[count + 1] ascend
 * from 0; a token has at most 65535 bytes. Errors: ARGUMENT, MEMORY. */
DIMPLE_API dimple_status dimple_vocabulary_create(const uint8_t *bytes, const int64_t *offsets, const uint8_t *kinds, int32_t count,
                                                  dimple_vocabulary **vocabulary);

/* Null is allowed. Constraints made from it live on. */
DIMPLE_API void dimple_vocabulary_free(dimple_vocabulary *vocabulary);

/* A deterministic automaton over bytes. */
typedef struct dimple_automaton {
  int32_t state_count;       /* 1 .. 65536 */
  int32_t class_count;       /* 1 .. 256: bytes that no state tells apart share a class */
  const uint8_t *byte_class; /* [256] of each byte its class */
  const int32_t *next;       /* [state_count x class_count] the state behind each state and class; -1: no way */
  const uint8_t *accepting;  /* [state_count] 1: the response may end here */
  int32_t start;             /* the state before the first byte */
  /* Slots: parts of the response of a limited number of tokens. A visit of a slot is a run of states of that slot; a token counts
   * against the limit of a visit when one of its bytes leads from a state of the slot to a state of the same slot, so that tokens which
   * merely open or close it are free. */
  int32_t slot_count;         /* 0: no slots */
  const int32_t *state_slot;  /* [state_count] the slot each state is of, -1: none; null when there are no slots */
  const int32_t *slot_tokens; /* [slot_count] tokens of a visit, at least 1; null when there are no slots */
} dimple_automaton;

/* An automaton compiled for a vocabulary. Immutable; any thread; serves any number of sessions. */
typedef struct dimple_constraint dimple_constraint;

/* Copies what it needs of the automaton. Time grows with the states from which many tokens can follow. Errors: ARGUMENT (a table that is
 * out of range; an automaton that accepts nothing, or nothing that tokens of this vocabulary can spell), LIMIT (too many states, or
 * too many ways of tokens between them; the message has both numbers), MEMORY. */
DIMPLE_API dimple_status dimple_constraint_create(dimple_vocabulary *vocabulary, const dimple_automaton *automaton,
                                                  dimple_constraint **constraint);

/* Releases the caller's hold. Null is allowed. Memory goes once no session uses it any more. */
DIMPLE_API void dimple_constraint_free(dimple_constraint *constraint);

typedef struct dimple_constraint_info {
  int32_t states;   /* those of the automaton that lie on a way from its start to an accepted end; a slot's once per number of tokens */
  int32_t classes;  /* of tokens that have the same effect on all states */
  int32_t labels;   /* different sets of classes that lead from one state to another */
  int32_t shortest; /* tokens of the shortest response that fits */
  int64_t edges;    /* pairs of states with tokens that lead from one to the other */
  int64_t bytes;    /* memory, without the vocabulary */
} dimple_constraint_info;

DIMPLE_API dimple_status dimple_constraint_get_info(const dimple_constraint *constraint, dimple_constraint_info *info);

/* ------------------------------------------------------------------------------------------------------------ session */

typedef struct dimple_session dimple_session;

typedef struct dimple_session_options {
  int32_t threads;        /* that work for this session at a time, the caller's included; 0: one per processor. Results do not depend
                           * on it. All sessions of a process share the same threads: as many as the largest asks for */
  int32_t context_length; /* largest P + L of this session; 0: the model's */
  int32_t prefill;        /* 1: later iterations reuse the prompt's keys and values (paper section 4.2); 0: recompute the prompt */
  int32_t kv_type;        /* dimple_tensor_type that keys and values are kept in. F32 (0): as they are; F16: half the memory (rounded to nearest
                           * even; above 65504: that); Q8_0: 8.5 bits each, where heads are multiples of 32 wide */
} dimple_session_options;

/* `options` may be null: all threads, the model's context, prefill 1. Errors: ARGUMENT, UNSUPPORTED (kv_type, where heads are no whole blocks of it),
 * MEMORY. */
DIMPLE_API dimple_status dimple_session_create(dimple_model *model, const dimple_session_options *options,
                                               dimple_session **session);

/* Null is allowed. No other thread may be inside the session. */
DIMPLE_API void dimple_session_free(dimple_session *session);

/* Sets the prompt: `token_count` >= 1 ids with every image already expanded to grid.tokens times image_token_id, and the
 * images in the order of their placeholders. Copies everything; runs nothing. Discards response, prefill and canvas.
 * Errors: ARGUMENT (id out of range, placeholders and images disagree, a bad picture), UNSUPPORTED (image without vision
 * tower), LIMIT, MEMORY. */
DIMPLE_API dimple_status dimple_session_set_prompt(dimple_session *session, const int32_t *tokens, int32_t token_count,
                                                   const dimple_image *images, int32_t image_count);

/* Sets the response block: `token_count` >= 1 ids, mask_token_id where the model decides, any other id where it is fixed (a
 * structure prior). Needs a prompt. Discards prefill and canvas. Errors: STATE, ARGUMENT, LIMIT, UNSUPPORTED (the model names
 * no mask token), MEMORY. */
DIMPLE_API dimple_status dimple_session_set_response(dimple_session *session, const int32_t *tokens, int32_t token_count);

/* For answers longer than one response: puts `token_count` >= 0 ids, the answer so far, behind the prompt, in the place of those of an
 * earlier call. A response set afterwards is decoded exactly as if the prompt had ended with them from the start: their keys and values
 * come of the next pass over prompt and response. Image features are kept, and an id behind the prompt is a word, image_token_id too.
 * Scores are those of the prompt alone. Needs a prompt. Discards response, prefill and canvas. Errors: STATE, ARGUMENT (id out of
 * range), LIMIT, MEMORY. */
DIMPLE_API dimple_status dimple_session_set_answer(dimple_session *session, const int32_t *tokens, int32_t token_count);

/* Holds every decoding of the response to a constraint, null: to none; a new response has none. Positions where only one token is left are
 * fixed at once, as if dimple_session_set_response had fixed them. Needs a response; discards prefill and canvas. The
 * vocabulary has as many tokens as the model, and its mask token is none of kind TEXT, END or FILLER. Errors: STATE, ARGUMENT (also when
 * no response that fits agrees with the fixed tokens; the message names the first of them that cannot be), LIMIT (the shortest
 * response that fits is longer than the response; the message has both numbers), MEMORY. */
DIMPLE_API dimple_status dimple_session_set_constraint(dimple_session *session, dimple_constraint *constraint);

/* The same where the response is a part of what the constraint holds: the answer so far (dimple_session_set_answer), the response, and behind it
 * `later` [later_count >= 0] tokens, the mask token where anything may come. What is decoded begins and can end as those before and behind it
 * allow; positions in messages count from the beginning of the answer. Errors: as dimple_session_set_constraint, also where the answer so far is not
 * the beginning of anything that fits; LIMIT where the whole does not fit the context. */
DIMPLE_API dimple_status dimple_session_set_constraint_part(dimple_session *session, dimple_constraint *constraint, const int32_t *later,
                                                            int32_t later_count);

/* Runs the vision tower over the prompt's images and the first pass over prompt + response. Idempotent; the first step does
 * it when it was not called. Needs prompt and response. Errors: STATE, MEMORY, CANCELLED. */
DIMPLE_API dimple_status dimple_session_prefill(dimple_session *session);

/* Takes over keys and values of the prompt from another session of the model, which has decoded and is only read: of the whole blocks that both
 * prompts begin with, where rows see blocks (pipelines sdar, fast-dllm-v2, llada2, llada22, bd3lm, stable-diffcoder; diffusion-gemma, whose prompt has blocks of
 * one, before any picture, and behind the other's prompt without pictures its response's canvases but for the last), and fewer than all. Pictures among them have to have equal features; the tower runs for those of `session` unless they
 * were given (dimple_session_set_image_features). The first pass,
 * which has not been, then runs the rest; results are the same to the bit. It holds for decodings with the other's blocks; one with others runs all
 * of the prompt, and one of these that has begun takes nothing. *rows: how many rows it were; 0 where nothing can be shared, which is no error, as on devices (`ggml:`, `rpc:`), whose results
 * depend on the rows of a pass. Neither session may be in use. Errors: ARGUMENT (null, the same session, another model), STATE (no response, or the
 * first pass ran already), MEMORY, CANCELLED. */
DIMPLE_API dimple_status dimple_session_take_prefix(dimple_session *session, dimple_session *from, int32_t *rows);

typedef enum dimple_pipeline {
  DIMPLE_PIPELINE_DIM = 0,  /* Dimple's: threshold first, schedule from what is still masked, ends when nothing is */
  DIMPLE_PIPELINE_DREAM = 1, /* Dream's: fixed schedule, always `steps` iterations; with a cache, block after block (Fast-dLLM), then
                              * every algorithm but confidence_threshold counts as entropy */
  DIMPLE_PIPELINE_LLADA = 2, /* LLaDA's and Fast-dLLM's: block after block, by quotas, a threshold or a factor */
  DIMPLE_PIPELINE_MDLM = 3,  /* dLLM's MDLM: block after block by its schedule, every pass over everything */
  DIMPLE_PIPELINE_BD3LM = 4, /* dLLM's BD3LM: the same under block-causal attention, blocks counted from the end of the prompt */
  DIMPLE_PIPELINE_SDAR = 5,  /* SDAR's: block-causal attention, blocks counted from the beginning of the prompt; `steps` are a block's */
  DIMPLE_PIPELINE_FAST_DLLM_V2 = 6, /* Fast-dLLM v2's: the same with shifted logits, sub-block after sub-block; `steps` do not count */
  DIMPLE_PIPELINE_LLADA2 = 7, /* LLaDA2.0's and LLaDA2.1's: as SDAR's, a full block being kept by the next one's first pass */
  DIMPLE_PIPELINE_DIFFUSION_GEMMA = 8, /* DiffusionGemma's: canvas after canvas of block_length positions, each of which begins as random tokens; an
                                       * iteration draws a token for every position, accepts those that entropy_bound does, and puts random ones at
                                       * the others. A canvas is settled, as the most likely tokens, after `steps` iterations or when it is stable */
  DIMPLE_PIPELINE_RND1 = 9, /* RND1's: after iteration n of `steps` as many of all masks are left as is their share of the time left, rounded down */
  DIMPLE_PIPELINE_STABLE_DIFFCODER = 10, /* Stable-DiffCoder's: as sdar's, but `steps` are shared out among the blocks, low_confidence_dynamic takes what
                                        * has at least the threshold, and the block of the first end of text ends with ends */
  DIMPLE_PIPELINE_DREAMON = 11, /* DreamOn's: number_transfer_tokens an iteration, whose tokens may change the response's length: an end of text takes its
                               * position out, the model's expand token (key tokenizer.ggml.expand_token_id) becomes two masks. `steps` do not count */
  DIMPLE_PIPELINE_LLADA_V = 12, /* LLaDA-V's: llada's blocks and quotas, over once the last slot holds the end of turn that the file names and nothing before
                                * it is masked, the masks behind it left; until then only positions before it are revealed */
  DIMPLE_PIPELINE_LAVIDA = 13, /* LaViDa's: llada's blocks, a response that sees all and a prompt that does not see it, by quotas or, with schedule_shift,
                                * by a schedule that begins slowly or fast */
  DIMPLE_PIPELINE_LAVIDA_DREAM = 14, /* LaViDa's of models with shifted logits: such a prompt gives the first token, the likeliest whatever the temperature, in
                                     * an iteration before the `steps`, and dream's schedule or, with schedule_shift, lavida's the others */
  DIMPLE_PIPELINE_LLADA22 = 15 /* LLaDA2.2's: llada2's blocks and token_editing, where two tokens of the model (keys tokenizer.ggml.delete_token_id,
                               * split_token_id) take a position out of the block, or have a mask come in before it; the block keeps its length */
} dimple_pipeline;

typedef enum dimple_algorithm {
  DIMPLE_ALGORITHM_ORIGIN = 0,         /* a random subset of the scheduled size */
  DIMPLE_ALGORITHM_ORIGIN_RATIO = 1,   /* each position with the scheduled probability; pipeline dim only */
  DIMPLE_ALGORITHM_AUTOREGRESSIVE = 2, /* the leftmost masked position */
  DIMPLE_ALGORITHM_MASKGIT_PLUS = 3,   /* the highest probabilities */
  DIMPLE_ALGORITHM_TOPK_MARGIN = 4,    /* the largest gaps between best and second best probability */
  DIMPLE_ALGORITHM_ENTROPY = 5,        /* the lowest entropies; pipeline llada, as KLASS's code: the highest */
  DIMPLE_ALGORITHM_CONFIDENCE_THRESHOLD = 6, /* probabilities of at least the threshold, and the best; dream with a cache only */
  /* These decide by rules of their own how many positions they reveal; pipeline llada, klass also in dream. docs/decoding.md has them. */
  DIMPLE_ALGORITHM_ENTROPY_BOUND = 7, /* EB-Sampler: the surest ones whose entropies, without the largest, add up to at most gamma */
  DIMPLE_ALGORITHM_KLASS = 8,         /* KLASS: those above the threshold whose distribution has settled */
  DIMPLE_ALGORITHM_CREDIT = 9,        /* dInfer: as the threshold, on logits raised by what earlier iterations favoured */
  DIMPLE_ALGORITHM_HIERARCHY = 10,    /* dInfer: the surest of every run of masks above low_threshold, and those above the threshold */
  DIMPLE_ALGORITHM_WINO = 11,         /* WINO: those above the threshold; masks again what the model believes in no more */
  DIMPLE_ALGORITHM_SEQUENTIAL = 12,   /* SDAR's: as many as are scheduled, from the left */
  DIMPLE_ALGORITHM_LOW_CONFIDENCE_STATIC = 13, /* the same: as many as are scheduled, the highest probabilities */
  DIMPLE_ALGORITHM_LOW_CONFIDENCE_DYNAMIC = 14, /* the same: probabilities above the threshold if they are as many as are scheduled, or
                                                * else the highest */
  DIMPLE_ALGORITHM_TOKEN_EDITING = 15 /* LLaDA2.1's: probabilities above the threshold, and the highest num_to_transfer where these are fewer; gives
                                       * positions of the block that are revealed another token, if that is above editing_threshold */
} dimple_algorithm;

/* What decoding in blocks keeps of the keys and values of a pass over everything that opens each block (Fast-dLLM). */
typedef enum dimple_cache {
  DIMPLE_CACHE_MODEL = 0,  /* what the file says (key diffusion.cache); without that key nothing is kept */
  DIMPLE_CACHE_NONE = 1,   /* nothing: every pass runs over prompt and response */
  DIMPLE_CACHE_PREFIX = 2, /* those before the block: later passes run from the block on to the end */
  DIMPLE_CACHE_DUAL = 3    /* all but the block's: later passes run over the block alone */
} dimple_cache;

/* What entropy_bound ranks positions by. */
typedef enum dimple_order {
  DIMPLE_ORDER_ENTROPY = 0,    /* the lowest entropy first */
  DIMPLE_ORDER_CONFIDENCE = 1, /* the highest probability */
  DIMPLE_ORDER_MARGIN = 2      /* the largest gap between best and second best probability */
} dimple_order;

/* Which of the positions that are ready klass reveals. */
typedef enum dimple_unmask {
  DIMPLE_UNMASK_ALL = 0,
  DIMPLE_UNMASK_MAX_CONFIDENCE = 1, /* the most confident one */
  DIMPLE_UNMASK_MIN_KL = 2          /* the one that has changed least */
} dimple_unmask;

/* How to decode. dimple_decoding_defaults() fills in the paper's confident decoding. */
typedef struct dimple_decoding {
  int32_t pipeline;            /* dimple_pipeline */
  int32_t algorithm;           /* dimple_algorithm */
  int32_t steps;               /* iterations of the schedule, 1 .. 1048576; sdar: of each block */
  int32_t top_k;               /* keep the k best tokens; 0: all */
  int32_t original_confidence; /* 1: confidence from the untouched logits; 0: after temperature and filters. dream, lavida-dream: always 0 */
  float threshold;             /* reveal every position whose confidence is above it (llada: at least it, and the best; sdar: if as many are
                                * as are due); 0: off. >= 0 */
  float temperature;           /* 0: the most likely token; >= 1e-6: a draw from softmax(logits / temperature). Finite */
  float top_p;                 /* keep tokens until this probability mass; 1: all. 0 <= top_p <= 1 */
  float algorithm_temperature; /* 0: take the most confident positions; > 0: draw them, softmax(confidence / this). Finite */
  float epsilon;               /* last noise level, 0 < epsilon < 1; the authors' is 1e-3 */
  uint64_t seed;               /* of the counter-based generator; a draw depends on (seed, iteration, position) only */
  int32_t block_length;        /* positions of a block, the last one may be shorter; 0: the file's (diffusion.block_length), or all */
  int32_t cache;               /* dimple_cache; pipelines that decode in blocks */
  int32_t complete;            /* 1: no idle iterations, and what the authors' code leaves masked is revealed, behind `steps` iterations if need be,
                                * but not behind llada-v's end of turn; 0: ends as it does */
  int32_t no_eos_logits;       /* llada, 1: the end-of-text token is never a candidate */
  int32_t no_eos_confidence;   /* llada, 1: end of text and end of turn have no share in confidences, and are revealed last */
  float factor;                /* llada: reveal the n best if the n-th has at least 1 - factor / (n + 1); 0: off. Finite, >= 0 */
  float guidance_scale;        /* llada, mdlm, llada-v: logits = u + (scale + 1) (c - u), u those without the prompt; 0: off. Finite, >= 0 */
  int32_t allowed_confidence;  /* under a constraint, 1: confidence among the tokens that can stand at the position; 0: among all, and an
                                * error of dimple_session_begin without a constraint */
  int32_t no_mask_logits;      /* llada, 1: the mask token has no share in probabilities (it is never a candidate in any case) */
  int32_t order;               /* entropy_bound: dimple_order */
  float gamma;                 /* entropy_bound: nats, finite, >= 0 */
  float kl_threshold;          /* klass: nats between one iteration and the next, finite, >= 0 */
  int32_t kl_history;          /* klass: as many times in a row, 1 .. 64 */
  int32_t unmask;              /* klass: dimple_unmask */
  float credit_alpha;          /* credit: how much credits raise logits, finite, >= 0 */
  float boost_gamma;           /* credit: a credit is probability ^ boost_gamma, finite, >= 0 */
  float decay_beta;            /* credit: what is left of one an iteration later, 0 .. 1 */
  float low_threshold;         /* hierarchy: 0 .. 1; 0: every run of masks counts */
  int32_t expected_tpf;        /* credit, hierarchy, not complete: tokens that an iteration is expected to reveal, >= 1 */
  int32_t maximum_unroll;      /* the same: iterations without a look at the block, >= 1 */
  float threshold_back;        /* wino: a revealed token whose probability, unseen, is below it is masked again. 0 .. 1 */
  int32_t sub_block_length;    /* fast-dllm-v2: a block's positions are revealed so many at a time, a divisor of its length; 0: 8, or all */
  int32_t block_cache;         /* fast-dllm-v2, 1: passes run a sub-block alone where they can, beside what is left of the block's latest whole
                                * pass: faster, an approximation; 0: every pass runs the block */
  float editing_threshold;     /* token_editing: 0 .. 1 */
  int32_t max_post_steps;      /* token_editing: most passes over a block that is full, >= 0 */
  int32_t num_to_transfer;     /* token_editing: >= 1 */
  int32_t eos_early_stop;      /* llada2, 1: with low_confidence_dynamic the decoding is over within a block once the end of text is revealed and
                                * nothing before it is masked; with token_editing behind the block that holds it. 0: low_confidence_dynamic ends behind
                                * the block, token_editing not before the last */
  int32_t fill_last_block;     /* fast-dllm-v2, 1: a block that holds the end of text is filled to its end, as the authors' evaluation does */
  float t_min;                 /* diffusion-gemma: iteration n of `steps`, counted down, divides logits by t_min + (t_max - t_min) n / steps; .. */
  float t_max;                 /* .. both 0: by 1, and the most likely token is taken. Finite, >= 0 */
  int32_t stability_threshold; /* the same: a canvas is stable when its most likely tokens are those of so many iterations before, 0 .. 64, .. */
  float confidence_threshold;  /* .. and its mean entropy is below it: nats, finite, >= 0 */
  int32_t grow_to;             /* dreamon: most positions to fill, those that were given not counted; 0: as many as are masked to begin with */
  int32_t expand_budget;       /* dreamon: most positions that come in, >= 0; -1: twice the most positions from the first masked one on */
  int32_t number_transfer_tokens; /* dreamon: positions that an iteration decides, >= 1 */
  float eos_penalty;           /* dream without a cache: eos_penalty * log(1 - t + epsilon) is added to the padding token's logits, t being the noise level before
                                * the iteration. Finite; 0: nothing */
  int32_t pad_delete_to_right; /* dreamon, 1: with a position that is taken out all behind it go that were masked before the iteration; 0: it alone */
  int32_t tail_repeats;        /* sdar: a text is over behind a block with which its end is one run of tokens, of any length, so many times in a row (SDAR-VL's
                                * generate.py: 20), but where a constraint says where it ends; 0: repetition ends none */
  float schedule_shift;        /* lavida, lavida-dream: of what is masked in a block, of share t of its steps the last ones reveal s t / (1 + (s - 1) t), at least a position a
                                * step: below 1 the first steps reveal most, above 1 the last ones. 0.001 .. 1000; 0: quotas as llada's, or
                                * dream's schedule */
} dimple_decoding;

/* Pipeline dim, maskgit_plus, threshold 0.95, original confidence, temperature 0, no filters, epsilon 1e-3, seed 0, steps = 64,
 * block length and cache of the model, complete, allowed confidence; and of every algorithm its authors' settings: gamma 0.1 by entropy,
 * kl_threshold 0.01 twice in a row and all, credit 0.7, 0.2 and 0.8, low_threshold 0.4, expected_tpf 8 and maximum_unroll 4,
 * threshold_back 0.9, editing_threshold 0.5, max_post_steps 16 and num_to_transfer 1. Blocks are not cached, nor filled behind the end of text;
 * eos_early_stop 0; t_min 0.4, t_max 0.8, stability_threshold 1 and confidence_threshold 0.005; grow_to 0, expand_budget -1,
 * number_transfer_tokens 1, pad_delete_to_right 0; tail_repeats 0; schedule_shift 0. */
DIMPLE_API void dimple_decoding_defaults(dimple_decoding *decoding);

/* Checks every field against its range above, and fields against each other, as dimple_session_begin does. Errors: ARGUMENT. Of a
 * field that is out of range the message is "decoding: FIELD is VALUE, expected RANGE"; of one that pipeline and algorithm do not heed, and that
 * has another value than by default, "decoding: FIELD does not go with ...". Not refused: a threshold of 0 or 0.95, or any with
 * pipelines sdar, fast-dllm-v2 and llada2, whose authors' functions take one beside every strategy; and `steps`, `seed` and `complete`, of which nothing may come. Any thread. */
DIMPLE_API dimple_status dimple_decoding_validate(const dimple_decoding *decoding);

/* Starts decoding the response from its initial canvas. May be called again at any time: a prefill of the same prompt and
 * response is kept, so one prefill serves several decodings; not where the response may grow further than in all decodings before. Errors: STATE (no
 * prompt or response), ARGUMENT (names the field), LIMIT (dreamon: what the response may grow to does not fit the context), UNSUPPORTED (the model is not
 * one that the pipeline decodes; dreamon under a constraint; bd3lm with padding tokens in prompt or response; tail_repeats in a complete decoding of a
 * model that names no end of text, with which it would fill what is left), MEMORY. */
DIMPLE_API dimple_status dimple_session_begin(dimple_session *session, const dimple_decoding *decoding);

/* What one iteration did. The pointers are the session's and stay valid until its next call. */
typedef struct dimple_step {
  int32_t iteration;              /* from 0 */
  int32_t done;                   /* 1: no iteration follows */
  int32_t remaining;              /* positions still masked; diffusion-gemma: those of canvases that are not settled */
  int32_t revealed_count;         /* positions revealed now, and with token_editing those given another token; diffusion-gemma: those accepted, each time anew */
  const int32_t *revealed;        /* [revealed_count] response positions, ascending */
  const float *confidence;        /* [revealed_count] in the same order; nats (<= 0) for entropy, otherwise 0 .. 1 */
  const int32_t *canvas;          /* [canvas_length] token ids, mask_token_id where masked; diffusion-gemma: also what the next pass runs of the
                                   * canvas under way, random tokens and all */
  int32_t canvas_length;          /* L; dreamon: as it is after the iteration */
  int32_t forward_passes;         /* model passes since dimple_session_begin, the prefill's first pass included */
  int32_t forced_count;           /* of those revealed, positions for which the constraint left one token: no pass decided them */
  int64_t nanoseconds;            /* wall time of this call */
  const float *log_probability;   /* [revealed_count] of the token revealed, in softmax(logits) of this pass (with guidance: of the
                                   * guided ones; without those that no_eos_logits forbids), whatever temperature, constraints, filters,
                                   * biases and credits did: nats, <= 0; NaN for a position that no pass decided */
  int32_t remasked_count;         /* wino: positions, revealed before, that are masked again; diffusion-gemma: accepted before, and not again */
  const int32_t *remasked;        /* [remasked_count] ascending */
  int32_t block;                  /* decodings in blocks: the one that the iteration worked on, from 0; -1: others */
  int32_t settled;                /* what positions 0 .. settled - 1 have revealed stays; those behind may be masked again, hold another token, or move */
  const int32_t *origins;         /* dreamon, llada22: [canvas_length] where each position was before the iteration, -1: it came in, a mask: of dreamon behind
                                   * the one that it was doubled from, of llada22 before one that was split, or at the block's end. Positions in no place of
                                   * it went out. Null: every position is where it was */
} dimple_step;

/* One iteration. After the last one (done = 1) a further call fails with STATE. After CANCELLED the iteration has not
 * happened and may be repeated. Errors: STATE, MEMORY, CANCELLED, MODEL. */
DIMPLE_API dimple_status dimple_session_step(dimple_session *session, dimple_step *step);

/* Adds values [count] to the logits of tokens [count], ascending ids, of all positions in the iterations to come: -65536 .. 65536 favours
 * or disfavours them, -inf bans them; count 0: nothing. It comes before temperature, top_k and top_p; under a constraint a token that is
 * banned stands only where no other can; without one, some token is not, beside the mask and what the decoding bars (no_eos_logits, dreamon's expand
 * token). Tokens that the file bans (key diffusion.suppress_tokens) stay so unless they are among these. dimple_session_begin takes it back.
 * log_probability stays the model's own. Errors: STATE (no decoding is under way), ARGUMENT, UNSUPPORTED (diffusion-gemma), MEMORY. */
DIMPLE_API dimple_status dimple_session_set_bias(dimple_session *session, const int32_t *tokens, const float *values, int32_t count);

/* What an iteration has to choose from. The pointers are the session's and stay valid until its next call. */
typedef struct dimple_candidates {
  int32_t iteration;            /* from 0 */
  int32_t count;                /* masked positions, of a decoding in blocks those of the block */
  const int32_t *positions;     /* [count] response positions, ascending */
  const int32_t *tokens;        /* [count] the candidate of each; all of them on one path of the constraint, if there is one */
  const float *confidence;      /* [count] as dimple_step's */
  const float *log_probability; /* [count] as dimple_step's */
  int64_t nanoseconds;          /* wall time of this call */
} dimple_candidates;

/* An iteration whose decision is the caller's, first half: one pass, and candidates for every masked position by the decoding's settings,
 * in blocks for those of the block that is being filled; nothing is revealed. Quotas, thresholds and the algorithm's choice do not count:
 * a block is over when it is full, or after its share of the steps. Where positions see their block and those before it alone (bd3lm, sdar, llada2, stable-diffcoder) it is
 * over when it is full, and what runs for its keys and values runs first; the decoding is done where one is not full after as many iterations as it
 * had masks, or `steps` of a block. dimple_session_reveal is the second half; every other call that decodes gives the candidates up. Errors: as
 * dimple_session_step, and UNSUPPORTED for wino and token_editing, which take back what was revealed, fast-dllm-v2, where the pass over a block gives
 * the first token of the next one, diffusion-gemma, and dreamon. */
DIMPLE_API dimple_status dimple_session_look(dimple_session *session, dimple_candidates *candidates);

/* Behind dimple_session_look: of each of its positions the `count` tokens, 1 .. 64, with the highest logits, the best first: with guidance
 * and bias, before temperature and filters, and under a constraint of those that can stand there. tokens [candidates x count] ids, -1
 * behind the last where there are fewer; log_probability [candidates x count] as dimple_candidates has it, NaN beside -1.
 * Behind dimple_session_step, the last one too, and behind dimple_session_complete after it: the same of each position that the step revealed,
 * in their order, [its revealed_count x count], in the distribution of its log_probability: without bias, whatever a constraint admits; -1
 * and NaN for positions that no pass decided.
 * Runs the head over these positions once more. Errors: STATE (neither has been, or the session was asked for logits or scores since), ARGUMENT,
 * MEMORY, CANCELLED, MODEL. */
DIMPLE_API dimple_status dimple_session_alternatives(dimple_session *session, int32_t count, int32_t *tokens, float *log_probability);

/* Second half: reveals positions [count], masked ones of the latest dimple_session_look in ascending order, as tokens [count], the
 * candidates or any others; none is allowed, too. Fills `step` as dimple_session_step does; of a token that is not the candidate confidence
 * is the lowest there is and log_probability NaN. The decoding is done when nothing is masked, after its steps, or behind its last block (also one
 * that holds an end of text, where the pipeline ends with it).
 * Errors: STATE (dimple_session_look has not been), ARGUMENT (also for tokens that no response that fits the constraint agrees with). */
DIMPLE_API dimple_status dimple_session_reveal(dimple_session *session, const int32_t *positions, const int32_t *tokens, int32_t count,
                                               dimple_step *step);

/* Leaves the response's positions from `length` on, 1 .. L, out of the decoding under way: they keep what they hold, masks too, and no
 * later iteration computes them or counts them in `remaining`. The others go on to see their keys and values as the decoding's last pass left them, the
 * first pass being one of its own: it runs here if it has not been, and once more in the next iteration where an earlier decoding's passes have
 * taken its place. That changes what the model says of them a little. For text behind an end token. Blocks end with what is left; under a constraint
 * the path goes on to hold all positions, and dimple_session_complete fills those left out. Gives up the candidates of dimple_session_look. Errors: STATE
 * (no decoding is under way), ARGUMENT (also for more than an earlier call left), UNSUPPORTED (pipelines whose positions see their block and those before
 * it alone, diffusion-gemma, and dreamon; wino; guidance); as dimple_session_prefill. */
DIMPLE_API dimple_status dimple_session_shorten(dimple_session *session, int32_t length);

/* Under a constraint: fills every position that is still masked along the path of the latest iteration, without a pass; before the
 * first one, and where the canvas holds tokens that this path has not (token_editing, dimple_session_reveal), along the shortest response
 * that fits. Afterwards the decoding is done. For a decoding whose steps or time are used up: a session with a constraint can always be
 * finished. Fills `step`: iteration is that of the latest step (-1 before the first), revealed what was filled, and confidence and
 * log_probability are those of the path in the pass that it comes from, whatever bias was set since; for positions that this pass did not
 * score the lowest there is, and NaN. Errors: STATE (no constraint, decoding not begun), ARGUMENT, MEMORY. */
DIMPLE_API dimple_status dimple_session_complete(dimple_session *session, dimple_step *step);

/* Makes the prefill, step, look, alternatives, shorten, take_prefix, logits, features or score call that runs in the session, or else the next such call
 * that runs the model, fail with CANCELLED, at the latest after the decoder or vision block it is in. May be called from any thread at any time while the
 * session lives. A no-op on null. */
DIMPLE_API void dimple_session_cancel(dimple_session *session);

/* Wall times in nanoseconds, and sizes. */
typedef struct dimple_timings {
  int64_t vision;  /* preprocessing and vision tower of the prompt's images */
  int64_t prefill; /* first pass over prompt and response, without its head */
  int64_t steps;   /* sum of dimple_step.nanoseconds since dimple_session_begin, less vision and prefill done inside */
  int64_t forward_passes;
  int64_t kv_bytes;      /* keys and values held by the session */
  int64_t scratch_bytes; /* everything else it holds; not the process's threads */
} dimple_timings;

DIMPLE_API dimple_status dimple_session_get_timings(dimple_session *session, dimple_timings *timings);

/* Raw logits of one full pass over prompt + response as it was set (it may be unset), as the model gives them, before the shift by one:
 * [token_count x vocab_size] floats, where token_count = P + L. `count` must be exactly that product. Errors: STATE (no
 * prompt), ARGUMENT, MEMORY, CANCELLED; MODEL, with the logits written. */
DIMPLE_API dimple_status dimple_session_get_logits(dimple_session *session, float *logits, int64_t count);

/* The projected features of the prompt's images, [sum of grid.tokens x embedding_length] floats, images in order, tokens row by
 * row. `count` must be exactly that product. Errors: STATE (no prompt), ARGUMENT, MEMORY, CANCELLED; MODEL, with the features written. */
DIMPLE_API dimple_status dimple_session_get_image_features(dimple_session *session, float *features, int64_t count);

/* Gives the features of the prompt's images, as dimple_session_get_image_features gave them for the same images in any session of the model:
 * the vision tower need not run, and everything is as if it had. `count` must be exactly [sum of grid.tokens x embedding_length]. Holds for
 * this prompt; discards prefill. Errors: STATE (no prompt), ARGUMENT (also a number that is not finite), MEMORY. */
DIMPLE_API dimple_status dimple_session_set_image_features(dimple_session *session, const float *features, int64_t count);

/* ------------------------------------------------------------------------------------------------------------- batches */

/* Sessions of one model that step together: the rows that their iterations run go through each layer's weights in one pass; rotation and
 * attention are each session's own. Each comes to the same result as by dimple_session_step: on the CPU token for token and bit for bit,
 * whatever the others are, for every setting of a decoding, and sessions may join and leave between any two steps. A batch holds the memory
 * of such passes and threads of its own; it serves one thread at a time, a second one's call fails with STATE. */
typedef struct dimple_batch dimple_batch;

/* An empty batch, whose passes run on `threads` threads; 0: one per processor. Errors: ARGUMENT, MEMORY. */
DIMPLE_API dimple_status dimple_batch_create(dimple_model *model, int32_t threads, dimple_batch **batch);

/* Null is allowed. Not while a step runs; sessions that were in its steps live on. */
DIMPLE_API void dimple_batch_free(dimple_batch *batch);

/* One iteration of each of sessions [count], 1 .. 1024, of the batch's model: what dimple_session_step does, first passes included. statuses
 * [count] receives what dimple_session_step would return of each, and steps [count] its result where that is OK; nothing is written of the
 * others, and what happens to one changes nothing for another. `sessions` is only read. A session that is cancelled stops like in dimple_session_step, but the call
 * returns when the others are through. Each session is inside the call until then. A pass takes up to 768 rows, those of one session
 * undivided; what does not fit runs in a further pass. Errors: ARGUMENT, STATE (another thread is inside the batch), MEMORY: no session has
 * been touched then, and statuses and steps are as they were. */
DIMPLE_API dimple_status dimple_batch_step(dimple_batch *batch, dimple_session **sessions, int32_t count, dimple_step *steps,
                                           int32_t *statuses);

/* The message of the `index`-th session of the latest dimple_batch_step, as of dimple_last_error(): valid until the next one; "" if it did
 * not fail, or there was none. Not while a step runs. */
DIMPLE_API const char *dimple_batch_get_error(const dimple_batch *batch, int32_t index);

/* What a batch has done since it was created. */
typedef struct dimple_batch_counts {
  int64_t steps;          /* iterations of sessions */
  int64_t passes;         /* passes over the layers: in each, rows went through every weight of a layer once */
  int64_t session_passes; /* passes that the sessions would have run one by one for the same */
  int64_t rows;           /* of all these passes */
  int64_t bytes;          /* memory it holds, beside its threads */
} dimple_batch_counts;

/* Errors: ARGUMENT, STATE (a step runs). */
DIMPLE_API dimple_status dimple_batch_get_counts(dimple_batch *batch, dimple_batch_counts *counts);

/* ------------------------------------------------------------------------------------------------------------ scoring */

/* How likely the model finds given tokens: one pass over prompt + `response` [count], ids with mask_token_id where the model is not to
 * see what stands there. Of each position with targets[i] >= 0, log_probability[i] receives the natural logarithm of that token's
 * probability in softmax(logits) of the row that scores the position (with shifted logits the one before it), which of a position that is
 * not masked may have seen what stands there; of the others, whose target is -1, NaN. guidance_scale: as dimple_decoding's, the response seen in both passes;
 * 0: off. The prompt is computed anew, for its keys and values, kept as the session's, depend on the response. The session's response need not be set; a decoding under
 * way is not disturbed. Errors: STATE (no prompt), ARGUMENT, LIMIT, UNSUPPORTED (no mask token; a model that denoises canvases), MEMORY, CANCELLED, MODEL. */
DIMPLE_API dimple_status dimple_session_score(dimple_session *session, const int32_t *response, const int32_t *targets, int32_t count,
                                              float guidance_scale, float *log_probability);

/* Which of an answer's `length` tokens a Monte Carlo estimate of its likelihood masks, as LLaDA's evaluation has it (arXiv 2502.09992,
 * get_log_likelihood.py): row r of round `round` >= 0 masks ((round_half_even(k + r * length / rows) - 1) mod length) + 1 of them, where k
 * is one draw of 1 .. length for all rows, and any set of that size is as likely as another. Draws depend on (seed, round, row, token)
 * alone. masks [rows x length] receives 1 for masked, 0 for seen. The estimate is the mean over rows of the sum of log-probabilities of the
 * masked tokens times length / their number. Errors: ARGUMENT, MEMORY. Any thread. */
DIMPLE_API dimple_status dimple_score_masks(int32_t length, int32_t rows, uint64_t seed, int32_t round, uint8_t *masks);

/* ---------------------------------------------------------------------------------------------------- recorded draws */

typedef enum dimple_draw {
  DIMPLE_DRAW_PERMUTATION = 0, /* an ordering of the masked positions, as indices into them */
  DIMPLE_DRAW_UNIFORM = 1,     /* one float in [0, 1) per masked position */
  DIMPLE_DRAW_CATEGORICAL = 2, /* one token id per scored position */
  DIMPLE_DRAW_SUBSET = 3       /* indices into the masked positions */
} dimple_draw;

/* Conformance hook: replaces the generator by draws recorded elsewhere. Record r has kind kinds[r] and the next lengths[r]
 * entries of `values`. Ends a decoding under way: every dimple_session_begin starts with the first record. Running out, or a
 * record of another kind or length than needed, makes the step fail with STATE. record_count 0 returns to the generator.
 * Errors: ARGUMENT (also for a value that no such draw can have), MEMORY. */
DIMPLE_API dimple_status dimple_session_replay_draws(dimple_session *session, const int32_t *kinds, const int32_t *lengths,
                                                     int32_t record_count, const double *values, int64_t value_count);

/* ------------------------------------------------------------------------------------------------------ block formats */

/* GGML's tensor types by their numbers in GGUF files; gaps are types this library does not know. */
typedef enum dimple_tensor_type {
  DIMPLE_TENSOR_F32 = 0,
  DIMPLE_TENSOR_F16 = 1,
  DIMPLE_TENSOR_Q4_0 = 2,
  DIMPLE_TENSOR_Q4_1 = 3,
  DIMPLE_TENSOR_Q5_0 = 6,
  DIMPLE_TENSOR_Q5_1 = 7,
  DIMPLE_TENSOR_Q8_0 = 8,
  DIMPLE_TENSOR_Q2_K = 10,
  DIMPLE_TENSOR_Q3_K = 11,
  DIMPLE_TENSOR_Q4_K = 12,
  DIMPLE_TENSOR_Q5_K = 13,
  DIMPLE_TENSOR_Q6_K = 14,
  DIMPLE_TENSOR_IQ2_XXS = 16,
  DIMPLE_TENSOR_IQ2_XS = 17,
  DIMPLE_TENSOR_IQ3_XXS = 18,
  DIMPLE_TENSOR_IQ1_S = 19,
  DIMPLE_TENSOR_IQ4_NL = 20,
  DIMPLE_TENSOR_IQ3_S = 21,
  DIMPLE_TENSOR_IQ2_S = 22,
  DIMPLE_TENSOR_IQ4_XS = 23,
  DIMPLE_TENSOR_IQ1_M = 29,
  DIMPLE_TENSOR_BF16 = 30,
  DIMPLE_TENSOR_TQ1_0 = 34,
  DIMPLE_TENSOR_TQ2_0 = 35,
  DIMPLE_TENSOR_MXFP4 = 39,
  DIMPLE_TENSOR_NVFP4 = 40
} dimple_tensor_type;

typedef struct dimple_tensor_type_info {
  char name[16];      /* as in file names and on the command line, e.g. "q4_0" */
  int32_t block_length; /* elements per block */
  int32_t block_size;   /* bytes per block */
  int32_t can_quantize; /* 1: dimple_quantize_rows writes it */
  int32_t reserved;
} dimple_tensor_type_info;

/* Facts about a tensor type. Errors: UNSUPPORTED for a number this library does not know. */
DIMPLE_API dimple_status dimple_tensor_type_get_info(int32_t type, dimple_tensor_type_info *info);

/* Encodes `rows` rows of `columns` floats. `columns` is a multiple of the type's block length; `target_size` must be exactly
 * rows * columns / block_length * block_size. `importance`, null or [columns], weighs the squared errors of the columns.
 * Errors: ARGUMENT (also, with its place, for a value that is not finite, or above 65504 in magnitude for every type but F32 and
 * BF16, whose scales are halves), UNSUPPORTED. Any thread. */
DIMPLE_API dimple_status dimple_quantize_rows(int32_t type, const float *source, int64_t rows, int64_t columns,
                                              const float *importance, uint8_t *target, int64_t target_size);

/* Decodes rows; sizes as above. Equal to GGML's bit for bit. */
DIMPLE_API dimple_status dimple_dequantize_rows(int32_t type, const uint8_t *source, int64_t source_size, int64_t rows,
                                                int64_t columns, float *target);

#ifdef __cplusplus
}
#endif

#endif
