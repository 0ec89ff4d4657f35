/* A picture of any size, stride and content, prepared for the vision tower, and run through it when it is small. */
#include "fuzz/small_model.h"

enum { LARGEST_SIDE = 32, BYTES = 40 };

static dimple_model *model;
static dimple_session *session; /* for all inputs: a new one takes longer than what it does here */

int LLVMFuzzerInitialize(int *argument_count, char ***arguments) {
  (void)argument_count;
  (void)arguments;
  model = small_model((model_shape){.vision = true});
  REQUIRE(dimple_session_create(model, &(dimple_session_options){.threads = 1}, &session) == DIMPLE_OK);
  return 0;
}

static void prepare(const dimple_image *image, const dimple_image_grid *grid) {
  dimple_model_info info;
  REQUIRE(dimple_model_get_info(model, &info) == DIMPLE_OK);
  REQUIRE(grid->rows * info.patch_size == grid->resized_height && grid->columns * info.patch_size == grid->resized_width);
  REQUIRE(grid->rows * grid->columns == grid->tokens * info.merge_size * info.merge_size);
  int64_t count = (int64_t)grid->rows * grid->columns * 3 * 2 * info.patch_size * info.patch_size;
  if (count > 1 << 20) return;
  float *patches = malloc((size_t)count * sizeof *patches);
  uint8_t *resized = malloc((size_t)3 * (size_t)grid->resized_width * (size_t)grid->resized_height);
  REQUIRE(patches && resized);
  REQUIRE(dimple_model_preprocess(model, image, patches, count, resized) == DIMPLE_OK);
  for (int64_t i = 0; i < count; i++) REQUIRE(patches[i] > -4 && patches[i] < 4);
  REQUIRE(dimple_model_preprocess(model, image, patches, count - 1, NULL) == DIMPLE_ERROR_ARGUMENT);
  free(patches);
  free(resized);
}

static void run(const dimple_image *image, const dimple_image_grid *grid) {
  int32_t tokens[SMALL_CONTEXT];
  for (int32_t i = 0; i < grid->tokens; i++) tokens[i] = IMAGE_ID;
  REQUIRE(dimple_session_set_prompt(session, tokens, grid->tokens, image, 1) == DIMPLE_OK);
  float features[SMALL_CONTEXT * SMALL_WIDTH];
  REQUIRE(dimple_session_get_image_features(session, features, (int64_t)grid->tokens * SMALL_WIDTH) == DIMPLE_OK);
  for (int32_t i = 0; i < grid->tokens * SMALL_WIDTH; i++) REQUIRE(features[i] == features[i]);
  mark((unsigned)(grid->rows * 32 + grid->columns));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  decisions d = {data, size};
  bool odd = take_u8(&d) > 250; /* sizes that no memory is given for: they have to be refused by their numbers */
  dimple_image image = {.width = odd ? take_i32(&d) : take_between(&d, -1, LARGEST_SIDE),
                        .height = odd ? take_i32(&d) : take_between(&d, -1, LARGEST_SIDE)};
  dimple_image_grid grid;
  dimple_status status = dimple_model_get_image_grid(model, image.width, image.height, &grid);
  if (odd) return 0;
  image.row_stride = 3 * (int64_t)image.width + take_between(&d, -1, 5);
  size_t bytes = image.width > 0 && image.height > 0 && image.row_stride > 0 ? (size_t)(image.row_stride * image.height) : 1;
  uint8_t *pixels = malloc(bytes);
  REQUIRE(pixels);
  uint8_t colours[BYTES];
  take(&d, colours, sizeof colours);
  for (size_t i = 0; i < bytes; i++) pixels[i] = colours[i % BYTES]; /* a short input gives a large picture */
  image.rgb = pixels;
  if (status == DIMPLE_OK && image.row_stride >= 3 * (int64_t)image.width) {
    prepare(&image, &grid);
    if (grid.tokens <= SMALL_CONTEXT) run(&image, &grid);
  } else {
    float patches[1];
    REQUIRE(dimple_model_preprocess(model, &image, patches, 1, NULL) != DIMPLE_OK);
  }
  free(pixels);
  return 0;
}
