#include "model/hyperparameters.h"

#include "error.h"
#include "model/architecture.h"

dimple_status text_parameters_read(const gguf_file *file, text_parameters *p) {
  char name[32];
  DIMPLE_TRY(gguf_require_string(file, "general.architecture", name, sizeof name));
  p->architecture = architecture_find(name);
  if (!p->architecture) {
    char names[512];
    architecture_names(names, sizeof names);
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: general.architecture is \"%s\", expected %s", gguf_path(file), name, names);
  }
  return p->architecture->read_keys(file, p);
}
