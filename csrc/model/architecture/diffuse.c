/* Files of diffuse-cpp's converters (tools/convert-dream.py, tools/convert-llada.py): Dream's and LLaDA's bodies under one name, which a key tells
 * apart. Rows of Q and K lie as in the checkpoints, half a head apart, in both; there is no tokenizer, and the mask token is a key of the
 * architecture's own. */
#include <string.h>

#include "error.h"
#include "model/architecture/keys.h"
#include "model/architecture/llama.h"
#include "model/architecture/qwen2.h"

static const char type_key[] = "diffuse.model_type";

/* Their engine takes whatever is not Dream for LLaDA; here the type has to be said. */
static dimple_status read_type(const gguf_file *file, bool *dream) {
  char type[16] = "";
  DIMPLE_TRY(gguf_require_string(file, type_key, type, sizeof type));
  *dream = strcmp(type, "dream") == 0;
  if (!*dream && strcmp(type, "llada") != 0)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: key %s is \"%s\", expected dream or llada", gguf_path(file), type_key, type);
  return DIMPLE_OK;
}

static dimple_status read_keys(const gguf_file *file, text_parameters *p) {
  bool dream;
  DIMPLE_TRY(read_type(file, &dream));
  DIMPLE_TRY(qwen2_read_shape(file, p));
  DIMPLE_TRY(read_rotary(file, p, 1e6f));
  DIMPLE_TRY(read_diffusion(file, p, dream));
  DIMPLE_TRY(read_tokens(file, p));
  return gguf_optional_int32(file, key_of(p, "mask_token_id").text, 0, MAX_VOCAB, &p->mask_token);
}

static void want_tensors(tensor_list *list, const text_parameters *p, text_weights *w) {
  bool dream = false;
  if (read_type(list->files->files[0], &dream) != DIMPLE_OK) dream = false; /* read_keys has said so */
  if (dream)
    qwen2_want_tensors(list, p, w);
  else
    llama_want_tensors(list, p, w);
}

const architecture architecture_diffuse = {
    .name = "diffuse", .read_keys = read_keys, .want_tensors = want_tensors, .record_layer = qwen2_record_layer};
